//! A history as it is replayed, and where the model is asked.

use std::ops::Range;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Said;
use crate::model::Setup;
use crate::series::DAY_MS;

/// When a forecast is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origins {
    /// Every so many steps, counted from midnight of the epoch on the series' clock: with 6 h, at
    /// 0, 6, 12 and 18 o'clock. The newest reading is the one that ends then.
    Every(i64),
    /// After these readings: when a weather forecast was issued.
    After(Vec<i64>),
}

/// A history to be told again.
///
/// Indices are milliseconds since the epoch on the series' clock over its step, as everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// What is forecast.
    pub setup: Setup,
    /// The index of the first reading.
    pub first: i64,
    /// One a step; NaN where it is missing.
    pub readings: Vec<f64>,
    /// In the order in which it became known ([`Said::issued`] does not fall).
    pub weather: Vec<Said>,
    /// Where the newest reading of an origin lies.
    pub window: Range<i64>,
    /// Which origins within it.
    pub origins: Origins,
}

/// A history that cannot be told again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A day is no whole number of steps, or a step is none.
    #[error("a day is no whole number of steps of {step_ms} ms")]
    Step {
        /// Milliseconds of a step.
        step_ms: i64,
    },
    /// The horizon is none, or more than a day.
    #[error("a horizon of {horizon} steps is not within 1 and the {day} steps of a day")]
    Horizon {
        /// Steps that were asked for.
        horizon: usize,
        /// Steps of a day.
        day: i64,
    },
    /// Weather is not in the order in which it became known.
    #[error("weather word {at} was issued before the one that precedes it")]
    Order {
        /// Where in the list.
        at: usize,
    },
    /// Weather speaks of a quantity that the setup does not have.
    #[error("weather word {at} speaks of quantity {quantity}, of which there are {known}")]
    Quantity {
        /// Where in the list.
        at: usize,
        /// The quantity.
        quantity: usize,
        /// How many there are.
        known: usize,
    },
    /// No origin of the window has all its targets within the history.
    #[error("no origin of the window has a whole horizon of readings after it")]
    NoOrigin,
}

impl Frame {
    /// Steps of a day.
    #[must_use]
    pub fn day(&self) -> i64 {
        DAY_MS / self.setup.step_ms.max(1)
    }

    /// The index after the last reading.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.first + self.readings.len() as i64
    }

    /// The reading of an index; NaN where it is missing or beyond the history.
    #[must_use]
    pub fn reading(&self, index: i64) -> f64 {
        let at = usize::try_from(index - self.first).ok();
        at.and_then(|at| self.readings.get(at)).copied().unwrap_or(f64::NAN)
    }

    /// The origins, ascending, each once: within the window, with all targets within the history.
    ///
    /// # Errors
    ///
    /// The frame is not sound, or there are none.
    pub fn origins(&self) -> Result<Vec<i64>, FrameError> {
        self.check()?;
        let horizon = self.setup.horizon as i64;
        let within = |origin: &i64| {
            self.window.contains(origin) && *origin >= self.first && origin + horizon < self.end()
        };
        let mut origins: Vec<i64> = match &self.origins {
            Origins::Every(steps) => {
                let steps = (*steps).max(1);
                let from = self.window.start.max(self.first);
                let to = self.window.end.min(self.end());
                (from..to).filter(|o| (o + 1).rem_euclid(steps) == 0).filter(within).collect()
            }
            Origins::After(list) => list.iter().copied().filter(within).collect(),
        };
        origins.sort_unstable();
        origins.dedup();
        if origins.is_empty() { Err(FrameError::NoOrigin) } else { Ok(origins) }
    }

    fn check(&self) -> Result<(), FrameError> {
        let step_ms = self.setup.step_ms;
        if step_ms <= 0 || DAY_MS % step_ms != 0 {
            return Err(FrameError::Step { step_ms });
        }
        let (horizon, day) = (self.setup.horizon, self.day());
        if horizon == 0 || horizon as i64 > day {
            return Err(FrameError::Horizon { horizon, day });
        }
        let falls = self.weather.windows(2).position(|pair| pair[1].issued < pair[0].issued);
        if let Some(at) = falls {
            return Err(FrameError::Order { at: at + 1 });
        }
        let known = self.setup.quantities.len();
        let strange = self.weather.iter().position(|said| said.quantity >= known);
        strange.map_or(Ok(()), |at| {
            Err(FrameError::Quantity { at, quantity: self.weather[at].quantity, known })
        })
    }
}
