//! A plant of either kind, whose readings are judged before they are learned from.
//!
//! An inverter that hangs says the same power for hours, a broken one says thousands of times its
//! rated power: such a reading is set aside as a missing one ([`crate::quality`]). Night and calm
//! are constant by nature; that is learned from the plant. What is curtailed is not told from what
//! the weather left out, unless it is constant.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Kind;
use crate::model::Model;
use crate::model::Outlook;
use crate::model::Said;
use crate::model::Setup;
use crate::plant::Breadth;
use crate::plant::explain::Parts;
use crate::pv::Pv;
use crate::quality::Quality;
use crate::quality::Verdict;
use crate::wind::Wind;

/// Shares of the rated power beyond which a reading is no power of this plant: an inverter may be
/// overloaded for a while, and draws a little by night.
const SHARE: std::ops::RangeInclusive<f64> = -0.5..=1.5;

/// What a plant draws itself while it stands still, as a share of its rated power, at most.
pub const OWN_USE: f64 = 0.01;

/// Whether a reading can be a power of a plant that is rated so.
pub fn is_power(value: f64, rated: f64) -> bool {
    SHARE.contains(&(value / rated))
}

/// A reading without what the plant draws itself while it stands still: as nothing, which is what
/// is forecast then.
pub fn without_own_use(value: f64, rated: f64) -> f64 {
    if (-OWN_USE * rated..0.0).contains(&value) { 0.0 } else { value }
}

/// The model behind a plant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Behind {
    Wind(Box<Wind>),
    Pv(Box<Pv>),
}

/// See [`self`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    step_ms: i64,
    rated: f64,

    /// The index of the next reading.
    end: i64,
    quality: Quality,
    behind: Behind,
    /// Readings that were set aside.
    aside: u64,
    /// What the newest reading is.
    #[serde(default = "missing")]
    verdict: Verdict,
}

fn missing() -> Verdict {
    Verdict::Missing
}

impl Unit {
    /// Knows nothing; the first reading will be that of index `first`. A wind plant where the setup
    /// says so, else a PV plant.
    pub fn new(setup: &Setup, first: i64, breadth: Breadth) -> Unit {
        let behind = if setup.kind == Kind::Wind {
            Behind::Wind(Box::new(Wind::of_breadth(setup, first, breadth)))
        } else {
            Behind::Pv(Box::new(Pv::of_breadth(setup, first, breadth)))
        };
        Unit {
            step_ms: setup.step_ms,
            rated: setup.capacity.unwrap_or(1.0),
            end: first,
            quality: Quality::new(setup.step_ms),
            behind,
            aside: 0,
            verdict: Verdict::Missing,
        }
    }

    /// How many readings were set aside.
    pub fn aside(&self) -> u64 {
        self.aside
    }

    /// What the newest reading is. One that is no power of this plant is an outlier: beyond its
    /// limit from the middle of what is.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What the forecast of each coming step is made of.
    pub fn parts(&self) -> Vec<Parts> {
        match &self.behind {
            Behind::Wind(wind) => wind.parts(),
            Behind::Pv(pv) => pv.parts(),
        }
    }

    /// Judges the next reading.
    fn judge(&mut self, value: f64) -> Verdict {
        if value.is_finite() && !is_power(value, self.rated) {
            let (low, high) = (SHARE.start() * self.rated, SHARE.end() * self.rated);
            let due = f64::midpoint(low, high);
            return Verdict::Outlier { value, due, limit: high - due };
        }
        self.quality.observe(self.end * self.step_ms, Some(value))
    }
}

impl Model for Unit {
    fn know(&mut self, said: &[Said]) {
        match &mut self.behind {
            Behind::Wind(wind) => wind.know(said),
            Behind::Pv(pv) => pv.know(said),
        }
    }

    fn observe(&mut self, value: f64) {
        self.verdict = self.judge(value);
        let aside = value.is_finite() && !self.verdict.learns();
        self.aside += u64::from(aside);
        let value = if aside { f64::NAN } else { without_own_use(value, self.rated) };
        self.end += 1;
        match &mut self.behind {
            Behind::Wind(wind) => wind.observe(value),
            Behind::Pv(pv) => pv.observe(value),
        }
    }

    fn outlook(&mut self) -> Outlook {
        match &mut self.behind {
            Behind::Wind(wind) => wind.outlook(),
            Behind::Pv(pv) => pv.outlook(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plant_draws_itself_is_nothing() {
        assert_eq!(without_own_use(-0.003, 6.0), 0.0);
        assert_eq!(without_own_use(-20.5, 2050.0), 0.0);
        for kept in [-21.0, 0.0, 3.0] {
            assert_eq!(without_own_use(kept, 2050.0).to_bits(), f64::to_bits(kept));
        }
        assert!(without_own_use(f64::NAN, 1.0).is_nan());
    }
}
