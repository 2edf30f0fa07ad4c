//! A plant's model that is run through a past to be held against another.
//!
//! Its loss of a target is the mean absolute error of all forecasts that spoke of it, night
//! included: there all are right. A reading that the model sets aside is held against it all the
//! same, unless the plant can have no such power.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Model;
use crate::plant::unit::Unit;
use crate::plant::unit::is_power;
use crate::score::Losses;
use crate::score::Verdict;

/// See [`self`]. Steps are hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    unit: Unit,
    rated: f64,
    /// The first target that it is judged on.
    from: i64,

    /// What was said of the coming targets, by each forecast; the next target first.
    said: VecDeque<Vec<f64>>,
    losses: Losses,
}

impl Rival {
    /// Has been told nothing, and is judged on targets from the index `from` on.
    pub fn new(unit: Unit, rated: f64, from: i64) -> Rival {
        Rival { unit, rated, from, said: VecDeque::new(), losses: Losses::default() }
    }

    /// Learns the next target, by `tell`, which came to `actual`.
    pub fn step(&mut self, index: i64, actual: f64, tell: impl FnOnce(&mut Unit)) {
        let said = self.said.pop_front().unwrap_or_default();
        if actual.is_finite() && is_power(actual, self.rated) && !said.is_empty() {
            let sum: f64 = said.iter().map(|said| (said - actual).abs()).sum();
            self.losses.note(index.div_euclid(24), sum / said.len() as f64);
        }
        tell(&mut self.unit);
        if index + 1 < self.from {
            return;
        }
        for (ahead, point) in self.unit.outlook().points.iter().enumerate() {
            if self.said.len() <= ahead {
                self.said.push_back(Vec::new());
            }
            if point.value.is_finite() {
                self.said[ahead].push(point.value);
            }
        }
    }

    /// Whether a challenger would have done better.
    pub fn loses_to(&self, challenger: &Rival) -> Option<Verdict> {
        self.losses.lose_to(&challenger.losses)
    }
}
