//! Real series through the whole model: a level that jumps, years without alarm, quantiles that
//! hold.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::calendar::Holidays;
use forecast::drift::Alert;
use forecast::drift::AlertKind;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::P10;
use forecast::model::P90;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;

use crate::watch_data::Column;
use crate::watch_data::column;

const GEFCOM: &str = "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv";
const VICTORIA: &str = "load_vic_au_30min_2012_2013.csv";
const LDC2: &str = "load_bigdeal2022_LDC2_hourly_2015_2018.csv";

/// A run over a window of days, asked each six hours.
struct Run {
    alerts: Vec<Alert>,
    /// By day of the window: sum of absolute percentage errors of what was forecast for it, count.
    errors: Vec<(f64, f64)>,
    inside: f64,
    count: f64,
}

impl Run {
    /// The mean error in percent of the seven days that begin at a day of the window.
    fn week(&self, from: usize) -> f64 {
        let days = &self.errors[from..from + 7];
        days.iter().map(|day| day.0).sum::<f64>() / days.iter().map(|day| day.1).sum::<f64>()
    }
}

/// Holidays of a region around the years of the files, in days since the epoch.
fn holidays(region: &str) -> BTreeSet<i64> {
    let holidays = Holidays::parse(region).expect("a region");
    let days = (2003..2020).flat_map(|year| holidays.in_year(year));
    days.map(|date| date.signed_duration_since(NaiveDate::default()).num_days()).collect()
}

/// Runs a column with its temperature. `days` are counted from the epoch.
fn run(load: &Column, temperature: &Column, region: &str, days: std::ops::Range<i64>) -> Run {
    let step_ms = load[1].0 - load[0].0;
    let day = 86_400_000 / step_ms;
    let first = load[0].0 / step_ms;
    let setup = Setup {
        kind: Kind::Load,
        step_ms,
        horizon: day as usize,
        quantities: vec![Quantity { name: "air".to_owned(), role: Role::Temperature }],
        holidays: holidays(region),
        clock_ahead: 0,
        capacity: None,
        place: None,
    };
    let mut model = Adaptive::new(setup, first, Policy { trees: false, ..Policy::default() });
    let errors = vec![(0.0, 0.0); (days.end - days.start) as usize];
    let mut run = Run { alerts: Vec::new(), errors, inside: 0.0, count: 0.0 };
    for (at, (_, value)) in load.iter().enumerate() {
        let index = first + at as i64;
        let known =
            if at == 0 { 0..day as usize + 1 } else { at + day as usize..at + day as usize + 1 };
        let said: Vec<Said> = known
            .filter_map(|k| Some((k, temperature.get(k)?.1? as f32)))
            .map(|(k, value)| Said { issued: index, quantity: 0, index: first + k as i64, value })
            .collect();
        model.know(&said);
        model.observe(value.unwrap_or(f64::NAN));
        let within = (days.start * day..days.end * day).contains(&index);
        if within && (index + 1) % (day / 4) == 0 {
            for (ahead, point) in model.outlook().points.iter().enumerate() {
                let Some(actual) = load.get(at + 1 + ahead).and_then(|(_, value)| *value) else {
                    continue;
                };
                let of = ((point.index / day) - days.start) as usize;
                if let Some(sum) = run.errors.get_mut(of) {
                    *sum = (sum.0 + 100.0 * ((point.value - actual) / actual).abs(), sum.1 + 1.0);
                }
                let band = point.quantiles[P10]..=point.quantiles[P90];
                run.inside += f64::from(u8::from(band.contains(&actual)));
                run.count += 1.0;
            }
        }
        let alerts = model.take_alerts();
        run.alerts
            .extend(alerts.into_iter().filter(|alert| alert.at_ms >= days.start * 86_400_000));
    }
    run
}

fn files(file: &str, load: &str, temperature: &str) -> Option<(Column, Column)> {
    Some((column(file, load)?, column(file, temperature)?))
}

#[test]
fn a_load_that_triples_is_told_within_two_days_and_learned_within_four_weeks() {
    let Some((load, air)) = files(GEFCOM, "z10_kw", "t11_degF") else { return };
    // 2007-07-01 to 2008-06-28; the level jumps on 2008-01-01.
    let (from, jump) = (13_695, 13_879);
    let run = run(&load, &air, "US", from..14_059);
    let bias = run.alerts.iter().find(|alert| alert.kind == AlertKind::Bias);
    let first = bias.expect("an alarm");
    let hours = (first.at_ms - jump * 86_400_000) / 3_600_000;
    assert!((0..48).contains(&hours), "{hours} h: {}", first.words);
    // Seven days from the fourteenth after the jump against the usual from the twenty-eighth on.
    let jump = (jump - from) as usize;
    let mut later: Vec<f64> = (jump + 28..run.errors.len() - 7).map(|day| run.week(day)).collect();
    later.sort_by(f64::total_cmp);
    let usual = later[later.len() / 2];
    let after = run.week(jump + 14);
    assert!(after <= 1.2 * usual, "{after:.2} % where {usual:.2} % is usual");
    let share = run.inside / run.count;
    assert!((0.77..0.83).contains(&share), "{share}");
}

/// Alarms over whole years in which nothing happened: at most one a year.
#[track_caller]
fn check_quiet(
    (file, region): (&str, &str),
    load: &str,
    temperature: &str,
    days: std::ops::Range<i64>,
) {
    let Some((load, air)) = files(file, load, temperature) else { return };
    let years = (days.end - days.start) / 365;
    assert_eq!(days.end - days.start, 365 * years, "part of a year has part of an alarm");
    let run = run(&load, &air, region, days);
    let words: Vec<&str> = run.alerts.iter().map(|alert| alert.words.as_str()).collect();
    eprintln!("{} alarms in {years} years: {words:#?}", words.len());
    assert!(words.len() as i64 <= years, "{words:#?}");
    let share = run.inside / run.count;
    assert!((0.77..0.83).contains(&share), "{share}");
}

#[test]
fn victoria_is_quiet_2013() {
    check_quiet((VICTORIA, "AU-VIC"), "load_mw", "temp_c", 15_706..16_071);
}

#[test]
fn zone_2_is_quiet_for_three_years_to_june_2008() {
    check_quiet((GEFCOM, "US"), "z02_kw", "t11_degF", 12_963..14_058);
}

#[test]
fn ldc2_is_quiet_for_two_years_to_october_2018() {
    check_quiet((LDC2, "US"), "LDC2_load_mw", "T3_degF", 17_104..17_834);
}
