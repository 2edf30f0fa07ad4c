//! What was said of each instant, in order of time.
//!
//! # Bounds
//!
//! At most [`WORDS_MAX`] words; the one that holds at the earliest instant still asked for stays.

use std::collections::VecDeque;

use crate::estimation::tracker::WORDS_MAX;

/// Words with the instants they are of, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct History<T> {
    words: VecDeque<(u64, T)>,
}

impl<T> Default for History<T> {
    fn default() -> History<T> {
        History { words: VecDeque::new() }
    }
}

impl<T: Clone> History<T> {
    /// Puts a word in its place; one of the same instant gives way.
    pub(crate) fn put(&mut self, at_ms: u64, value: T) {
        let place = self.words.partition_point(|&(at, _)| at < at_ms);
        match self.words.get_mut(place) {
            Some(word) if word.0 == at_ms => word.1 = value,
            _ => self.words.insert(place, (at_ms, value)),
        }
        if self.words.len() > WORDS_MAX {
            self.words.pop_front();
        }
    }

    /// The last word at or before an instant.
    pub(crate) fn at(&self, at_ms: u64) -> Option<(u64, T)> {
        let place = self.words.partition_point(|&(at, _)| at <= at_ms);
        place.checked_sub(1).map(|last| self.words[last].clone())
    }

    /// Lets go of words that nothing after `before` can ask for.
    pub(crate) fn forget(&mut self, before: u64) {
        while self.words.len() > 1 && self.words[1].0 <= before {
            self.words.pop_front();
        }
    }

    /// All words.
    pub(crate) fn words(&self) -> Vec<(u64, T)> {
        self.words.iter().cloned().collect()
    }

    /// A history of these words, ascending.
    pub(crate) fn of(words: &[(u64, T)]) -> History<T> {
        History { words: words.iter().cloned().collect() }
    }
}
