//! The levels that a series had: what was read at an old one, at the one that it has now.
//!
//! When a level moves for good, the history before is carried over to the new one. A reading of
//! that time which is corrected later comes at the old level, and must be carried over as well;
//! but not for a model that learned before the level moved.
//!
//! # Bounds
//!
//! Moves of the time that the history is kept; a move takes a day at least.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

/// A level that moved for good.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Move {
    /// The first reading at the new level.
    pub(super) since: i64,
    /// The index after the reading at which it was told.
    pub(super) told: i64,
    /// By how much it moved.
    pub(super) size: f64,
    /// New level over old, where both are positive: only then the history is carried over.
    pub(super) ratio: Option<f64>,
}

/// See [`self`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Levels(VecDeque<Move>);

impl Levels {
    /// Notes a move; those whose time is before `first` are forgotten.
    pub(super) fn note(&mut self, moved: Move, first: i64) {
        self.0.retain(|before| before.since > first);
        self.0.push_back(moved);
    }

    /// A reading as whoever was run through the history up to `end` holds it.
    pub(super) fn carried(&self, index: i64, value: f64, end: i64) -> f64 {
        let ratios = self.after(index).filter(|moved| moved.told <= end);
        // In the history's own numbers, so that a corrected one is the one that there would be.
        let carry = |value: f64, ratio: f64| f64::from(value as f32 * ratio as f32);
        ratios.filter_map(|moved| moved.ratio).fold(value, carry)
    }

    /// What the history holds of a reading, at the level that the series has now.
    pub(super) fn now(&self, index: i64, held: f64) -> f64 {
        let sizes = self.after(index).filter(|moved| moved.ratio.is_none());
        held + sizes.map(|moved| moved.size).sum::<f64>()
    }

    fn after(&self, index: i64) -> impl Iterator<Item = &Move> {
        self.0.iter().filter(move |moved| index < moved.since)
    }
}
