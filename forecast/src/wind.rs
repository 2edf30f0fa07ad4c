//! A wind plant, by the weather service's wind as it was issued.
//!
//! For an hour there may be several issues; the newest that covers it is the row's, and the one
//! before tells how sure the service is of itself. Where the newest issue lacks the hour, the
//! newest earlier one that has it stands in. With no issue at all the usual level and the last
//! hours' power carry the forecast.
//!
//! Quantities by role: either [`Role::WindEast`] with [`Role::WindNorth`], or [`Role::WindSpeed`].
//! Quantities of other roles are not used.
//!
//! # Bounds
//!
//! The issues of the last five days; see [`crate::plant`] for the rest.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Model;
use crate::model::Outlook;
use crate::model::Role;
use crate::model::Said;
use crate::model::Setup;
use crate::plant::Breadth;
use crate::plant::Engine;
use crate::plant::Row;
use crate::plant::Source;
use crate::plant::Tuning;
use crate::plant::explain::Parts;
use crate::series::Track;
use crate::wind::issues::Issues;
use crate::wind::look::Look;

pub mod issues;
pub mod look;

/// Forecasts a wind plant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wind {
    engine: Engine,
    winds: Winds,
    /// What a reading is divided by: rated power in the series' unit.
    rated: f64,
}

/// The wind as it was issued, with what the columns need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Winds {
    issues: Issues,
    roles: Vec<Role>,
    day: i64,
}

impl Wind {
    /// Knows nothing; the first reading will be that of index `first`. Where the setup says no
    /// rated power, readings are taken as shares of it.
    pub fn new(setup: &Setup, first: i64) -> Wind {
        Wind::of_breadth(setup, first, Breadth::Full)
    }

    /// The same with these experts.
    pub fn of_breadth(setup: &Setup, first: i64, breadth: Breadth) -> Wind {
        let day = crate::series::DAY_MS / setup.step_ms;
        let tuning = Tuning {
            breadth,
            decay_day: 0.999,
            ridge: 1.0,
            ridge_cosines: 2.0,
            cosines: 160,
            turn: 0.7,
            trees_after_days: 120,
            trees_every_days: 90,
            daily: false,
            class_by_value: true,
        };
        let roles = setup.quantities.iter().map(|quantity| quantity.role).collect();
        let issues = Issues::new(5 * day);
        Wind {
            engine: Engine::new(tuning, first, day, setup.horizon),
            winds: Winds { issues, roles, day },
            rated: setup.capacity.unwrap_or(1.0),
        }
    }

    /// What the forecast of each coming step is made of.
    pub(crate) fn parts(&self) -> Vec<Parts> {
        self.engine.parts(&self.winds, self.rated)
    }
}

impl Model for Wind {
    fn know(&mut self, said: &[Said]) {
        for word in said {
            match self.winds.roles[word.quantity] {
                Role::WindEast | Role::WindSpeed => self.winds.issues.say(word, 0),
                Role::WindNorth => self.winds.issues.say(word, 1),
                _ => {}
            }
        }
    }

    fn observe(&mut self, value: f64) {
        self.winds.issues.forget(self.engine.end());
        self.engine.observe((value / self.rated) as f32, &self.winds);
    }

    fn outlook(&mut self) -> Outlook {
        self.engine.outlook(&self.winds, self.rated)
    }
}

impl Source for Winds {
    fn tag(&self, _origin: i64, target: i64) -> Option<i64> {
        self.issues.covering(target).next()
    }

    fn could(&self, _target: i64) -> f32 {
        1.0
    }

    fn row(&self, _origin: i64, target: i64, _seen: &Track<f32>) -> Row {
        let hour = (self.day / 24).max(1);
        Look::new(&self.issues, target, hour).row(target.rem_euclid(self.day), self.day)
    }
}
