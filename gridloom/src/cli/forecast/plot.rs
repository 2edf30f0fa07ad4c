//! Drawings of a backtest: a week as it was foreseen, and where the error is.
//!
//! Plain SVG of our own ([`svg`]): three drawings of lines and a band need no library, and a text
//! file can be compared. They follow the viewer's choice of light or dark.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use forecast::backtest::Scored;
use forecast::backtest::Shown;
use forecast::score::PointScore;
use forecast::series::DAY_MS;

use super::models;
use super::series::Series;
use super::time;

mod svg;

use self::svg::Band;
use self::svg::Chart;
use self::svg::Line;

/// Models in one drawing: more cannot be told apart.
const LINES_MAX: usize = 6;

/// Writes `NAME-week.svg`, `NAME-by-hour.svg` and `NAME-by-horizon.svg` into a folder, which is
/// made where it is not there.
///
/// # Errors
/// The folder cannot be made or a file cannot be written.
pub(super) fn write(
    folder: &Path,
    series: &Series,
    all: &[Scored],
    chosen: &[usize],
) -> anyhow::Result<Vec<PathBuf>> {
    let shown = || folder.display().to_string();
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", shown()))?;
    let stem: String =
        series.name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let models = drawn(all, chosen);
    let Some(first) = models.first() else { return Ok(Vec::new()) };
    let charts = [
        ("week", week(series, first)),
        ("by-hour", by_hour(series, &models)),
        ("by-horizon", by_horizon(series, &models)),
    ];
    let mut written = Vec::new();
    for (name, chart) in charts {
        let path = folder.join(format!("{stem}-{name}.svg"));
        let text = chart.draw();
        std::fs::write(&path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

/// Ours first, then the others best first.
fn drawn<'a>(all: &'a [Scored], chosen: &[usize]) -> Vec<&'a Scored> {
    let chosen: Vec<&Scored> = chosen.iter().map(|at| &all[*at]).collect();
    let (ours, others): (Vec<&Scored>, Vec<&Scored>) =
        chosen.into_iter().partition(|scored| scored.name == models::OURS);
    ours.into_iter().chain(others).take(LINES_MAX).collect()
}

fn with_unit(name: &str, unit: &str) -> String {
    if unit.is_empty() { name.to_owned() } else { format!("{name}, {unit}") }
}

/// Actual, forecast and band over a week in the middle of the window, from Monday.
fn week(series: &Series, scored: &Scored) -> Chart {
    let step_ms = series.frame.setup.step_ms;
    let (from_ms, to_ms) = middle_week(series, &scored.shown);
    let within = |shown: &&Shown| (from_ms..to_ms).contains(&(shown.index * step_ms));
    let shown: Vec<&Shown> = scored.shown.iter().filter(within).collect();
    // A value is of its step, and is drawn in the middle of it.
    let x = |shown: &Shown| (shown.index * step_ms + step_ms / 2) as f64;
    let line = |of: fn(&Shown) -> f64| shown.iter().map(|shown| (x(shown), of(shown))).collect();
    let band: Vec<(f64, f64, f64)> = shown.iter().map(|s| (x(s), s.low, s.high)).collect();
    let days = (to_ms - from_ms) / DAY_MS;
    let x_ticks = (0..=days).map(|day| ((from_ms + day * DAY_MS) as f64, String::new())).collect();
    let noon = |day: i64| (from_ms + day * DAY_MS + DAY_MS / 2) as f64;
    let x_labels = (0..days).map(|day| (noon(day), weekday(from_ms + day * DAY_MS))).collect();
    let origins = shown.iter().map(|s| (s.origin + 1) * step_ms);
    let of_day: Vec<i64> = origins.map(|at_ms| at_ms.rem_euclid(DAY_MS)).collect();
    let asked = match of_day.first() {
        Some(first) if of_day.iter().all(|other| other == first) => {
            format!("as foreseen at {}", &time::show(*first)[11..])
        }
        _ => "as foreseen before".to_owned(),
    };
    let hours = (series.frame.setup.horizon as i64 * step_ms) as f64 / 3_600_000.0;
    Chart {
        title: format!("{}: a week {asked}, up to {hours} h ahead", series.name),
        note: format!("{}, clock {}", scored.name, series.clock),
        x_name: String::new(),
        y_name: with_unit(&series.name, series.unit),
        x_span: (from_ms as f64, to_ms as f64),
        x_ticks,
        x_labels,
        from_zero: false,
        band: Some(Band { name: "P10 to P90".to_owned(), points: band }),
        lines: vec![
            Line { name: "actual".to_owned(), points: line(|s| s.actual), actual: true },
            Line { name: "forecast".to_owned(), points: line(|s| s.value), actual: false },
        ],
    }
}

/// The week from the Monday in or before the middle of what is drawn, within it where it is long
/// enough.
fn middle_week(series: &Series, shown: &[Shown]) -> (i64, i64) {
    let step_ms = series.frame.setup.step_ms;
    let first_ms = shown.first().map_or(series.window_ms.start, |s| s.index * step_ms);
    let last_ms = shown.last().map_or(series.window_ms.end, |s| (s.index + 1) * step_ms);
    let middle = (first_ms + (last_ms - first_ms) / 2).div_euclid(DAY_MS);
    // The epoch was a Thursday.
    let monday = (middle - (middle + 3).rem_euclid(7)) * DAY_MS;
    let from_ms = if monday < first_ms { first_ms.div_euclid(DAY_MS) * DAY_MS } else { monday };
    let last_day_ms = (last_ms + DAY_MS - 1).div_euclid(DAY_MS) * DAY_MS;
    (from_ms, (from_ms + 7 * DAY_MS).min(last_day_ms).max(from_ms + DAY_MS))
}

fn weekday(at_ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at_ms);
    at.map_or_else(String::new, |at| at.format("%a %-d %b %Y").to_string())
}

/// What is drawn of an error: in percent where that can be said of every model.
struct Measure {
    percent: bool,
    unit: &'static str,
}

impl Measure {
    fn of(series: &Series, models: &[&Scored]) -> Measure {
        let shares = models.iter().all(|scored| scored.board.point().mape().is_some());
        let readings = || series.frame.readings.iter().filter(|value| value.is_finite());
        let percent = shares && readings().all(|value| *value >= 0.0);
        Measure { percent, unit: series.unit }
    }

    fn name(&self) -> String {
        if self.percent { "MAPE, %".to_owned() } else { with_unit("MAE", self.unit) }
    }

    fn value(&self, score: &PointScore) -> f64 {
        let value = if self.percent { score.mape().map(|s| 100.0 * s) } else { score.mae() };
        value.unwrap_or(f64::NAN)
    }
}

fn by_hour(series: &Series, models: &[&Scored]) -> Chart {
    let measure = Measure::of(series, models);
    let line = |scored: &&Scored| Line {
        name: scored.name.clone(),
        points: (0..24).map(|h| (h as f64 + 0.5, measure.value(&scored.by_hour[h]))).collect(),
        actual: false,
    };
    Chart {
        title: format!("{}: error by hour of the day", series.name),
        note: terms(series),
        x_name: format!("hour of the target, clock {}", series.clock),
        y_name: measure.name(),
        x_span: (0.0, 24.0),
        x_ticks: (0..=8).map(|k| (f64::from(3 * k), format!("{}", 3 * k))).collect(),
        x_labels: Vec::new(),
        from_zero: true,
        band: None,
        lines: models.iter().map(line).collect(),
    }
}

fn by_horizon(series: &Series, models: &[&Scored]) -> Chart {
    let measure = Measure::of(series, models);
    let setup = &series.frame.setup;
    let hours = |lead: i64| (lead * setup.step_ms) as f64 / 3_600_000.0;
    let last = hours(setup.horizon as i64);
    let point = |scored: &Scored, lead: i64| {
        let at = scored.board.at_lead(lead * setup.step_ms);
        (hours(lead), at.map_or(f64::NAN, |(point, _)| measure.value(point)))
    };
    let line = |scored: &&Scored| Line {
        name: scored.name.clone(),
        points: (1..=setup.horizon as i64).map(|lead| point(scored, lead)).collect(),
        actual: false,
    };
    let every = if last > 8.0 {
        3.0
    } else if last > 2.0 {
        1.0
    } else {
        0.25
    };
    let ticks = (0..=(last / every) as i64).map(|k| k as f64 * every);
    Chart {
        title: format!("{}: error by horizon", series.name),
        note: terms(series),
        x_name: "hours ahead".to_owned(),
        y_name: measure.name(),
        x_span: (0.0, last),
        x_ticks: ticks.map(|hour| (hour, format!("{hour}"))).collect(),
        x_labels: Vec::new(),
        from_zero: true,
        band: None,
        lines: models.iter().map(line).collect(),
    }
}

fn terms(series: &Series) -> String {
    let (from, to) = (&series.window_ms.start, &series.window_ms.end);
    let (from, to) = (time::show_day(*from), time::show_day(*to - 1));
    format!("{from} to {to}, weather: {}", series.weather)
}
