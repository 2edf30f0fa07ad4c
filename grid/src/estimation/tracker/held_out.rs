//! Which slots were not believed, at every tick.
//!
//! A past instant is judged by what was held out when its tick began, not by what is now: a meter
//! that went bad later was fine then. What was held out under other switch positions says nothing,
//! in the past as at the tick after a switch moved.
//!
//! # Bounds
//!
//! A word where something changed, at most [`WORDS_MAX`](super::WORDS_MAX), and none older than the
//! history of values.

use std::collections::BTreeMap;

use crate::estimation::tracker::Tracker;

/// What was held out after a tick.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct HeldOut {
    /// Where the switches stood at that tick, as it was run.
    closed: Vec<bool>,
    /// Slots, ascending.
    slots: Vec<usize>,
}

impl Tracker {
    /// Notes what is held out after a tick, where that changed.
    pub(super) fn note_held_out(&mut self, at_ms: u64) {
        let slots = self.held_out.keys().copied().collect();
        let now = HeldOut { closed: self.engine.closed().to_vec(), slots };
        if self.held_out_then.at(at_ms).is_none_or(|(_, before)| before != now) {
            self.held_out_then.put(at_ms, now);
        }
    }

    /// What was held out when the tick of an instant began, if the switches stand then as they did
    /// at the tick before. How often each had agreed is forgotten: it changes nothing at that tick.
    pub(super) fn held_out_at(&self, at_ms: u64, closed: &[bool]) -> BTreeMap<usize, u32> {
        let before = at_ms.checked_sub(1).and_then(|before| self.held_out_then.at(before));
        let then = before.map(|(_, then)| then).filter(|then| then.closed == closed);
        then.into_iter().flat_map(|then| then.slots).map(|slot| (slot, 0)).collect()
    }
}
