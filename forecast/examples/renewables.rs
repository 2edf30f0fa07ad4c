//! Wind farms and PV plants of the public sets, forecast as the protocol says, and scored.
//!
//! Reads the folder of the sets and their names from its standard input: after
//! `cargo build --release -p gridloom-forecast --example renewables`,
//! `echo $GRIDLOOM_DATA/forecast wf1 pv1 | target/release/examples/renewables`.
//!
//! Printed are mean absolute errors in percent of the rated power, of the forecast, of each expert
//! with its corrector, and of persistence (wind: the last reading; PV: the day before), and the
//! share of outcomes between P10 and P90. Nights, whose quantiles are all 0, are counted apart.
//!
//! - `wf1`..`wf4`: GEFCom2012, 2011-01 to 2012-06, at each issue time (00 and 12 UTC); `wf1-train`:
//!   the months before, which structure is to be chosen by.
//! - `pv1`, `pv2`: GEFCom2014, 2013-01 to 04, origins every 6 h with the weather forecast at target
//!   hours; `midnight` are the origins at which all of it had been issued. The place is rounded.
//! - `wf1-lean`, `pv1-broad`, …: the same as an instance would forecast them, where models have
//!   fewer experts, weather is wind speed, or radiation and temperature, and readings are judged.
//! - `serf`, `serf-blind`: NREL's roof in Golden, from the 31st day, origins every 6 h, with the
//!   measured irradiance and temperature at target hours, and with no weather at all.

use std::collections::BTreeMap;
use std::io::Write;

use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::Outlook;
use forecast::model::P10;
use forecast::model::P90;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::plant::Breadth;
use forecast::plant::unit::Unit;
use forecast::pv::Pv;
use forecast::wind::Wind;

/// Minutes since the epoch of `2011-01-01T00:00Z` or `2011010100`-like words.
fn minutes(s: &str) -> i64 {
    let d: String = s.chars().filter(char::is_ascii_digit).collect();
    let n = |a: usize, l: usize| d.get(a..a + l).map_or(0, |s| s.parse::<i64>().expect("digits"));
    let date = chrono::NaiveDate::from_ymd_opt(n(0, 4) as i32, n(4, 2) as u32, n(6, 2) as u32);
    let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).expect("a day");
    date.expect("a date").signed_duration_since(epoch).num_days() * 1440 + n(8, 2) * 60 + n(10, 2)
}

fn table(folder: &str, file: &str) -> Vec<Vec<String>> {
    let mut r = csv::Reader::from_path(format!("{folder}/{file}")).expect("a file");
    r.records().map(|r| r.expect("a row").iter().map(str::to_owned).collect()).collect()
}

/// Absolute errors by lead, and coverage.
#[derive(Default)]
struct Score {
    errors: BTreeMap<String, Vec<(f64, f64)>>,
    inside: f64,
    by_day: f64,
    by_night: f64,
}

impl Score {
    fn take(&mut self, name: &str, lead: usize, error: f64) {
        let by = self.errors.entry(name.to_owned()).or_default();
        by.resize(by.len().max(lead + 1), (0.0, 0.0));
        if error.is_finite() {
            by[lead].0 += error.abs();
            by[lead].1 += 1.0;
        }
    }

    /// Takes an outlook whose targets' readings are `actual`.
    fn outlook(&mut self, outlook: &Outlook, actual: &[f64]) {
        for (lead, (point, actual)) in outlook.points.iter().zip(actual).enumerate() {
            if !actual.is_finite() {
                continue;
            }
            self.take("gridloom", lead, point.value - actual);
            for (name, by) in &outlook.models {
                self.take(name, lead, by[lead] - actual);
            }
            if point.quantiles[10] > 0.0 {
                self.by_day += 1.0;
                let band = point.quantiles[P10]..=point.quantiles[P90];
                self.inside += f64::from(u8::from(band.contains(actual)));
            } else {
                self.by_night += 1.0;
            }
        }
    }

    fn print(&self, title: &str, rated: f64) {
        let mut out = std::io::stdout();
        for (name, by) in &self.errors {
            let (sum, n) = by.iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
            let per = by.len() / 24;
            let at = |hour: usize| {
                let of = &by[(hour - 1) * per..hour * per];
                let (sum, n) = of.iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
                format!("{:.2}", 100.0 * sum / n / rated)
            };
            let leads = [1, 2, 3, 6, 12, 18, 24].map(at).join(" ");
            let mean = 100.0 * sum / n / rated;
            let line = format!("{title:14} {name:11} {mean:6.3} %  1 2 3 6 12 18 24 h: {leads}");
            writeln!(out, "{line}  n {n}").expect("stdout is open");
        }
        let all = (self.inside + self.by_night) / (self.by_day + self.by_night);
        let share = self.inside / self.by_day;
        writeln!(out, "{title:14} coverage {share:.3}, with nights {all:.3}")
            .expect("stdout is open");
    }
}

fn setup(kind: Kind, quantities: &[(&str, Role)], place: Option<(f64, f64)>) -> Setup {
    let quantity = |(name, role): &(&str, Role)| Quantity { name: (*name).into(), role: *role };
    Setup {
        kind,
        step_ms: 3_600_000,
        horizon: 24,
        quantities: quantities.iter().map(quantity).collect(),
        holidays: Default::default(),
        clock_ahead: 0,
        capacity: Some(1.0),
        place,
    }
}

fn numbers(rows: &[Vec<String>], column: usize) -> Vec<f64> {
    rows.iter().map(|row| row[column].parse().unwrap_or(f64::NAN)).collect()
}

/// The experts that a name asks for, where it asks for a plant of an instance.
fn breadth(name: &str) -> Option<Breadth> {
    match name.split_once('-')?.1 {
        "lean" => Some(Breadth::Lean),
        "broad" => Some(Breadth::Broad),
        "full" => Some(Breadth::Full),
        _ => None,
    }
}

fn wind(folder: &str, name: &str) {
    let (farm, train, breadth) = (number(name), name.ends_with("train"), breadth(name));
    let power = table(folder, "wind_gefcom2012_power_hourly_wf1-4.csv");
    let y = numbers(&power, farm);
    let first = minutes(&power[0][0]) / 60;
    let mut issues: BTreeMap<i64, Vec<Said>> = BTreeMap::new();
    for row in table(folder, &format!("wind_gefcom2012_nwp_wf{farm}.csv")) {
        let issued = minutes(&row[0]) / 60;
        let index = issued + row[1].parse::<i64>().expect("a lead");
        let number = |at: usize| row[at].parse().unwrap_or(f32::NAN);
        if breadth.is_some() {
            let value = number(2).hypot(number(3));
            issues.entry(issued).or_default().push(Said { issued, quantity: 0, index, value });
            continue;
        }
        for quantity in 0..2 {
            let value = number(2 + quantity);
            issues.entry(issued).or_default().push(Said { issued, quantity, index, value });
        }
    }
    let mut model: Box<dyn Model> = match breadth {
        Some(breadth) => {
            let setup = setup(Kind::Wind, &[("wind", Role::WindSpeed)], None);
            Box::new(Unit::new(&setup, first, breadth))
        }
        None => {
            let winds = [("u", Role::WindEast), ("v", Role::WindNorth)];
            Box::new(Wind::new(&setup(Kind::Wind, &winds, None), first))
        }
    };
    let (mut from, mut to) = (minutes("2011-01-01") / 60, minutes("2012-06-30T23") / 60);
    if train {
        // To choose structure by: the year before the window.
        (from, to) = (minutes("2010-05-01") / 60, from - 24);
    }
    let mut score = Score::default();
    for (i, value) in y.iter().enumerate() {
        let origin = first + i as i64;
        if origin >= to {
            break;
        }
        issues.remove(&origin).iter().for_each(|said| model.know(said));
        model.observe(*value);
        if origin < from || origin % 12 != 0 {
            continue;
        }
        let actual = &y[i + 1..(i + 25).min(y.len())];
        score.outlook(&model.outlook(), actual);
        for (lead, actual) in actual.iter().enumerate() {
            score.take("persistence", lead, value - actual);
        }
    }
    score.print(name, 1.0);
}

/// A weather quantity with its values, by target.
type Field = (&'static str, Role, Vec<f32>);

/// Runs a PV plant; weather is known a day ahead. Scores all origins, and those at midnight UTC.
fn pv(
    mut model: Box<dyn Model>,
    day: usize,
    first: i64,
    y: &[f64],
    fields: &[Field],
    (from, to): (i64, i64),
) -> [Score; 2] {
    let [mut all, mut midnight] = [Score::default(), Score::default()];
    for (i, value) in y.iter().enumerate() {
        let origin = first + i as i64;
        for ahead in if i == 0 { 0..=day } else { day..=day } {
            for (quantity, field) in fields.iter().enumerate() {
                let Some(value) = field.2.get(i + ahead).copied() else { continue };
                let index = origin + ahead as i64;
                model.know(&[Said { issued: origin, quantity, index, value }]);
            }
        }
        model.observe(*value);
        if origin < from || origin >= to || origin % (day as i64 / 4) != 0 {
            continue;
        }
        let actual = &y[i + 1..(i + 1 + day).min(y.len())];
        let outlook = model.outlook();
        let at_midnight = (origin % day as i64 == 0).then_some(&mut midnight);
        for score in std::iter::once(&mut all).chain(at_midnight) {
            score.outlook(&outlook, actual);
            for (lead, actual) in actual.iter().enumerate() {
                score.take("persistence", lead, y[i + 1 + lead - day] - actual);
            }
        }
    }
    [all, midnight]
}

/// A zone of GEFCom2014.
fn zone(folder: &str, name: &str) {
    let (zone, breadth) = (number(name), breadth(name));
    let rows = table(folder, &format!("pv_gefcom2014_zone{zone}_hourly_with_ecmwf.csv"));
    let first = minutes(&rows[0][0]) / 60;
    let slot = first.rem_euclid(24) as usize;
    let col = |c: usize, scaled: fn(f32) -> f32| -> Vec<f32> {
        numbers(&rows, c).into_iter().map(|x| scaled(x as f32)).collect()
    };
    let rate = |c: usize, scaled: fn(f32) -> f32| -> Vec<f32> {
        let fell = forecast::pv::differences(&col(c, |x| x), slot, 24);
        fell.into_iter().map(scaled).collect()
    };
    let root = |x: f32| x.max(0.0).sqrt();
    let mut fields: Vec<Field> = vec![
        ("ssrd", Role::Radiation, rate(10, |x| x / 3600.0)),
        ("tcc", Role::Cloud, col(6, |x| x * 100.0)),
        ("t2m", Role::Temperature, col(9, |x| x - 273.15)),
        ("rh", Role::Other, col(5, |x| x)),
        ("tclw", Role::Other, col(2, root)),
        ("tciw", Role::Other, col(3, root)),
        ("tsr", Role::Other, rate(12, |x| x)),
        ("strd", Role::Other, rate(11, |x| x)),
        ("tp", Role::Other, rate(13, root)),
        ("sp", Role::Other, col(4, |x| x)),
        ("u10", Role::Other, col(7, |x| x)),
        ("v10", Role::Other, col(8, |x| x)),
    ];
    if breadth.is_some() {
        fields.retain(|field| ["ssrd", "t2m"].contains(&field.0));
    }
    let names: Vec<(&str, Role)> = fields.iter().map(|field| (field.0, field.1)).collect();
    let place = Some((-35.3, 149.1)).filter(|_| breadth.is_none());
    let setup = setup(Kind::Pv, &names, place);
    let model: Box<dyn Model> = match breadth {
        Some(breadth) => Box::new(Unit::new(&setup, first, breadth)),
        None => Box::new(Pv::new(&setup, first)),
    };
    let (from, to) = (minutes("2013-01-01") / 60, minutes("2013-05-01") / 60);
    let [all, midnight] = pv(model, 24, first, &numbers(&rows, 1), &fields, (from, to));
    all.print(name, 1.0);
    midnight.print(&format!("{name} midnight"), 1.0);
}

/// NREL's roof.
fn serf(folder: &str, weather: bool) {
    let rows = table(folder, "pv_nrel_serf_east_15min_2016.csv");
    let first = minutes(&rows[0][0]) / 15;
    let col = |c: usize| numbers(&rows, c).into_iter().map(|x| x as f32).collect();
    let mut fields: Vec<Field> = Vec::new();
    if weather {
        fields.push(("ghi", Role::Radiation, col(2)));
        fields.push(("temp", Role::Temperature, col(6)));
    }
    let names: Vec<(&str, Role)> = fields.iter().map(|field| (field.0, field.1)).collect();
    let place = Some((39.74, -105.17));
    let plain = setup(Kind::Pv, &names, place);
    let setup = Setup { step_ms: 900_000, horizon: 96, capacity: Some(6.0), ..plain };
    let (from, to) = (first + 30 * 96, first + rows.len() as i64 - 96);
    let model = Box::new(Pv::new(&setup, first));
    let [all, _] = pv(model, 96, first, &numbers(&rows, 1), &fields, (from, to));
    all.print(if weather { "serf" } else { "serf-blind" }, 6.0);
}

/// The number at the third place of a set's name.
fn number(name: &str) -> usize {
    name[2..3].parse().expect("a farm or a zone")
}

fn main() {
    let mut out = std::io::stdout();
    let asked = std::io::read_to_string(std::io::stdin()).expect("a folder and sets");
    let mut words = asked.split_whitespace();
    let folder = words.next().expect("the folder of the sets");
    for name in words {
        let start = std::time::Instant::now();
        match name {
            "serf" => serf(folder, true),
            "serf-blind" => serf(folder, false),
            name if name.starts_with("wf") => wind(folder, name),
            name if name.starts_with("pv") => zone(folder, name),
            name => panic!("no such set: {name}"),
        }
        let line = format!("{:.1} s", start.elapsed().as_secs_f64());
        writeln!(out, "{line}").expect("stdout is open");
    }
}
