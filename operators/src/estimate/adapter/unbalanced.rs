//! What the tracker of an unbalanced network is told of a plan.

use grid::estimation::bad_data;
use grid::estimation::estimator;
use grid::measurement;
use grid::three_phase::measurement::Target;
use grid::three_phase::tracker::Point;
use grid::three_phase::tracker::Settings;

use crate::estimate::plan::Plan;
use crate::estimate::plan::PlannedPoint;

/// The step below which a state is the optimum, per unit and radians: as of a balanced network.
const TOLERANCE: f64 = 1e-8;

/// How an unbalanced network is tracked.
pub(super) fn settings(plan: &Plan, false_alarm: f64, history_ms: u64) -> Settings {
    let solve = estimator::Settings { tolerance: TOLERANCE, ..estimator::Settings::default() };
    let judging = bad_data::Settings { solve, false_alarm, ..bad_data::Settings::default() };
    Settings { base_va: 1e6 * plan.base_mva, judging, history_ms }
}

/// A point of the plan.
pub(super) fn point(planned: &PlannedPoint) -> Point {
    let node = match planned.target {
        measurement::Target::Bus(node) => node.0,
        other => unreachable!("a point of an unbalanced network is at a node, not {other:?}"),
    };
    Point {
        id: planned.id.clone(),
        quantity: planned.quantity,
        target: planned.conductor.unwrap_or(Target::Node(node)),
        sigma: planned.sigma_pu,
        drift_per_s: planned.drift_pu_per_s,
        stale_after_ms: planned.stale_after_ms,
        averaged_over_ms: planned.averaged_over_ms,
    }
}
