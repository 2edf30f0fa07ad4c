//! Weather as it was issued: for one hour, what each issue says of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Said;

/// Two quantities (eastward and northward wind, or speed and nothing) by issue and target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issues {
    /// Steps for which an issue is kept.
    keep: i64,

    /// By the index at which it was issued, by the target's.
    issues: BTreeMap<i64, BTreeMap<i64, [f32; 2]>>,
}

impl Issues {
    /// None; each is kept for so many steps.
    pub fn new(keep: i64) -> Issues {
        Issues { keep, issues: BTreeMap::new() }
    }

    /// Takes a word of an issue, as its first or second quantity. What is not finite is not said.
    pub fn say(&mut self, word: &Said, which: usize) {
        if word.value.is_finite() {
            let issue = self.issues.entry(word.issued).or_default();
            issue.entry(word.index).or_default()[which] = word.value;
        }
    }

    /// Forgets issues that are too old, as of an index.
    pub fn forget(&mut self, index: i64) {
        self.issues = self.issues.split_off(&(index - self.keep));
    }

    /// The issues that speak of a target, the newest first.
    pub fn covering(&self, target: i64) -> impl Iterator<Item = i64> {
        let newest_first = self.issues.iter().rev();
        newest_first.filter(move |(_, said)| said.contains_key(&target)).map(|(issued, _)| *issued)
    }

    /// What an issue says of a target.
    pub fn at(&self, issued: i64, target: i64) -> Option<(f32, f32)> {
        self.issues.get(&issued)?.get(&target).map(|said| (said[0], said[1]))
    }
}
