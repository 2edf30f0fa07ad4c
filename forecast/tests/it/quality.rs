//! What is kept from the models, in made-up and in real histories.
//!
//! Made-up histories say what must be caught; real ones say what must be let pass: two years of
//! Victoria hold heat waves and holidays and not one wrong reading.

use forecast::quality::Quality;
use forecast::quality::Verdict;
use forecast::quality::judge;

use crate::watch_data::Column;
use crate::watch_data::Dice;
use crate::watch_data::column;

const HOUR_MS: i64 = 3_600_000;
const GEFCOM: &str = "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv";

/// Hours of a load around 100 with days, weekends and noise of 2 %.
fn load(days: i64) -> Column {
    let mut dice = Dice::new(11);
    let hours = (0..24 * days).map(|hour| {
        let of_day = 20.0 * ((hour % 24) as f64 / 3.82).sin();
        let weekend = if (hour / 24) % 7 >= 5 { -15.0 } else { 0.0 };
        (hour * HOUR_MS, Some(100.0 + of_day + weekend + 2.0 * dice.normal()))
    });
    hours.collect()
}

/// Hours that are not learned from, of those in `hours`.
fn refused(series: &Column, hours: std::ops::Range<usize>) -> usize {
    judge(HOUR_MS, series)[hours].iter().filter(|verdict| !verdict.learns()).count()
}

#[track_caller]
fn check(bend: impl Fn(&mut Column), hour: usize, expected: fn(Verdict) -> bool) {
    let mut series = load(100);
    bend(&mut series);
    let verdict = judge(HOUR_MS, &series)[hour];
    assert!(expected(verdict), "{}", verdict.words());
}

#[test]
fn a_quiet_history_is_all_good() {
    assert_eq!(refused(&load(400), 0..9600), 0);
}

#[test]
fn a_hole_is_missing() {
    check(|series| series[2000].1 = None, 2000, |v| v == Verdict::Missing);
    check(|series| series[2000].1 = Some(f64::NAN), 2000, |v| v == Verdict::Missing);
}

#[test]
fn one_spike_does_not_pass() {
    let outlier = |verdict| matches!(verdict, Verdict::Outlier { .. });
    check(|series| series[2000].1 = Some(200.0), 2000, outlier);
    check(|series| series[2000].1 = Some(0.0), 2000, outlier);
    check(|series| series[2000].1 = Some(200.0), 2001, |v| v == Verdict::Good);
}

#[test]
fn a_heat_wave_that_builds_up_passes() {
    let mut series = load(100);
    for hour in 0..48 {
        let rise = 40.0 * (hour as f64 / 48.0 * std::f64::consts::PI).sin();
        series[2000 + hour].1 = series[2000 + hour].1.map(|value| value + rise);
    }
    assert_eq!(refused(&series, 1990..2100), 0);
}

#[test]
fn a_meter_that_sticks_is_frozen() {
    let mut series = load(100);
    let stuck = series[2000].1;
    (2000..2030).for_each(|hour| series[hour].1 = stuck);
    let verdicts = judge(HOUR_MS, &series);
    assert!(matches!(verdicts[2012], Verdict::Frozen { run: 13, .. }), "{:?}", verdicts[2012]);
    assert_eq!(verdicts[2040], Verdict::Good);
}

#[test]
fn nights_of_a_plant_are_constant_by_nature() {
    let mut series: Column = Vec::new();
    let mut dice = Dice::new(5);
    for hour in 0..24 * 60 {
        let sun = ((hour % 24 - 6) as f64 / 12.0 * std::f64::consts::PI).sin().max(0.0);
        series.push((hour * HOUR_MS, Some(sun * (0.5 + 0.5 * dice.even()))));
    }
    assert_eq!(refused(&series, 24 * 4..24 * 60), 0);
    (1000..1100).for_each(|hour| series[hour].1 = Some(0.7));
    assert!(refused(&series, 1000..1100) > 80);
}

#[test]
fn a_new_level_is_a_shift_with_its_time_and_size() {
    let mut series = load(100);
    for (_, value) in &mut series[1800..] {
        *value = value.map(|value| 2.0 * value);
    }
    let verdicts = judge(HOUR_MS, &series);
    let shifts: Vec<Verdict> =
        verdicts.iter().copied().filter(|v| matches!(v, Verdict::LevelShift { .. })).collect();
    let [Verdict::LevelShift { since_ms, ratio, .. }] = shifts[..] else { panic!("{shifts:?}") };
    assert_eq!(since_ms, 1800 * HOUR_MS);
    assert!((ratio.unwrap() - 2.0).abs() < 0.1, "{ratio:?}");
    assert!(verdicts[1800..].iter().all(|verdict| verdict.learns()));
}

#[test]
fn a_judge_goes_on_where_it_was_saved() {
    let mut series = load(60);
    series[1200].1 = Some(300.0);
    let (mut kept, mut moved) = (Quality::new(HOUR_MS), Quality::new(HOUR_MS));
    for (index, (at_ms, value)) in series.iter().enumerate() {
        assert_eq!(kept.observe(*at_ms, *value), moved.observe(*at_ms, *value));
        if index % 500 == 499 {
            let text = serde_json::to_string(&moved).unwrap();
            assert!(text.len() < 32_000, "{}", text.len());
            moved = serde_json::from_str(&text).unwrap();
        }
    }
}

#[test]
fn outages_of_zone_4_are_refused_and_little_else() {
    let Some(series) = column(GEFCOM, "z04_kw") else { return };
    let verdicts = judge(HOUR_MS, &series);
    let mut values: Vec<f64> = series.iter().filter_map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    let low = 0.5 * values[values.len() / 100];
    let outage = |index: &usize| series[*index].1.is_some_and(|value| value < low);
    // In the first two months few weeks are known and the limit is wide: seven hours pass there.
    let outages: Vec<usize> = (1440..series.len()).filter(outage).collect();
    let caught = outages.iter().filter(|index| !verdicts[**index].learns()).count();
    let present = |(index, v): (usize, &Verdict)| series[index].1.is_some() && !v.learns();
    let all = verdicts.iter().enumerate().filter(|(i, v)| present((*i, v))).count();
    println!("zone 4: {caught} of {} below {low}, {all} of {}", outages.len(), series.len());
    assert_eq!((outages.len(), caught), (35, 35));
    assert!(all * 500 < series.len());
}

#[test]
fn a_mill_that_stops_now_and_then_is_let_be() {
    let Some(series) = column(GEFCOM, "z09_kw") else { return };
    let verdicts = judge(HOUR_MS, &series);
    let present = (0..series.len()).filter(|index| series[*index].1.is_some());
    let refused = present.filter(|index| !verdicts[*index].learns()).count();
    println!("zone 9: {refused} of {}", series.len());
    assert!(refused * 1000 < series.len());
}

#[test]
fn the_tripled_load_of_zone_10_is_a_shift() {
    let Some(series) = column(GEFCOM, "z10_kw") else { return };
    let jump = 1_199_145_600_000;
    let shift = judge(HOUR_MS, &series).into_iter().find_map(|verdict| match verdict {
        Verdict::LevelShift { since_ms, ratio, .. } if since_ms > jump - 48 * HOUR_MS => {
            Some((since_ms, ratio))
        }
        _ => None,
    });
    println!("zone 10: {shift:?}");
    let (since_ms, ratio) = shift.expect("a shift");
    assert!((since_ms - jump).abs() <= 24 * HOUR_MS, "{}", (since_ms - jump) / HOUR_MS);
    assert!(ratio.is_some_and(|ratio| (1.5..4.0).contains(&ratio)), "{ratio:?}");
}

#[test]
fn the_peaks_of_victoria_pass_and_spikes_in_it_do_not() {
    let Some(mut series) = column("load_vic_au_30min_2012_2013.csv", "load_mw") else { return };
    let refused = |series: &Column| {
        let verdicts = judge(HOUR_MS / 2, series);
        (0..series.len()).filter(|i| !verdicts[*i].learns()).collect::<Vec<_>>()
    };
    let clean = refused(&series);
    let peak = (0..series.len())
        .max_by(|a, b| series[*a].1.partial_cmp(&series[*b].1).expect("numbers"))
        .expect("a peak");
    println!("victoria: {} of {} refused", clean.len(), series.len());
    assert!(!clean.contains(&peak) && clean.len() * 1000 < 2 * series.len());
    let spikes: Vec<usize> = (0..60).map(|k| 5000 + 481 * k).collect();
    for at in &spikes {
        series[*at].1 = series[*at].1.map(|value| 2.0 * value);
    }
    let found = refused(&series);
    assert!(spikes.iter().all(|at| found.contains(at)));
}
