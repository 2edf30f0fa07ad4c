//! Columns in another unit, and columns of a grid that is only loaded otherwise.

use grid::estimation::units::Compared;
use grid::estimation::units::suspect;
use grid::measurement::Quantity;

/// Values measured where one was to be expected, and the factor that is suspected, if any.
#[track_caller]
fn check(quantity: Quantity, measured: &[f64], expected: Option<f64>) {
    let compared = |&measured: &f64| Compared { quantity, measured, expected: 1.0 };
    let values: Vec<Compared> = measured.iter().map(compared).collect();
    let factor = suspect(&values).first().map(|doubt| doubt.factor);
    assert_eq!(factor, expected, "{measured:?}");
}

#[test]
fn powers_at_a_thousand_times_are_in_another_unit() {
    check(Quantity::ActivePower, &[300.0, -900.0, 2_000.0, 1_100.0], Some(1e3));
    check(Quantity::ReactivePower, &[0.3e-3, 0.9e-3, 2e-3, 1e-3], Some(1e-3));
    check(Quantity::CurrentMagnitude, &[1.0e6, 1.2e6, 0.5e6, 3.0, 2e6], Some(1e6));
}

#[test]
fn a_grid_that_is_loaded_otherwise_is_not() {
    check(Quantity::ActivePower, &[0.05, 0.02, 0.1, 0.015], None);
    check(Quantity::ActivePower, &[12.0, 30.0, 7.0, 90.0], None);
    check(Quantity::ActivePower, &[0.0, 0.0, 0.0, 0.0], None);
}

#[test]
fn one_meter_that_is_out_is_left_to_the_residuals() {
    check(Quantity::ActivePower, &[1_000.0, 0.9, 1.1, 0.8], None);
    check(Quantity::ActivePower, &[1_000.0, 1_000.0], None);
}

#[test]
fn voltages_are_told_also_where_they_are_of_a_phase() {
    check(Quantity::VoltageMagnitude, &[1_020.0], Some(1e3));
    check(Quantity::VoltageMagnitude, &[0.58, 0.57, 0.59], Some(1.0 / 3.0_f64.sqrt()));
    check(Quantity::VoltageMagnitude, &[1.02, 0.93, 1.05], None);
    check(Quantity::VoltageAngle, &[1_000.0, 1_000.0, 1_000.0], None);
}
