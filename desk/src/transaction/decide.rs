//! What COMMIT does: from what a transaction would leave to the changes that lead there.
//!
//! What is dropped and made again is replaced, or stays as it is. An index on a view that takes
//! another's name is made anew under it. Indexes that nobody uses go first, so that they hold no
//! view that changes; then views are made; then goes what goes, users before what they use; indexes
//! come last, when what they are on is there.
//!
//! **Invariant:** the same facts give the same changes in the same order.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use arrow::datatypes::SchemaRef;
use schemas::catalog::Catalog;
use schemas::contract::IndexStatus;
use schemas::contract::Status;

use crate::index;

/// What a transaction would leave of what it has changed.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// By name, in the order of the last change; nothing where the view is dropped.
    pub(super) views: Vec<(String, Option<View>)>,
    /// The same of indexes.
    pub(super) indexes: Vec<(String, Option<Index>)>,
    /// Views that were dropped with what reads them.
    pub(super) cascading: Vec<String>,
    /// Indexes that were dropped with what they are on.
    pub(super) following: Vec<String>,
}

/// A view within a transaction.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The statement that makes it, with its name as it is now.
    pub(super) sql: String,
    pub(super) columns: SchemaRef,
    /// The name under which it stands outside, if it does.
    pub(super) outside: Option<String>,
}

/// An index within a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    /// What it is on, with its name as it is now.
    pub(super) relation: String,
    pub(super) columns: Vec<String>,
}

impl From<&IndexStatus> for Index {
    fn from(status: &IndexStatus) -> Index {
        Index { relation: status.relation.clone(), columns: status.columns.clone() }
    }
}

/// One change that COMMIT makes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A view comes, or takes the place of another.
    Create { name: String, sql: String, replace: bool },
    /// A view goes, with what reads it if it cascades.
    Remove { name: String, cascade: bool },
    /// An index comes.
    CreateIndex { name: String, sql: String },
    /// An index goes; one that follows what it is on may stay, where others use it.
    RemoveIndex { name: String, follows: bool },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Create { name, replace: false, .. } | Step::CreateIndex { name, .. } => {
                write!(f, "{name} made")
            }
            Step::Create { name, .. } => write!(f, "{name} replaced"),
            Step::Remove { name, .. } | Step::RemoveIndex { name, .. } => {
                write!(f, "{name} dropped")
            }
        }
    }
}

/// What leads from what stands, over the relations of `catalog`, to what shall stand.
pub(super) fn steps(left: Left, status: &Status, catalog: &Catalog) -> Vec<Step> {
    let Left { views, indexes, cascading, following } = left;
    let stands = |name: &str| status.views.iter().any(|view| view.name == name);
    // An index holds columns by their places.
    let reshaped = |relation: &str| {
        let view = views.iter().find(|(name, _)| name == relation);
        let columns = view.and_then(|(_, view)| view.as_ref()).map(|view| &view.columns);
        columns.is_some_and(|new| catalog.get(relation).is_none_or(|info| info.schema != *new))
    };
    let goes = |name: String| Step::RemoveIndex { follows: following.contains(&name), name };
    let (mut first, mut going, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for (name, index) in indexes {
        let outside = status.indexes.iter().find(|outside| outside.name == name);
        let same = |index: &Index| {
            outside.is_some_and(|outside| Index::from(outside) == *index)
                && !reshaped(&index.relation)
        };
        if index.as_ref().is_some_and(same) {
            continue;
        }
        match outside {
            Some(outside) if outside.used_by.is_empty() => first.push(goes(name.clone())),
            Some(_) => going.push(name.clone()),
            None => {}
        }
        if let Some(Index { relation, columns }) = index {
            let sql = index::statement(&name, &relation, &columns);
            last.push(Step::CreateIndex { name, sql });
        }
    }
    let mut steps = first;
    for (name, view) in views {
        match view {
            Some(view) if view.outside.as_ref() != Some(&name) => {
                let replace = stands(&name);
                steps.push(Step::Create { name, sql: view.sql, replace });
            }
            None if stands(&name) => going.push(name),
            _ => {}
        }
    }
    let index = |name: &str| status.indexes.iter().any(|index| index.name == name);
    for name in users_first(&going, status) {
        steps.push(match index(&name) {
            true => goes(name),
            false => Step::Remove { cascade: cascading.contains(&name), name },
        });
    }
    steps.extend(last);
    steps
}

/// Views and indexes, each after those among them that read or use it.
fn users_first(names: &[String], status: &Status) -> Vec<String> {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut uses = |what: &str, user: &str| {
        // What stays is no matter here.
        let of = |name: &str| names.iter().find(|known| *known == name);
        if let (Some(what), Some(user)) = (of(what), of(user)) {
            users.entry(what).or_default().push(user);
        }
    };
    for view in &status.views {
        view.reads.iter().for_each(|read| uses(read, &view.name));
    }
    for index in &status.indexes {
        uses(&index.relation, &index.name);
        index.used_by.iter().for_each(|view| uses(&index.name, view));
    }
    let mut ordered = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        after_users(name, &users, &mut seen, &mut ordered);
    }
    ordered
}

fn after_users<'a>(
    name: &'a str,
    users: &BTreeMap<&'a str, Vec<&'a str>>,
    seen: &mut BTreeSet<&'a str>,
    ordered: &mut Vec<String>,
) {
    if seen.insert(name) {
        for user in users.get(name).into_iter().flatten().copied() {
            after_users(user, users, seen, ordered);
        }
        ordered.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests;
