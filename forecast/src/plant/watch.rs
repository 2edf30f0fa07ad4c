//! Whether a plant still gives what was said of it a day before.
//!
//! Its outcomes are those of hours of which more than nothing was said: of a PV plant's nights
//! nobody learns anything. Errors are shares of the rated power, whatever the season.
//!
//! [`Watch`] tells a bias, errors that have grown and a band that does not hold. A model follows
//! within days what its plant lost, so a bias is told early or not at all. What stands still has a
//! witness of its own, since by its errors alone it is told late from a lull:
//!
//! ```text
//! s = Σ max(p10 − y, y − p90, 0)      over hours in which y stays as it was
//! ```
//!
//! in hours of rated power; more than [`STILL_HOURS`] is an alert. `forecast/tests/it/watched.rs`
//! has what that finds, and how often it is wrong.
//!
//! # Bounds
//!
//! A [`Watch`], and what was said of the hours that are not judged yet.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::drift::Alert;
use crate::drift::AlertKind;
use crate::drift::Outcome;
use crate::drift::Settings;
use crate::drift::Told;
use crate::drift::Watch;
use crate::model::Kind;
use crate::plant::unit::is_power;
use crate::plant::unit::without_own_use;
use crate::series::DAY_MS;

/// Hours of rated power outside the band, while the power stays as it is, that are an alert: by 2,
/// four public wind farms are told of every second year, by 3 every sixth.
const STILL_HOURS: f64 = 3.0;

/// Share of the rated power by which a power differs that is another.
const SAME_SHARE: f64 = 0.002;

/// What was said of an hour a day before: P10, P50 and P90.
pub type Said = [f64; 3];

/// See [`self`]. Steps are hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlantWatch {
    rated: f64,

    watch: Watch,
    told: Told,
    /// By target.
    said: BTreeMap<i64, Said>,
    /// The newest power that was judged, and the sum above.
    still: Option<(f64, f64)>,
}

/// The thresholds. Those of the bias are the least by which two PV zones, four wind farms and seven
/// roofs are alarmed once a year at most each. An hour of PV counts little: one day of clouds that
/// nobody foresaw is no bias.
fn settings(kind: Kind, rated: f64) -> Settings {
    let (bias_delta, bias_threshold, error_max) = match kind {
        Kind::Wind => (0.1, 0.8, 1.0),
        _ => (0.05, 0.25, 0.15),
    };
    let rated = Some(rated);
    Settings { rated, bias_delta, bias_threshold, error_max, ..Settings::default() }
}

impl PlantWatch {
    /// Has seen nothing of a plant of this kind and rated power.
    pub fn new(kind: Kind, rated: f64) -> PlantWatch {
        let (watch, told) = (Watch::new(settings(kind, rated)), Told::default());
        PlantWatch { rated, watch, told, said: BTreeMap::new(), still: None }
    }

    /// What is said of an hour, a day before. It replaces what was said of that before.
    pub fn say(&mut self, index: i64, said: Said) {
        self.said.insert(index, said);
    }

    /// What an hour came to, in order of time; NaN: it is missing. Gives what is to be told now.
    pub fn see(&mut self, index: i64, actual: f64) -> Vec<Alert> {
        let said = self.said.remove(&index);
        self.said = self.said.split_off(&index);
        let possible = actual.is_finite() && is_power(actual, self.rated);
        let Some([low, forecast, high]) = said.filter(|said| possible && said[2] > 0.0) else {
            return Vec::new();
        };
        let at_ms = index * DAY_MS / 24;
        let band = Some((low, high));
        let outcome = Outcome { at_ms, actual, forecast, naive: None, band, leverage: None };
        let mut alerts = self.watch.observe(&outcome);
        alerts.extend(self.still(&outcome, (low, high)));
        alerts.retain(|alert| self.told.is_new(alert));
        alerts
    }

    /// Whether the plant stands still where it was to move.
    fn still(&mut self, outcome: &Outcome, (low, high): (f64, f64)) -> Option<Alert> {
        let kw = without_own_use(outcome.actual, self.rated);
        let before = self.still.filter(|(was, _)| (kw - was).abs() <= SAME_SHARE * self.rated);
        let outside = (low - kw).max(kw - high).max(0.0) / self.rated;
        let value = before.map_or(0.0, |(_, sum)| sum) + outside;
        self.still = Some((kw, value));
        let words = format!(
            "it has stayed at {kw:.3} kW, {value:.1} hours of rated power outside the bands"
        );
        let (kind, at_ms, threshold) = (AlertKind::Still, outcome.at_ms, STILL_HOURS);
        let alert = Alert { kind, at_ms, value, threshold, retrain: false, words };
        Some(alert).filter(|_| value > STILL_HOURS)
    }
}
