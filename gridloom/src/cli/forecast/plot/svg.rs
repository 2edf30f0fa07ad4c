//! A chart of lines and a band as SVG, readable on light and on dark.
//!
//! The drawing brings its own ground, and takes its colours from the viewer's preference
//! (`prefers-color-scheme`); a viewer that knows none draws it light. Colours are those of Okabe
//! and Ito, which people with any colour vision tell apart; lines differ in their dashes too.

use std::fmt::Write;

/// Width and height of a drawing.
const SIZE: (f64, f64) = (960.0, 440.0);

/// Left, top, right and bottom of where lines are.
const FRAME: (f64, f64, f64, f64) = (84.0, 92.0, 936.0, 376.0);

/// Marks of the axis of values, about.
const Y_TICKS: f64 = 5.0;

/// What a viewer who prefers dark sees instead. Everything has its light colour as an attribute, so
/// that a viewer without style sheets draws it right.
const STYLE: &str = "\
@media (prefers-color-scheme:dark){\
.ground{fill:#14171c}.ink{fill:#e8eaed}.soft{fill:#a3abb5}.grid{stroke:#2c323a}\
.actual{stroke:#e8eaed}.c0{stroke:#56b4e9}.c1{stroke:#ff8c42}.c2{stroke:#2fc999}\
.c3{stroke:#e39ac9}.c4{stroke:#e6c34a}.c5{stroke:#a3abb5}.band{fill:#56b4e9}}";

/// Families that are everywhere, the best first.
const FONT: &str = "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\"";

/// Text of little weight.
const SOFT: &str = "class=\"soft\" fill=\"#59636e\"";

/// Text that is read.
const INK: &str = "class=\"ink\" fill=\"#1b1f24\"";

/// Lines behind the lines.
const GRID: &str = "class=\"grid\" stroke=\"#e3e6ea\"";

/// The band.
const BAND: &str = "class=\"band\" fill=\"#0072b2\" fill-opacity=\"0.22\"";

/// Dashes of lines, so that colour is not all that tells them apart.
const DASHES: [&str; 6] = ["none", "7 4", "2 3", "10 4 2 4", "5 2", "1 4"];

/// A line.
pub(super) struct Line {
    /// In the legend.
    pub name: String,
    /// Where a value is not finite the line is broken.
    pub points: Vec<(f64, f64)>,
    /// What was measured: in the colour of text.
    pub actual: bool,
}

/// Where values are expected.
pub(super) struct Band {
    /// In the legend.
    pub name: String,
    /// x, low and high.
    pub points: Vec<(f64, f64, f64)>,
}

/// A chart.
pub(super) struct Chart {
    pub title: String,
    /// A second, smaller line.
    pub note: String,
    pub x_name: String,
    pub y_name: String,
    pub x_span: (f64, f64),
    /// Where lines stand on the axis, with what is written below them.
    pub x_ticks: Vec<(f64, String)>,
    /// What is written between ticks.
    pub x_labels: Vec<(f64, String)>,
    /// Whether values begin at zero.
    pub from_zero: bool,
    pub band: Option<Band>,
    pub lines: Vec<Line>,
}

/// Marks of an axis: where it begins and ends, and the step between marks.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Round marks around values.
    fn around(low: f64, high: f64) -> Axis {
        let (low, high) = if low < high { (low, high) } else { (low - 0.5, low + 0.5) };
        let rough = (high - low) / Y_TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
        Axis { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
    }

    fn marks(&self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step).round() as usize;
        (0..=count).map(|k| self.low + k as f64 * self.step).collect()
    }

    /// A mark as it is written: as many decimals as the step has, thousands apart.
    fn write(&self, value: f64) -> String {
        let fine = (0..6_usize).find(|digits| {
            let scaled = self.step * 10_f64.powi(*digits as i32);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        });
        let fine = fine.unwrap_or(6);
        let value = if value.abs() < self.step * 1e-9 { 0.0 } else { value };
        let text = format!("{value:.fine$}");
        let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |parts| parts);
        let (sign, whole) =
            whole.strip_prefix('-').map_or(("", whole), |whole| ("\u{2212}", whole));
        let mut shown = String::from(sign);
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at) % 3 == 0 && whole.len() > 4 {
                // A thin space that does not break.
                shown.push('\u{202f}');
            }
            shown.push(digit);
        }
        if rest.is_empty() { shown } else { format!("{shown}.{rest}") }
    }
}

impl Chart {
    /// The whole file.
    pub(super) fn draw(&self) -> String {
        let (width, height) = SIZE;
        let axis = self.values();
        let mut text = String::new();
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" {FONT} font-size=\"13\" role=\"img\" \
             aria-label=\"{}\">\n\
             <style>{STYLE}</style>\n\
             <rect width=\"{width}\" height=\"{height}\" class=\"ground\" fill=\"#ffffff\"/>\n",
            escape(&self.title)
        );
        text.push_str(&head);
        self.titles(&mut text);
        self.axes(&axis, &mut text);
        self.content(&axis, &mut text);
        self.legend(&mut text);
        text.push_str("</svg>\n");
        text
    }

    /// The axis of all values.
    fn values(&self) -> Axis {
        let lines = self.lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
        let band = self.band.iter().flat_map(|band| band.points.iter().flat_map(|p| [p.1, p.2]));
        let finite = lines.chain(band).filter(|value| value.is_finite());
        let start = if self.from_zero { (0.0, 0.0) } else { (f64::INFINITY, f64::NEG_INFINITY) };
        let (low, high) = finite.fold(start, |(low, high), v| (low.min(v), high.max(v)));
        if low.is_finite() && high.is_finite() {
            Axis::around(low, high)
        } else {
            Axis::around(0., 1.)
        }
    }

    fn x(&self, x: f64) -> f64 {
        let (left, _, right, _) = FRAME;
        let (from, to) = self.x_span;
        left + (x - from) / (to - from).max(f64::MIN_POSITIVE) * (right - left)
    }

    fn y(axis: &Axis, y: f64) -> f64 {
        let (_, top, _, bottom) = FRAME;
        bottom - (y - axis.low) / (axis.high - axis.low) * (bottom - top)
    }

    fn titles(&self, text: &mut String) {
        let left = FRAME.0;
        put(
            text,
            &format!(
                "<text x=\"{left}\" y=\"28\" {INK} font-size=\"17\" \
                 font-weight=\"600\">{}</text>",
                escape(&self.title)
            ),
        );
        put(text, &format!("<text x=\"{left}\" y=\"49\" {SOFT}>{}</text>", escape(&self.note)));
    }

    fn axes(&self, axis: &Axis, text: &mut String) {
        let (left, top, right, bottom) = FRAME;
        for mark in axis.marks() {
            let y = Chart::y(axis, mark);
            put(
                text,
                &format!("<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" {GRID}/>"),
            );
            let (x, y) = (left - 8.0, y + 4.5);
            let shown = axis.write(mark);
            put(
                text,
                &format!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" {SOFT}>{shown}</text>"),
            );
        }
        for (at, label) in &self.x_ticks {
            let x = self.x(*at);
            put(
                text,
                &format!("<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" {GRID}/>"),
            );
            self.below(x, label, text);
        }
        for (at, label) in &self.x_labels {
            self.below(self.x(*at), label, text);
        }
        let (x, y) = ((left + right) / 2.0, SIZE.1 - 20.0);
        let name = escape(&self.x_name);
        put(
            text,
            &format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" {SOFT}>{name}</text>"),
        );
        let y = (top + bottom) / 2.0;
        let name = escape(&self.y_name);
        put(
            text,
            &format!(
                "<text transform=\"translate(20 {y}) rotate(-90)\" text-anchor=\"middle\" \
             {SOFT}>{name}</text>"
            ),
        );
    }

    fn below(&self, x: f64, label: &str, text: &mut String) {
        if label.is_empty() {
            return;
        }
        let y = FRAME.3 + 20.0;
        let label = escape(label);
        put(
            text,
            &format!(
                "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\" \
             {SOFT}>{label}</text>"
            ),
        );
    }

    fn content(&self, axis: &Axis, text: &mut String) {
        if let Some(Band { points, .. }) = &self.band {
            for run in points.split(|point| !(point.1.is_finite() && point.2.is_finite())) {
                let lower = run.iter().map(|point| (point.0, point.1));
                let upper = run.iter().rev().map(|point| (point.0, point.2));
                let corner =
                    |(x, y): (f64, f64)| format!("{:.1},{:.1}", self.x(x), Chart::y(axis, y));
                let corners: Vec<String> = lower.chain(upper).map(corner).collect();
                if run.len() > 1 {
                    put(text, &format!("<polygon points=\"{}\" {BAND}/>", corners.join(" ")));
                }
            }
        }
        for (at, line) in self.lines.iter().enumerate().rev() {
            let mut path = String::new();
            let mut down = false;
            for (x, y) in &line.points {
                if y.is_finite() {
                    let verb = if down { 'L' } else { 'M' };
                    write!(path, "{verb}{:.1} {:.1}", self.x(*x), Chart::y(axis, *y))
                        .expect("a String takes all text");
                }
                down = y.is_finite();
            }
            let stroke = self.stroke(at);
            put(text, &format!("<path d=\"{path}\" {stroke}/>"));
        }
    }

    /// Colour and dashes of a line.
    fn stroke(&self, at: usize) -> String {
        const LIGHT: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#b3478f", "#8a6d00", "#6e7781"];
        if self.lines[at].actual {
            return line("actual", "#1b1f24", "1.6", "none");
        }
        let before = self.lines[..at].iter().filter(|line| !line.actual).count();
        let own = before % LIGHT.len();
        line(&format!("c{own}"), LIGHT[own], "2", DASHES[own])
    }

    /// Names of lines and of the band, in a row above the frame.
    fn legend(&self, text: &mut String) {
        let (left, top, ..) = FRAME;
        let (mut x, y) = (left, top - 17.0);
        let mut name = |text: &mut String, mark: &str, name: &str| {
            put(text, &format!("<g transform=\"translate({x:.0} {y})\">{mark}"));
            put(text, &format!("<text x=\"36\" y=\"4.5\" {INK}>{}</text></g>", escape(name)));
            // About the width of the letters.
            x += 58.0 + 7.2 * name.chars().count() as f64;
        };
        for (at, line) in self.lines.iter().enumerate() {
            let stroke = self.stroke(at);
            let mark = format!("<path d=\"M0 0L28 0\" {stroke}/>");
            name(text, &mark, &line.name);
        }
        let band = self.band.as_ref();
        if let Some(band) = band.filter(|band| band.points.iter().any(|p| p.1.is_finite())) {
            let mark = format!("<rect y=\"-6\" width=\"28\" height=\"12\" {BAND}/>");
            name(text, &mark, &band.name);
        }
    }
}

/// How a line is drawn.
fn line(class: &str, colour: &str, width: &str, dashes: &str) -> String {
    format!(
        "class=\"{class}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
         stroke-dasharray=\"{dashes}\" stroke-linejoin=\"round\""
    )
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_hold_all_values() {
        let axis = Axis::around(3_187.0, 9_345.0);
        assert_eq!(axis.marks(), [2_000.0, 4_000.0, 6_000.0, 8_000.0, 10_000.0]);
        let axis = Axis::around(0.0, 0.23);
        assert_eq!(axis.write(axis.marks()[1]), "0.05");
        assert_eq!(axis.write(0.0), "0.00");
    }

    #[test]
    fn thousands_stand_apart_and_minus_is_one() {
        let axis = Axis::around(-20_000.0, 40_000.0);
        assert_eq!(axis.write(-20_000.0), "\u{2212}20\u{202f}000");
        assert_eq!(axis.write(0.0), "0");
    }

    #[test]
    fn what_is_missing_breaks_a_line_and_a_flat_one_is_drawn() {
        let chart = Chart {
            title: "a < b".to_owned(),
            note: String::new(),
            x_name: String::new(),
            y_name: String::new(),
            x_span: (0.0, 4.0),
            x_ticks: vec![],
            x_labels: vec![],
            from_zero: false,
            band: None,
            lines: vec![Line {
                name: "flat".to_owned(),
                points: vec![(0.0, 7.0), (1.0, 7.0), (2.0, f64::NAN), (3.0, 7.0), (4.0, 7.0)],
                actual: false,
            }],
        };
        let text = chart.draw();
        assert!(text.contains("a &lt; b") && !text.contains("NaN"), "{text}");
        assert!(text.contains("M84.0 234.0L297.0 234.0M723.0 234.0L936.0 234.0"), "{text}");
    }
}
