//! Alerts that were told: the same trouble is not told again each day.

use serde::Deserialize;
use serde::Serialize;

use crate::drift::Alert;
use crate::drift::AlertKind;
use crate::series::DAY_MS;

/// Days in which an alert of one kind is not told again: it is the same trouble.
pub const QUIET_DAYS: i64 = 28;

/// When each kind of alert was last told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Told(Vec<(AlertKind, i64)>);

impl Told {
    /// Whether an alert is to be told now.
    pub fn is_new(&mut self, alert: &Alert) -> bool {
        let told = self
            .0
            .iter()
            .any(|(kind, at_ms)| *kind == alert.kind && alert.at_ms - at_ms < QUIET_DAYS * DAY_MS);
        if !told {
            self.0.retain(|(kind, _)| *kind != alert.kind);
            self.0.push((alert.kind, alert.at_ms));
        }
        !told
    }
}
