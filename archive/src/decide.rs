//! What to do about the table's files, told what there is.
//!
//! Each seal adds a file a kind, and files of a few kilobytes are slow to read and dear to list. So
//! the files of a kind and day become one as soon as there are [`Policy::compact_files`] of them,
//! and once more when the day is over. Whole days leave by [`Policy::retain_ms`], and by nothing
//! else.

use std::collections::BTreeMap;

use schemas::time::Timestamp;

use crate::table::Position;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * schemas::time::HOUR_MS;

/// How the archive is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Files of a kind and day that become one.
    pub compact_files: usize,
    /// How long records stay, in the grid's time; `None` for ever.
    pub retain_ms: Option<u64>,
}

/// The files of one kind and day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    /// The day, in days since the epoch.
    pub(crate) day: u64,
    /// The kind's name.
    pub(crate) kind: String,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Whose files become one.
    pub(crate) compact: Vec<Group>,
    /// Days before this one leave.
    pub(crate) retire_before: Option<u64>,
}

/// The day of an instant.
pub(crate) fn day_of(at: Timestamp) -> u64 {
    at.0 / DAY_MS
}

/// Decides, from the number of files of each kind and day.
pub(crate) fn decide(files: &BTreeMap<Group, usize>, sealed: Position, policy: Policy) -> Decision {
    let today = day_of(sealed.tick);
    let oldest = files.keys().map(|group| group.day).min();
    let first = policy.retain_ms.map(|retain_ms| day_of(sealed.tick.minus(retain_ms)));
    let retire_before = first.filter(|first| oldest.is_some_and(|oldest| oldest < *first));
    let stays = |group: &&Group| retire_before.is_none_or(|first| group.day >= first);
    let many = |group: &&Group| {
        let enough = if group.day < today { 2 } else { policy.compact_files.max(2) };
        files[*group] >= enough
    };
    let compact = files.keys().filter(stays).filter(many).cloned().collect();
    Decision { compact, retire_before }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(day: u64, kind: &str) -> Group {
        Group { day, kind: kind.to_owned() }
    }

    /// Decides at noon of day 10 about files as (day, kind, how many).
    #[track_caller]
    fn check(
        files: &[(u64, &str, usize)],
        retain_days: Option<u64>,
        compact: &[(u64, &str)],
        retire_before: Option<u64>,
    ) {
        let files = files.iter().map(|(day, kind, n)| (group(*day, kind), *n)).collect();
        let sealed = Position { count: 1, tick: Timestamp(10 * DAY_MS + DAY_MS / 2) };
        let retain_ms = retain_days.map(|days| days * DAY_MS);
        let decision = decide(&files, sealed, Policy { compact_files: 4, retain_ms });
        let compact = compact.iter().map(|(day, kind)| group(*day, kind)).collect();
        assert_eq!(decision, Decision { compact, retire_before });
    }

    #[test]
    fn a_few_files_of_today_stay() {
        check(&[(10, "action", 3), (10, "alarm", 1)], None, &[], None);
    }

    #[test]
    fn many_files_of_today_become_one() {
        check(&[(10, "action", 4), (10, "alarm", 3)], None, &[(10, "action")], None);
    }

    #[test]
    fn a_day_that_is_over_is_one_file() {
        check(&[(9, "action", 2), (9, "alarm", 1)], None, &[(9, "action")], None);
    }

    #[test]
    fn whole_days_leave_by_policy() {
        check(&[(7, "action", 1), (8, "action", 1)], Some(2), &[], Some(8));
        check(&[(8, "action", 1)], Some(2), &[], None);
        check(&[(0, "action", 1)], None, &[], None);
    }

    #[test]
    fn what_leaves_is_not_compacted() {
        check(&[(7, "action", 9), (8, "action", 9)], Some(2), &[(8, "action")], Some(8));
    }
}
