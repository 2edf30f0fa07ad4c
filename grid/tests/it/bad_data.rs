//! Bad data: the stored sets, whose one wrong value is known, and invented ones.

use cases::folder::answers;
use grid::Complex;
use grid::estimation::Settings as Solve;
use grid::estimation::bad_data::Cause;
use grid::estimation::bad_data::Settings;
use grid::estimation::bad_data::Verdict;
use grid::estimation::bad_data::blind_spots;
use grid::estimation::bad_data::identify;
use grid::estimation::influence::Influence;
use grid::estimation::statistics::chi_square_limit;
use grid::estimation::statistics::residual_limit;
use grid::measurement::Measurement;

use super::estimation::conductors::Set as Conductors;
use super::estimation::sets::Set;
use super::estimation::sets::files;
use super::estimation::sets::sets;
use super::estimation::unbalanced::json;
use crate::places;

mod statistics;

/// How far the state may be from the clean set's, per unit: the value that was left out is missed.
const STATE: f64 = 5e-3;

fn ids<'a>(set: &'a [Measurement], members: &[usize]) -> Vec<&'a str> {
    members.iter().map(|&at| set[at].id.as_str()).collect()
}

#[track_caller]
fn check_one(verdict: &Verdict, title: &str) {
    assert!(verdict.before.alarms(), "{title}: {:?}", verdict.before);
    assert!(!verdict.after.alarms(), "{title}: {:?}", verdict.after);
    assert_eq!(verdict.suspects.len(), 1, "{title}: {:?}", verdict.suspects);
}

fn check_set(clean: &Set, folder: &std::path::Path) {
    let title = clean.title();
    let bad = answers::bad(&clean.answer("bad_", ".json")).unwrap();
    let set = Set::read(folder, &clean.scenario, &format!("{}_bad", clean.name));
    let mut estimator = set.estimator();
    estimator.solve(&Solve::default());
    let mut verdict = identify(&mut estimator, &Settings::default());
    let values: Vec<f64> = set.measurements.iter().map(|of| of.value).collect();
    verdict.blame(&estimator, &values);
    check_one(&verdict, &title);
    let suspect = &verdict.suspects[0];
    assert_eq!(ids(&set.measurements, &suspect.culprits), [bad.bad_meas_id], "{title}");
    let expected = if bad.how == "sign" { Cause::SignFlipped } else { Cause::Spike };
    assert_eq!(suspect.cause, expected, "{title}: {suspect:?}");
    let error = bad.bad_value_pu - bad.good_value_pu;
    assert!((suspect.error - error).abs() < 5.0 * suspect.deviation, "{title}: {suspect:?}");
    let stored = answers::estimates(&clean.answer("wls_", ".csv"), &set.network).unwrap();
    for bus in stored {
        let v = estimator.voltage(bus.bus).unwrap();
        let off = (v - Complex::from_polar(bus.vm_pu, bus.va_deg.to_radians())).abs();
        assert!(off < STATE, "{title}: bus {} is {off:e} off", bus.bus);
    }
}

#[track_caller]
fn check_case(case: &str) {
    let Some(folder) = places::case(case) else { return };
    sets(case, "bad_", ".json").iter().for_each(|set| check_set(set, &folder));
}

#[test]
fn ieee14_names_the_bad_value() {
    check_case("ieee14");
}

#[test]
fn ieee57_names_the_bad_value() {
    check_case("ieee57");
}

#[test]
fn case33bw_names_the_bad_value() {
    check_case("case33bw");
}

#[test]
fn cigre_mv_names_the_bad_value() {
    check_case("cigre_mv");
}

#[test]
fn simbench_lv_names_the_bad_value() {
    check_case("simbench_lv_rural1");
}

#[test]
fn simbench_mv_names_the_bad_value() {
    check_case("simbench_mv_rural");
}

#[track_caller]
fn check_unbalanced(case: &str) {
    let Some(folder) = places::case(case) else { return };
    let names = files(&folder.join("answers"), "bad_", ".json");
    assert!(!names.is_empty(), "{case} has bad sets");
    for name in names {
        let set = Conductors::read(&folder, &format!("{name}_bad"));
        let mut estimate = set.estimate();
        let verdict = identify(estimate.estimator(), &Settings::default());
        let title = format!("{case} {name}");
        check_one(&verdict, &title);
        let culprits = verdict.suspects[0].culprits.iter();
        let named: Vec<&str> = culprits.map(|&at| set.measurements[at].id.as_str()).collect();
        let bad = json(&folder.join("answers").join(format!("bad_{name}.json")));
        assert_eq!(named, [bad["bad_meas_id"].as_str().unwrap()], "{title}");
    }
}

#[test]
fn ieee13_names_the_bad_value() {
    check_unbalanced("ieee13_unbal");
}

#[test]
fn ieee37_names_the_bad_value() {
    check_unbalanced("ieee37_unbal");
}

#[test]
fn limits_of_the_sum_of_squares_are_the_stored_ones() {
    for case in super::places::CASES {
        for set in sets(case, "wls_", ".json") {
            let stored = answers::summary(&set.answer("wls_", ".json")).unwrap();
            let Some(expected) = stored.chi2_99 else { continue };
            let limit = chi_square_limit(stored.dof as usize, 0.99);
            assert!((limit - expected).abs() < 1e-9 * expected, "{}: {limit}", set.title());
        }
    }
}

#[test]
fn the_limit_of_residuals_grows_with_the_rows() {
    assert!((residual_limit(38, 0.0005) - 4.2).abs() < 0.01);
    assert!((residual_limit(300, 0.0005) - 4.65).abs() < 0.01);
}

/// Critical rows are those whose residual has no variance, and rows are in one group if and only
/// if the correlation of their residuals is one.
#[track_caller]
fn check_blind_spots(case: &str) {
    for set in sets(case, "wls_", ".csv") {
        let mut estimator = set.estimator();
        assert!(estimator.solve(&Solve::default()).is_solved());
        let blind = blind_spots(&mut estimator);
        let mut influence = Influence::new(&mut estimator);
        let rows: Vec<usize> =
            (0..estimator.rows().len()).filter(|row| !blind.critical.contains(row)).collect();
        let deviation: Vec<f64> = influence.variance.iter().map(|v| v.sqrt()).collect();
        for &a in &rows {
            let covariances = influence.covariances(&estimator, a);
            for &b in rows.iter().filter(|&&b| b != a) {
                let apart = 1.0 - (covariances[b] / (deviation[a] * deviation[b])).abs();
                let together = blind.groups.iter().any(|of| of.contains(&a) && of.contains(&b));
                let title = format!("{}: rows {a} and {b}: {apart:e}", set.title());
                assert!(if together { apart < 1e-4 } else { apart > 1e-12 }, "{title}");
            }
        }
    }
}

#[test]
fn rows_that_cannot_be_told_apart_are_grouped() {
    ["ieee14", "case33bw", "cigre_mv"].into_iter().for_each(check_blind_spots);
}

#[test]
fn an_attack_along_the_state_is_not_seen() {
    let folder = places::case("ieee14").unwrap();
    let mut estimator = Set::read(&folder, "base", "scada_s1").estimator();
    let mut other = Set::read(&folder, "base", "scada_s2").estimator();
    assert!(estimator.solve(&Solve::default()).is_solved());
    assert!(other.solve(&Solve::default()).is_solved());
    let before = estimator.objective();
    let (here, there) = (estimator.values(), other.values());
    for (row, (here, there)) in here.iter().zip(&there).enumerate() {
        let (value, sigma) = (estimator.rows()[row].value, estimator.rows()[row].sigma);
        // Six times as far as two noisy sets are apart.
        estimator.set_row(row, value + 6.0 * (there - here), sigma);
    }
    assert!(estimator.track(&Solve::default()).is_solved());
    let verdict = identify(&mut estimator, &Settings::default());
    assert!(verdict.is_clean(), "{:?}", verdict.suspects);
    assert!((verdict.before.objective - before).abs() < 0.1 * before, "{:?}", verdict.before);
}
