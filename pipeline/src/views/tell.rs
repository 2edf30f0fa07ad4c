//! Tells the log which views leave rows out.
//!
//! Once when the first fault of a view appears and once when its last one goes: a view that cannot
//! compute half its rows must not fill the log. All of them are in `view_errors`.

use schemas::contract::Fault;

use super::store::Turned;
use super::store::Views;

/// Says what turned since it was told last.
pub fn tell(views: &Views) {
    let tick = views.tick();
    for Turned { view, fault } in views.turned() {
        match fault {
            Some(Fault { expression, message, row }) => tracing::warn!(
                view, %tick, expression, message, row,
                "rows of a view cannot be computed; see view_errors"
            ),
            None => tracing::info!(view, %tick, "every row of a view can be computed again"),
        }
    }
}
