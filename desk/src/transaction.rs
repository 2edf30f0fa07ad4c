//! Views and indexes that change within a transaction: nothing happens before COMMIT, and then the
//! net effect.
//!
//! Tools replace a view in several steps: drop it and make it anew, or make another, rename both
//! and drop the old one. Done one by one, each step would work off a history, and readers would
//! meet no view in between. So a transaction only remembers what its statements would leave, and
//! COMMIT does the least that leads there ([`decide`]): a view that was dropped and made again is
//! replaced, beside what runs, and those that read it stay. Indexes go with their view, and follow
//! it to another name.
//!
//! Each statement is planned as it comes, over what the transaction has changed so far, so that it
//! is refused at its place. After a refusal only ROLLBACK helps, as everywhere in PostgreSQL.
//!
//! **Invariant:** ROLLBACK, and a client that is gone, change nothing.
//! **Bounds:** the definitions that one transaction makes, at most [`STAGED_MAX`].

mod decide;

use std::collections::BTreeMap;

use queries::Planner;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::contract::ChangeError;

use self::decide::Index;
use self::decide::Left;
use self::decide::Step;
use self::decide::View;
use self::decide::steps;
use crate::change;
use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::index;
use crate::role::Principal;

/// Views and indexes that one transaction may change.
const STAGED_MAX: usize = 1_000;

/// Where a session stands.
#[derive(Debug, Default)]
pub(crate) enum Transaction {
    /// Each statement by itself.
    #[default]
    None,
    /// Within one.
    Open(Staged),
    /// Within one of which a statement failed.
    Failed,
}

/// What a transaction would leave of what it has changed.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    left: Left,
}

impl Staged {
    /// Remembers that a view comes; says what its maker should know.
    ///
    /// # Errors
    /// It cannot be maintained, or the name is taken.
    pub(crate) fn create(
        &mut self,
        desk: &Desk,
        sql: &str,
        replace: bool,
    ) -> Result<Vec<String>, DeskError> {
        let change::Plain { text, if_not_exists } = change::plain(sql)?;
        let planner = Planner::new(self.catalog(desk));
        let plan = planner.view(&text).map_err(|error| DeskError::planned(&error, &text))?;
        let name = plan.name.clone();
        let of_index = self.indexes(desk).contains_key(&name);
        if of_index || self.catalog(desk).get(&name).is_some() {
            if if_not_exists {
                return Ok(vec![change::stays(&name)]);
            }
            if of_index || !replace {
                return Err(change::taken(&desk.engine.status(), name));
            }
        }
        let columns = plan.root.schema;
        self.put(&name, Some(View { sql: text, columns, outside: None }))?;
        Ok(vec![format!("{name} takes effect at COMMIT")])
    }

    /// Remembers that a view gets another name, and its indexes with it.
    ///
    /// # Errors
    /// It is not there, or the name is taken.
    pub(crate) fn rename(&mut self, desk: &Desk, from: &str, to: &str) -> Result<(), DeskError> {
        let indexes = self.indexes(desk);
        if self.catalog(desk).get(to).is_some() || indexes.contains_key(to) {
            return Err(ChangeError::Exists { name: to.to_owned() }.into());
        }
        let view = match self.left.views.iter().find(|(name, _)| name == from) {
            Some((_, view)) => view.as_ref().map(|view| (view.sql.clone(), view.outside.clone())),
            None => {
                let status = desk.engine.status();
                let found = status.views.iter().find(|view| view.name == from);
                found.map(|view| (view.sql.clone(), Some(from.to_owned())))
            }
        };
        let (sql, outside) = view.ok_or_else(|| unknown(from))?;
        let sql = change::renamed(&sql, to)?;
        let plan = Planner::new(self.catalog(desk)).view(&sql);
        let plan = plan.map_err(|error| DeskError::planned(&error, &sql))?;
        self.put(from, None)?;
        self.put(to, Some(View { sql, columns: plan.root.schema, outside }))?;
        for (name, index) in indexes.into_iter().filter(|(_, index)| index.relation == from) {
            self.put_index(&name, Some(Index { relation: to.to_owned(), ..index }))?;
        }
        Ok(())
    }

    /// Remembers that views go, with the indexes on them; says what should be known.
    ///
    /// # Errors
    /// One is not there.
    pub(crate) fn remove(
        &mut self,
        desk: &Desk,
        names: &[String],
        if_exists: bool,
        cascade: bool,
    ) -> Result<Vec<String>, DeskError> {
        let mut notices = Vec::new();
        for name in names {
            let name = change::last_part(name)?;
            let info = self.catalog(desk).get(&name).cloned();
            match info.map(|info| info.kind) {
                Some(RelationKind::View) => {
                    if cascade {
                        self.left.cascading.push(name.clone());
                    }
                    let on = self.indexes(desk).into_iter();
                    for (index, _) in on.filter(|(_, index)| index.relation == name) {
                        self.put_index(&index, None)?;
                        self.left.following.push(index);
                    }
                    self.put(&name, None)?;
                }
                _ if if_exists => notices.push(format!("there is no view {name}")),
                _ => return Err(unknown(&name)),
            }
        }
        Ok(notices)
    }

    /// Remembers that an index comes; says what its maker should know.
    ///
    /// # Errors
    /// It is none that is kept, or the name is taken.
    pub(crate) fn create_index(
        &mut self,
        desk: &Desk,
        sql: &str,
    ) -> Result<Vec<String>, DeskError> {
        let (catalog, indexes) = (self.catalog(desk), self.indexes(desk));
        let taken = |name: &str| catalog.get(name).is_some() || indexes.contains_key(name);
        let index::Planned { plan, if_not_exists } = index::planned(&catalog, sql, taken)?;
        let name = plan.name;
        if taken(&name) {
            return match if_not_exists {
                true => Ok(vec![change::stays(&name)]),
                false => Err(change::taken(&desk.engine.status(), name)),
            };
        }
        self.put_index(&name, Some(Index { relation: plan.relation, columns: plan.columns }))?;
        Ok(vec![format!("{name} takes effect at COMMIT")])
    }

    /// Remembers that indexes go; says what should be known.
    ///
    /// # Errors
    /// One is not there.
    pub(crate) fn remove_indexes(
        &mut self,
        desk: &Desk,
        names: &[String],
        if_exists: bool,
    ) -> Result<Vec<String>, DeskError> {
        let mut notices = Vec::new();
        for name in names {
            if self.indexes(desk).contains_key(name) {
                self.put_index(name, None)?;
            } else if if_exists {
                notices.push(format!("there is no index {name}"));
            } else {
                return Err(ChangeError::NoIndex { name: name.clone() }.into());
            }
        }
        Ok(notices)
    }

    fn put(&mut self, name: &str, view: Option<View>) -> Result<(), DeskError> {
        self.left.views.retain(|(known, _)| known != name);
        self.left.views.push((name.to_owned(), view));
        self.within()
    }

    fn put_index(&mut self, name: &str, index: Option<Index>) -> Result<(), DeskError> {
        self.left.indexes.retain(|(known, _)| known != name);
        self.left.indexes.push((name.to_owned(), index));
        self.within()
    }

    fn within(&self) -> Result<(), DeskError> {
        if self.left.views.len() + self.left.indexes.len() > STAGED_MAX {
            let message = format!("a transaction changes at most {STAGED_MAX} views and indexes");
            return Err(DeskError::new(Kind::TooLarge, message));
        }
        Ok(())
    }

    /// The relations as the transaction has them.
    fn catalog(&self, desk: &Desk) -> Catalog {
        let mut catalog = desk.engine.catalog();
        for (name, view) in &self.left.views {
            catalog.remove(name);
            if let Some(view) = view {
                let schema = view.columns.clone();
                catalog.add(name, RelationInfo { schema, kind: RelationKind::View });
            }
        }
        catalog
    }

    /// The indexes as the transaction has them.
    fn indexes(&self, desk: &Desk) -> BTreeMap<String, Index> {
        let status = desk.engine.status();
        let standing = status.indexes.iter().map(|index| (index.name.clone(), Index::from(index)));
        let mut indexes: BTreeMap<String, Index> = standing.collect();
        for (name, index) in &self.left.indexes {
            match index {
                Some(index) => indexes.insert(name.clone(), index.clone()),
                None => indexes.remove(name),
            };
        }
        indexes
    }

    /// Does what is left to do. Gives what should be known.
    ///
    /// # Errors
    /// The engine refuses a change; those before it are done, and the message names them.
    pub(crate) async fn commit(
        self,
        desk: &Desk,
        by: &Principal,
    ) -> Result<Vec<String>, DeskError> {
        let (status, catalog) = (desk.engine.status(), desk.engine.catalog());
        let mut done: Vec<String> = Vec::new();
        let mut notices = Vec::new();
        for step in steps(self.left, &status, &catalog) {
            match take(&step, desk, by).await {
                Ok(told) => notices.extend(told),
                Err(mut error) if !done.is_empty() => {
                    error.message =
                        format!("{}; done before it: {}", error.message, done.join(", "));
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
            done.push(step.to_string());
        }
        Ok(notices)
    }
}

/// Takes a step. Gives what should be known.
async fn take(step: &Step, desk: &Desk, by: &Principal) -> Result<Vec<String>, DeskError> {
    match step {
        Step::Create { sql, replace, .. } => change::create(desk, by, sql, *replace).await,
        Step::Remove { name, cascade } => {
            let names = std::slice::from_ref(name);
            change::remove(desk, by, names, false, *cascade).await
        }
        Step::CreateIndex { sql, .. } => change::create_index(desk, by, sql).await,
        Step::RemoveIndex { name, follows } => {
            let names = std::slice::from_ref(name);
            match change::remove_indexes(desk, by, names, false).await {
                // Nobody asked for it by name.
                Err(error) if *follows && error.kind == Kind::InUse => {
                    Ok(vec![format!("{}, and stays", error.message)])
                }
                done => done,
            }
        }
    }
}

fn unknown(name: &str) -> DeskError {
    DeskError::new(Kind::UnknownRelation, format!("there is no view {name}"))
}
