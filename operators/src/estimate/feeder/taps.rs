//! Taps that are heard of as numbers: they move the network and are measured by nobody.

use super::Estimator;
use super::History;
use super::Plan;
use super::first_tick;

/// Tells where a tap stands that a point said something of at an instant, if it is one. Of several
/// words of a tick the last one counts, whichever came last; what the tap cannot have is passed
/// over.
pub(super) fn tell(
    live: &mut Estimator,
    plan: &Plan,
    point_id: &str,
    history: &History,
    at_ms: u64,
    step_ms: u64,
) {
    let Some(tap) = plan.taps.iter().find(|tap| tap.id == point_id) else { return };
    let tick = first_tick(at_ms, step_ms);
    let said = history.latest(point_id, tick).and_then(|(_, said)| tap.tap(said.value));
    if let Some(stands) = said {
        live.set_tap(tap.winding, stands, tick);
    }
}
