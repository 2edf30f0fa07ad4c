//! Balanced cases: state, objective, degrees of freedom, residuals, observability.

use cases::folder::answers;
use grid::Complex;
use grid::estimation::Estimator;
use grid::estimation::Settings;

use super::sets::Set;
use super::sets::sets;

/// How far an estimate may be from the stored optimum, per unit (stored to twelve digits).
const STATE: f64 = 1e-9;
/// How far an objective may be off, as a share of it.
const OBJECTIVE: f64 = 1e-9;
/// How far a residual may be off, in its sigma and as a share (nine digits are stored).
const RESIDUAL: f64 = 1e-6;
/// How far a normalised residual may be off, as a share (six digits are stored).
const NORMALISED: f64 = 1e-5;

/// The largest distance of an estimate from a stored state.
fn distance(set: &Set, estimator: &Estimator) -> f64 {
    let stored = answers::estimates(&set.answer("wls_", ".csv"), &set.network).unwrap();
    let distances = stored.iter().map(|bus| {
        let expected = Complex::from_polar(bus.vm_pu, bus.va_deg.to_radians());
        (estimator.voltage(bus.bus).unwrap() - expected).abs()
    });
    distances.fold(0.0, f64::max)
}

fn check_optimum(set: &Set) {
    let title = set.title();
    let mut estimator = set.estimator();
    let outcome = estimator.solve(&Settings::default());
    assert!(outcome.is_solved(), "{title}: {outcome:?}");
    let off = distance(set, &estimator);
    assert!(off < STATE, "{title}: {off:e} from the optimum");
    let stored = answers::summary(&set.answer("wls_", ".json")).unwrap();
    let objective = estimator.objective();
    assert!((objective - stored.j).abs() < OBJECTIVE * stored.j, "{title}: {objective}");
    assert_eq!(estimator.degrees_of_freedom() as i64, stored.dof, "{title}: degrees of freedom");
    assert_eq!(estimator.rows().len(), stored.used_rows, "{title}: rows");
    check_residuals(set, &mut estimator);
}

fn check_residuals(set: &Set, estimator: &mut Estimator) {
    estimator.refresh();
    let normalised = estimator.normalised_residuals();
    let residuals = estimator.residuals();
    let critical = estimator.critical();
    let stored = answers::residuals(&set.answer("resid_", ".csv")).unwrap();
    assert_eq!(stored.len(), estimator.rows().len(), "{}", set.title());
    for (at, row) in estimator.rows().iter().enumerate() {
        let id = |&(of, _): &(usize, f64)| set.measurements[of].id.as_str();
        let ids: Vec<&str> = row.members.iter().map(id).collect();
        let title = format!("{} {}", set.title(), ids.join("+"));
        let known = stored.iter().find(|known| known.meas_ids == ids);
        let known = known.unwrap_or_else(|| panic!("{title}: no such row is stored"));
        assert_eq!(critical[at], known.critical, "{title}: critical");
        let off = (residuals[at] - known.residual_pu).abs();
        let rounded = RESIDUAL * (row.sigma + known.residual_pu.abs());
        assert!(off < rounded, "{title}: residual {}", residuals[at]);
        if let Some(expected) = known.normalized {
            let off = (normalised[at].abs() - expected.abs()).abs();
            assert!(off < NORMALISED * expected.abs().max(1.0), "{title}: {}", normalised[at]);
        }
    }
}

#[track_caller]
fn check_case(case: &str) {
    sets(case, "wls_", ".csv").iter().for_each(check_optimum);
}

#[test]
fn ieee14_is_at_its_optimum() {
    check_case("ieee14");
}

#[test]
fn ieee57_is_at_its_optimum() {
    check_case("ieee57");
}

#[test]
fn case33bw_is_at_its_optimum() {
    check_case("case33bw");
}

#[test]
fn cigre_mv_is_at_its_optimum() {
    check_case("cigre_mv");
}

#[test]
fn simbench_lv_is_at_its_optimum() {
    check_case("simbench_lv_rural1");
}

#[test]
fn simbench_mv_is_at_its_optimum() {
    check_case("simbench_mv_rural");
}

#[track_caller]
fn check_unobservable(case: &str) {
    for set in sets(case, "obs_", ".json") {
        let stored = answers::unobservable(&set.answer("obs_", ".json"), &set.network).unwrap();
        let estimator = set.estimator();
        let buses = 0..set.network.buses.len();
        let found: Vec<usize> = buses.filter(|&bus| estimator.voltage(bus).is_none()).collect();
        assert_eq!(found, stored, "{}", set.title());
    }
}

#[test]
fn unobservable_buses_of_case33bw_are_the_stored_ones() {
    check_unobservable("case33bw");
}

#[test]
fn unobservable_buses_of_cigre_mv_are_the_stored_ones() {
    check_unobservable("cigre_mv");
}

#[test]
fn unobservable_buses_of_simbench_lv_are_the_stored_ones() {
    check_unobservable("simbench_lv_rural1");
}

#[test]
fn unobservable_buses_of_simbench_mv_are_the_stored_ones() {
    check_unobservable("simbench_mv_rural");
}
