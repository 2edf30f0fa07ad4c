//! Seven roofs (CityLearn, Fontana) from their first hour on, as an instance forecasts them: how
//! large the error is beside yesterday's, by the age of the series, with experts, place and
//! weather that the words name.
//!
//! Reads the folder of the sets and runs from its standard input: after
//! `cargo build --release -p gridloom-forecast --example roofs`,
//! `echo $GRIDLOOM_DATA/forecast ridge ridge+place blind | target/release/examples/roofs`.
//!
//! `memory` is what a plant with weather holds after two months (of Linux: resident memory over
//! five hundred of them).
//!
//! The clock of the roofs is local and taken as it is; the weather is told as measured, 36 hours
//! of it every twelve hours. Printed are sums of absolute errors over those of yesterday's same
//! hour, all leads, by days of age; readings that were set aside; microseconds a step.

use std::io::Write;

use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::P10;
use forecast::model::P90;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::plant::Breadth;
use forecast::plant::unit::Unit;
use forecast::solar::locate;

/// 31 July 2016, 23:00, in hours since the epoch: the file's first row.
const FIRST: i64 = 408_335;

/// Days of age at which a row of the table ends.
const AGES: [i64; 9] = [2, 4, 6, 9, 14, 21, 30, 60, 365];

struct Roofs {
    kw: Vec<Vec<f64>>,
    temperature_c: Vec<f32>,
    global_w_per_m2: Vec<f32>,
}

fn roofs(folder: &str) -> Roofs {
    let file = format!("{folder}/homes_citylearn2022_fontana_ca_b01-08_hourly_2016_2017.csv");
    let mut reader = csv::Reader::from_path(file).expect("the file of the homes");
    let names = reader.headers().expect("names").clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let column = |name: &str| -> Vec<f64> {
        let at = names.iter().position(|found| found == name).expect("a column");
        rows.iter().map(|row| row[at].parse().unwrap_or(f64::NAN)).collect()
    };
    // The seventh roof gives nothing in its first week: it was not there yet.
    let kw = [1, 2, 3, 4, 5, 6, 8].into_iter().map(|home| {
        column(&format!("b0{home}_pv_w_per_kwp")).iter().map(|w| 4.0 * w / 1000.0).collect()
    });
    let light = column("diffuse_wm2").into_iter().zip(column("direct_wm2"));
    Roofs {
        kw: kw.collect(),
        temperature_c: column("temp_c").into_iter().map(|x| x as f32).collect(),
        global_w_per_m2: light.map(|(a, b)| (a + b) as f32).collect(),
    }
}

/// What a run is like.
struct Run<'a> {
    breadth: Breadth,
    weather: bool,
    place: Option<(f64, f64)>,
    kw: &'a [f64],
    roofs: &'a Roofs,
}

#[derive(Clone, Copy, Default)]
struct Score {
    ours: f64,
    yesterday: f64,
    inside: f64,
    count: f64,
}

impl Run<'_> {
    fn setup(&self) -> Setup {
        let quantity = |name: &str, role| Quantity { name: name.to_owned(), role };
        let all = vec![
            quantity("temperature", Role::Temperature),
            quantity("radiation", Role::Radiation),
        ];
        Setup {
            kind: Kind::Pv,
            step_ms: 3_600_000,
            horizon: 24,
            quantities: if self.weather { all } else { Vec::new() },
            holidays: Default::default(),
            clock_ahead: 0,
            capacity: Some(self.kw.iter().copied().fold(0.0, f64::max).ceil()),
            place: self.place,
        }
    }

    /// Tells a plant these hours.
    fn tell(&self, unit: &mut Unit, hours: std::ops::Range<usize>) {
        for hour in hours {
            let issued = FIRST + hour as i64;
            let ahead = hour..(hour + 44).min(self.roofs.temperature_c.len());
            for at in ahead.filter(|_| self.weather && hour % 12 == 11) {
                let index = FIRST + at as i64;
                let value = self.roofs.temperature_c[at];
                unit.know(&[Said { issued, quantity: 0, index, value }]);
                let value = self.roofs.global_w_per_m2[at];
                unit.know(&[Said { issued, quantity: 1, index, value }]);
            }
            unit.observe(self.kw[hour]);
        }
    }

    fn run(&self, scores: &mut [Score]) -> u64 {
        let mut unit = Unit::new(&self.setup(), FIRST, self.breadth);
        for hour in 0..self.kw.len() - 25 {
            self.tell(&mut unit, hour..hour + 1);
            let days = hour as i64 / 24;
            let Some(score) = AGES.iter().position(|age| days < *age).map(|at| &mut scores[at])
            else {
                continue;
            };
            if hour < 24 {
                continue;
            }
            for (lead, point) in unit.outlook().points.iter().enumerate() {
                let actual = self.kw[hour + 1 + lead];
                score.ours += (point.value - actual).abs();
                score.yesterday += (self.kw[hour + 1 + lead - 24] - actual).abs();
                if point.quantiles[P90] > 0.0 {
                    let band = point.quantiles[P10]..=point.quantiles[P90];
                    score.inside += f64::from(u8::from(band.contains(&actual)));
                    score.count += 1.0;
                }
            }
        }
        unit.aside()
    }
}

/// Resident memory in kB, as Linux says.
fn resident_kb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    4.0 * text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("pages")
}

/// Kilobytes of a plant that was told two months.
fn memory(roofs: &Roofs) -> f64 {
    const UNITS: usize = 500;
    let kw = &roofs.kw[0][..60 * 24 + 26];
    let run = Run { breadth: Breadth::Lean, weather: true, place: None, kw, roofs };
    let mut unit = Unit::new(&run.setup(), FIRST, run.breadth);
    let before = resident_kb();
    run.tell(&mut unit, 0..60 * 24);
    let units: Vec<Unit> = (0..UNITS).map(|_| unit.clone()).collect();
    (resident_kb() - before) / units.len() as f64
}

fn main() {
    let mut out = std::io::stdout();
    let asked = std::io::read_to_string(std::io::stdin()).expect("a folder and runs");
    let mut words = asked.split_whitespace();
    let roofs = roofs(words.next().expect("the folder of the sets"));
    for word in words {
        if word == "memory" {
            writeln!(out, "{:.0} kB a plant", memory(&roofs)).expect("stdout is open");
            continue;
        }
        let start = std::time::Instant::now();
        let mut scores = [Score::default(); AGES.len()];
        let mut aside = 0;
        for kw in &roofs.kw {
            let breadth = match word.split('+').next() {
                Some("broad") => Breadth::Broad,
                Some("full") => Breadth::Full,
                _ => Breadth::Lean,
            };
            let series: Vec<(i64, f64)> = kw[..35 * 24]
                .iter()
                .enumerate()
                .map(|(at, kw)| ((FIRST + at as i64) * 3_600_000 + 1_800_000, *kw))
                .collect();
            let found = locate(&series).filter(|_| word.contains("place"));
            let place = found.map(|found| (found.place.latitude_deg, found.place.longitude_deg));
            if word.contains("place") {
                writeln!(out, "{found:?}").expect("stdout is open");
            }
            let run = Run { breadth, weather: !word.contains("blind"), place, kw, roofs: &roofs };
            aside += run.run(&mut scores);
        }
        let steps = roofs.kw.iter().map(Vec::len).sum::<usize>();
        let us = start.elapsed().as_secs_f64() * 1e6 / steps as f64;
        writeln!(out, "{word}: {aside} set aside of {steps}, {us:.0} µs").expect("stdout is open");
        for (age, score) in AGES.iter().zip(scores) {
            let share = score.ours / score.yesterday;
            let inside = score.inside / score.count;
            writeln!(out, "  up to day {age:3}: {share:.3} of yesterday's, inside {inside:.3}")
                .expect("stdout is open");
        }
    }
}
