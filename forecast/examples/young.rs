//! How a forecaster does in its first months, beside the rule that answers until it can.
//!
//! Reads the folder of the public sets from its standard input: after
//! `cargo build --release -p gridloom-forecast --example young`,
//! `echo $GRIDLOOM_DATA/forecast | target/release/examples/young`.
//!
//! Homes (alone and summed, net of PV), zones of GEFCom2012, LDC2 and New England are cut into
//! pieces that begin at different times of the year. Of each piece nothing is known before it;
//! origins every 6 h, targets 1-24 h after, with the measured weather told a day ahead. Printed is
//! by age in days: the mean absolute error of the forecast over that of the rule (yesterday, moved
//! by what the last hour was above its own yesterday), as a geometric mean over pieces.

use std::collections::BTreeMap;
use std::io::Write;

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::P10;
use forecast::model::P90;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;

/// Days of a piece.
const DAYS: usize = 96;

/// Ages at which errors are told, in days.
const AGES: [usize; 10] = [9, 11, 14, 18, 23, 30, 37, 45, 60, 75];

/// A series with the weather over it, hourly.
struct Series {
    name: String,
    first: i64,
    load: Vec<f64>,
    weather: Vec<(Quantity, Vec<f64>)>,
}

fn minutes(text: &str) -> i64 {
    let text = text.trim_end_matches('Z');
    let at = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").expect("an instant");
    at.and_utc().timestamp() / 60
}

/// A file's first hour and its columns.
fn table(folder: &str, file: &str) -> (i64, BTreeMap<String, Vec<f64>>) {
    let mut reader = csv::Reader::from_path(format!("{folder}/{file}")).expect("a file");
    let names: Vec<String> =
        reader.headers().expect("a header").iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let number = |text: &str| text.parse().unwrap_or(f64::NAN);
    let column = |at: usize| rows.iter().map(|row| number(&row[at])).collect();
    let columns = names.into_iter().enumerate().skip(1).map(|(at, name)| (name, column(at)));
    (minutes(&rows[0][0]) / 60, columns.collect())
}

fn quantity(name: &str, role: Role, values: Vec<f64>) -> (Quantity, Vec<f64>) {
    (Quantity { name: name.to_owned(), role }, values)
}

fn celsius(fahrenheit: &[f64]) -> Vec<f64> {
    fahrenheit.iter().map(|f| (f - 32.0) / 1.8).collect()
}

fn all(folder: &str) -> Vec<Series> {
    let mut all = Vec::new();
    let file = "homes_citylearn2022_fontana_ca_b01-08_hourly_2016_2017.csv";
    let (first, homes) = table(folder, file);
    let sky = homes["diffuse_wm2"].iter().zip(&homes["direct_wm2"]).map(|(a, b)| a + b).collect();
    let weather = vec![
        quantity("temperature", Role::Temperature, homes["temp_c"].clone()),
        quantity("radiation", Role::Radiation, sky),
    ];
    let net = |home: usize| -> Vec<f64> {
        let pv = &homes[&format!("b0{home}_pv_w_per_kwp")];
        let load = &homes[&format!("b0{home}_load_kw")];
        load.iter().zip(pv).map(|(load, pv)| load - 4.0 * pv / 1e3).collect()
    };
    let sum = |n: usize| -> Vec<f64> {
        let nets: Vec<Vec<f64>> = (1..=n).map(net).collect();
        (0..nets[0].len()).map(|at| nets.iter().map(|net| net[at]).sum()).collect()
    };
    for (name, load) in
        [("home 1", net(1)), ("home 3", net(3)), ("homes 1-5", sum(5)), ("homes 1-8", sum(8))]
    {
        all.push(Series { name: name.to_owned(), first, load, weather: weather.clone() });
    }
    let (first, zones) = table(folder, "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv");
    for zone in ["z01", "z02", "z05", "z07"] {
        let weather = ["t03_degF", "t09_degF"]
            .map(|name| quantity(name, Role::Temperature, celsius(&zones[name])));
        let load = zones[&format!("{zone}_kw")].clone();
        all.push(Series { name: zone.to_owned(), first, load, weather: weather.to_vec() });
    }
    let (first, ldc) = table(folder, "load_bigdeal2022_LDC2_hourly_2015_2018.csv");
    let weather = quantity("T1", Role::Temperature, celsius(&ldc["T1_degF"]));
    let load = ldc["LDC2_load_mw"].clone();
    all.push(Series { name: "LDC2".to_owned(), first, load, weather: vec![weather] });
    let load = zones["z02_kw"].clone();
    let first = all[4].first;
    all.push(Series { name: "z02 no weather".to_owned(), first, load, weather: Vec::new() });
    all
}

/// Sums of absolute errors by age: the forecast, the rule, then each model.
#[derive(Default)]
struct Score {
    sums: BTreeMap<usize, BTreeMap<String, f64>>,
    within: f64,
    count: f64,
}

fn run(series: &Series, start: usize) -> Score {
    let first = series.first + start as i64;
    let setup = Setup {
        kind: Kind::NetLoad,
        step_ms: 3_600_000,
        horizon: 24,
        quantities: series.weather.iter().map(|(q, _)| q.clone()).collect(),
        holidays: Default::default(),
        clock_ahead: 0,
        capacity: None,
        place: None,
    };
    let policy = Policy { trees: false, screen: false, ..Policy::default() };
    let mut model = Adaptive::new(setup, first, policy);
    let mut score = Score::default();
    let load = &series.load[start..];
    let tell = |model: &mut Adaptive, from: usize, to: usize| {
        for (quantity, (_, values)) in series.weather.iter().enumerate() {
            for at in from..to {
                let value = values[start + at] as f32;
                let said = Said {
                    issued: first + from as i64 - 1,
                    quantity,
                    index: first + at as i64,
                    value,
                };
                if value.is_finite() {
                    model.know(&[said]);
                }
            }
        }
    };
    tell(&mut model, 0, 26);
    for at in 0..DAYS * 24 {
        model.observe(load[at]);
        tell(&mut model, at + 26, at + 27);
        if (first + at as i64 + 1) % 6 != 0 || at < AGES[0] * 24 {
            continue;
        }
        let outlook = model.outlook();
        let age = *AGES.iter().rev().find(|age| **age * 24 <= at).expect("old enough");
        let sums = score.sums.entry(age).or_default();
        let mut add = |name: &str, error: f64| {
            *sums.entry(name.to_owned()).or_default() += error.abs();
        };
        for ahead in 0..24 {
            let actual = load[at + 1 + ahead];
            let rule = load[at + 1 + ahead - 24] + load[at] - load[at - 24];
            if !actual.is_finite() || !rule.is_finite() {
                continue;
            }
            add("rule", actual - rule);
            let Some(point) = outlook.points.get(ahead) else { continue };
            add("", actual - point.value);
            for (name, values) in &outlook.models {
                add(name, actual - values[ahead]);
            }
            score.count += 1.0;
            let band = point.quantiles[P10]..=point.quantiles[P90];
            score.within += f64::from(u8::from(band.contains(&actual)));
        }
    }
    score
}

fn main() {
    let mut folder = String::new();
    std::io::stdin().read_line(&mut folder).expect("a folder");
    let mut out = std::io::stdout();
    let mut logs: BTreeMap<(String, usize), (f64, f64)> = BTreeMap::new();
    for series in all(folder.trim()) {
        let mut of: BTreeMap<(String, usize), (f64, f64)> = BTreeMap::new();
        let (mut within, mut count) = (0.0, 0.0);
        for piece in 0..4 {
            let start = (24 * (piece * 83 + 1)) as usize;
            let score = run(&series, start);
            within += score.within;
            count += score.count;
            for (age, sums) in score.sums {
                for (name, sum) in &sums {
                    let log = (sum / sums["rule"]).ln();
                    for into in [&mut of, &mut logs] {
                        let entry = into.entry((name.clone(), age)).or_default();
                        entry.0 += log;
                        entry.1 += 1.0;
                    }
                }
            }
        }
        print(&mut out, &format!("{} (P10-P90 {:.3})", series.name, within / count), &of, false);
    }
    print(&mut out, "all", &logs, true);
}

fn print(
    out: &mut impl Write,
    title: &str,
    logs: &BTreeMap<(String, usize), (f64, f64)>,
    models: bool,
) {
    let mut names: Vec<&String> = logs.keys().map(|(name, _)| name).collect();
    names.dedup();
    writeln!(out, "{title}: error over the rule's, by age in days {AGES:?}").expect("open");
    for name in names.into_iter().filter(|name| models || name.is_empty()) {
        let at = |age: &usize| {
            let of = logs.get(&(name.clone(), *age));
            of.map_or("   -".to_owned(), |(sum, n)| format!("{:.3}", (sum / n).exp()))
        };
        let line: Vec<String> = AGES.iter().map(at).collect();
        writeln!(out, "  {name:16} {}", line.join("  ")).expect("open");
    }
}
