//! Values that cannot be: beyond what the operator says of their point, or no number at all.
//!
//! They are never told the estimator; what the point said before holds until it is stale. A voltage
//! below its range is absurd where the bus is under voltage: where it is dead, it reads nothing and
//! is right.

use grid::measurement::Quantity;
use grid::measurement::Target;

use super::Running;
use super::Tick;
use crate::estimate::adapter::Estimate;
use crate::estimate::adapter::Suspect;
use crate::estimate::history::NO_NUMBER;
use crate::estimate::plan::PlannedPoint;

/// The verdict on them, in a word and in words.
pub(super) const VERDICT: (&str, &str) =
    ("implausible", "beyond what its instrument or element can have");

/// What a residual is said to be in standard deviations at most: beyond, it says nothing more.
const DEVIATIONS_MAX: f64 = 1e6;

/// Adds the points whose last word is absurd to those that do not fit.
pub(super) fn find(
    running: &Running,
    latest: &[Option<(u64, f64)>],
    tick: &Tick<'_>,
    estimate: &mut Estimate,
) {
    for (place, (point, said)) in running.plan.points.iter().zip(latest).enumerate() {
        let Some((at, value)) = *said else { continue };
        let fresh = point.fresh(at, tick.at.0, tick.settings.step_ms);
        if !fresh || point.plausible(value) || dead(running, point, value) {
            continue;
        }
        let residual = beyond(point, value) * point.unit_pu;
        let deviations = (residual / point.sigma_pu).clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX);
        estimate.suspects.retain(|known| known.point != place);
        estimate.suspects.push(Suspect {
            point: place,
            residual,
            normalised: if value.abs() < NO_NUMBER { deviations } else { DEVIATIONS_MAX },
            threshold: 0.0,
            removed: true,
            verdict: VERDICT.0,
            words: VERDICT.1.to_owned(),
        });
    }
}

/// Whether a point reads too little because its bus is dead.
fn dead(running: &Running, point: &PlannedPoint, value: f64) -> bool {
    let Target::Bus(bus) = point.target else { return false };
    is_low_voltage(point, value) && !running.live.energised(bus.0)
}

/// Whether a point reads less voltage than a live bus has.
pub(super) fn is_low_voltage(point: &PlannedPoint, value: f64) -> bool {
    let low = value.abs() < NO_NUMBER && value * point.scale < point.range.0;
    point.quantity == Quantity::VoltageMagnitude && low
}

/// By how much a value is beyond its range, in the quantity's unit; 0 of what is no number.
fn beyond(point: &PlannedPoint, value: f64) -> f64 {
    let scaled = value * point.scale;
    if value.abs() >= NO_NUMBER || !scaled.is_finite() {
        return 0.0;
    }
    scaled - scaled.clamp(point.range.0, point.range.1.max(point.range.0))
}
