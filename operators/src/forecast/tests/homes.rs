//! Five measured homes and their sum, forecast hour by hour as an instance would, beside the rule.
//!
//! The homes are those of the demo (CityLearn, `GRIDLOOM_DATA`), with the measured weather told as
//! if it had been forecast.

use schemas::decision::Forecast;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::state::NodeHour;
use schemas::state::SharedMeterHour;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::data::table;
use super::node_hour;
use crate::forecast::ForecastKernel;
use crate::forecast::rule;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// Hours since the epoch of 1 August 2016, 00:00, which is the file's second row.
const AUGUST: u64 = 408_336;

/// Nominal PV power of the homes in kW.
const PV_KW: [f64; 5] = [4.0, 4.0, 4.0, 5.0, 4.0];

/// Hours from [`AUGUST`] on.
struct Homes {
    net_kw: Vec<[f64; 5]>,
    temperature_c: Vec<f64>,
    global_w_per_m2: Vec<f64>,
}

fn homes() -> Option<Homes> {
    let column = table("homes_citylearn2022_fontana_ca_b01-08_hourly_2016_2017.csv")?;
    let columns = |of: &str| [1, 2, 3, 4, 5].map(|home| column(&format!("b0{home}_{of}")));
    let (load, pv) = (columns("load_kw"), columns("pv_w_per_kwp"));
    let net = |hour: usize, home: usize| load[home][hour] - pv[home][hour] * PV_KW[home] / 1e3;
    let light = column("diffuse_wm2").into_iter().zip(column("direct_wm2"));
    Some(Homes {
        net_kw: (0..load[0].len()).map(|hour| [0, 1, 2, 3, 4].map(|n| net(hour, n))).collect(),
        temperature_c: column("temp_c"),
        global_w_per_m2: light.map(|(diffuse, direct)| diffuse + direct).collect(),
    })
}

impl Homes {
    fn seen(&self, hour: usize) -> WeatherHour {
        WeatherHour {
            station_id: "s".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp((AUGUST + hour as u64) * HOUR_MS),
            origin: "measured".to_owned(),
            temperature_c: self.temperature_c[hour],
            global_w_per_m2: Some(self.global_w_per_m2[hour]),
            wind_m_per_s: None,
        }
    }

    fn ahead(&self, from: usize) -> Vec<WeatherAhead> {
        let row = |hour: usize| WeatherAhead {
            station_id: "s".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp((AUGUST + hour as u64) * HOUR_MS),
            issued_at: Timestamp((AUGUST + from as u64) * HOUR_MS),
            temperature_c: self.temperature_c[hour],
            global_w_per_m2: Some(self.global_w_per_m2[hour]),
            wind_m_per_s: None,
        };
        (from..(from + 30).min(self.temperature_c.len())).map(row).collect()
    }
}

/// Absolute errors of a model and of the rule, and hours within the model's band.
#[derive(Default)]
struct Score {
    model_kw: f64,
    rule_kw: f64,
    within: f64,
    count: f64,
}

impl Score {
    fn add(&mut self, row: &Forecast, rule_kw: f64, actual_kw: f64) {
        self.model_kw += (row.p50_kw - actual_kw).abs();
        self.rule_kw += (rule_kw - actual_kw).abs();
        self.within += f64::from(u8::from((row.p10_kw..=row.p90_kw).contains(&actual_kw)));
        self.count += 1.0;
    }

    fn tell(&self, what: &str) {
        let Score { model_kw, rule_kw, within, count } = self;
        println!(
            "{what}: {:.3} kW, the rule {:.3} kW, within p10-p90 {:.3}, {count} hours",
            model_kw / count,
            rule_kw / count,
            within / count
        );
    }
}

fn rows<R: Relation>(rows: &[R]) -> Change {
    Change::of(rows, vec![1; rows.len()])
}

/// So many days of history and so many that are lived. Scores of the feeder by lead from 1, and of
/// the homes.
fn live(homes: &Homes, history: usize, days: usize) -> (Vec<Score>, Score) {
    let start = history * 24;
    let mut kernel = ForecastKernel::new(Settings::default());
    let (mut feeder, mut nodes) = (Vec::new(), Score::default());
    feeder.resize_with(24, Score::default);
    let past = |home: usize| {
        (0..start).map(move |hour| LoadHistory {
            bus_id: format!("b{home}"),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp((AUGUST + hour as u64) * HOUR_MS),
            net_load_kw: homes.net_kw[hour][home],
        })
    };
    let past: Vec<LoadHistory> = (0..5).flat_map(past).collect();
    let sky: Vec<WeatherHour> = (0..start).map(|hour| homes.seen(hour)).collect();
    let mut told = (past, sky, Vec::<NodeHour>::new());
    for present in start..start + days * 24 {
        let ahead = if present % 6 == 0 { homes.ahead(present) } else { Vec::new() };
        let quiet = (rows::<LoadAnnotation>(&[]), rows::<ModelOrder>(&[]));
        let meters = rows::<SharedMeterHour>(&[]);
        let (past, hours, sky) = (rows(&told.0), rows(&told.2), rows(&told.1));
        let changes = [past, hours, sky, rows(&ahead), quiet.0, quiet.1, meters];
        let at = Timestamp((AUGUST + present as u64) * HOUR_MS);
        let out = kernel.step(at, &changes);
        for (subject, kw) in subjects(homes) {
            let from = present - rule::HISTORY_HOURS;
            let points = rule::points(&kw[from..present]);
            let of = |row: &&Forecast| row.subject_id == subject;
            let said = Forecast::from_batch(&out[0]).unwrap();
            for (lead, (row, point)) in said.iter().filter(of).zip(points).enumerate() {
                let score = if subject == "f" { &mut feeder[lead] } else { &mut nodes };
                score.add(row, point.p50_kw, kw[present + lead]);
            }
        }
        let heard = |home: usize| {
            node_hour(&format!("b{home}"), AUGUST + present as u64, homes.net_kw[present][home])
        };
        told = (Vec::new(), vec![homes.seen(present)], (0..5).map(heard).collect());
    }
    (feeder, nodes)
}

/// Each home's hours, and their sum's.
fn subjects(homes: &Homes) -> Vec<(String, Vec<f64>)> {
    let home = |n: usize| (format!("b{n}"), homes.net_kw.iter().map(|kw| kw[n]).collect());
    let sum = homes.net_kw.iter().map(|kw| kw.iter().sum()).collect();
    (0..5).map(home).chain([("f".to_owned(), sum)]).collect()
}

/// The model's share of the rule's error at most, over all leads, of the feeder and of the homes;
/// and between what its band holds.
#[track_caller]
fn check(history: usize, days: usize, shares: (f64, f64), band: (f64, f64)) {
    let Some(homes) = homes() else { return };
    let (feeder, nodes) = live(&homes, history, days);
    println!("{days} days after {history} days of history");
    feeder[0].tell("feeder, 1 h ahead");
    feeder[23].tell("feeder, 24 h ahead");
    let all = feeder.iter().fold(Score::default(), |sum, lead| Score {
        model_kw: sum.model_kw + lead.model_kw,
        rule_kw: sum.rule_kw + lead.rule_kw,
        within: sum.within + lead.within,
        count: sum.count + lead.count,
    });
    all.tell("feeder, 1 to 24 h ahead");
    nodes.tell("homes, 1 to 24 h ahead");
    assert!(all.model_kw < shares.0 * all.rule_kw, "the feeder");
    assert!(nodes.model_kw < shares.1 * nodes.rule_kw, "the homes");
    let within = all.within / all.count;
    assert!(band.0 <= within && within <= band.1, "{within} within the band");
}

#[test]
fn a_month_after_a_month_of_history() {
    check(30, 30, (0.8, 0.75), (0.75, 0.9));
}

#[test]
fn a_month_after_a_hundred_days_of_history() {
    check(100, 30, (0.66, 0.62), (0.77, 0.83));
}

/// One day is no measure, and the sum of five homes errs 4 % more than the rule on it.
#[test]
fn the_day_of_the_demo() {
    check(30, 1, (1.05, 0.85), (0.6, 0.9));
}
