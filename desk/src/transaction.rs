//! Views that change within a transaction: nothing happens before COMMIT, and then the net effect.
//!
//! Tools replace a view in several steps: drop it and make it anew, or make another, rename both
//! and drop the old one. Done one by one, each step would work off a history, and readers would
//! meet no view in between. So a transaction only remembers what its statements would leave, and
//! COMMIT does the least that leads there: a view that was dropped and made again is replaced,
//! beside what runs, and those that read it stay.
//!
//! Each statement is planned as it comes, over what the transaction has changed so far, so that it
//! is refused at its place. After a refusal only ROLLBACK helps, as everywhere in PostgreSQL.
//!
//! **Invariant:** ROLLBACK, and a client that is gone, change nothing.
//! **Bounds:** the definitions that one transaction makes, at most [`STAGED_MAX`].

use arrow::datatypes::SchemaRef;
use queries::Planner;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::contract::ChangeError;
use schemas::contract::Status;

use crate::change;
use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::role::Principal;

/// Views that one transaction may change.
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

/// What a transaction would leave of the views that it has changed.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// By name, in the order of the last change; nothing where the view is dropped.
    views: Vec<(String, Option<View>)>,
    /// Names that were dropped with what reads them.
    cascading: Vec<String>,
}

/// A definition within a transaction.
#[derive(Clone, Debug)]
struct View {
    /// The statement that makes it, with its name as it is now.
    sql: String,
    columns: SchemaRef,
    /// The name under which it stands outside, if it does.
    outside: Option<String>,
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
        if self.catalog(desk).get(&name).is_some() {
            if if_not_exists {
                return Ok(vec![change::stays(&name)]);
            }
            if !replace {
                return Err(ChangeError::Exists { name }.into());
            }
        }
        let columns = plan.root.schema;
        self.put(&name, Some(View { sql: text, columns, outside: None }))?;
        Ok(vec![format!("{name} takes effect at COMMIT")])
    }

    /// Remembers that a view gets another name.
    ///
    /// # Errors
    /// It is not there, or the name is taken.
    pub(crate) fn rename(&mut self, desk: &Desk, from: &str, to: &str) -> Result<(), DeskError> {
        if self.catalog(desk).get(to).is_some() {
            return Err(ChangeError::Exists { name: to.to_owned() }.into());
        }
        let view = match self.views.iter().find(|(name, _)| name == from) {
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
        self.put(to, Some(View { sql, columns: plan.root.schema, outside }))
    }

    /// Remembers that views go; says what should be known.
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
                        self.cascading.push(name.clone());
                    }
                    self.put(&name, None)?;
                }
                _ if if_exists => notices.push(format!("there is no view {name}")),
                _ => return Err(unknown(&name)),
            }
        }
        Ok(notices)
    }

    fn put(&mut self, name: &str, view: Option<View>) -> Result<(), DeskError> {
        self.views.retain(|(known, _)| known != name);
        if self.views.len() == STAGED_MAX {
            let message = format!("a transaction changes at most {STAGED_MAX} views");
            return Err(DeskError::new(Kind::TooLarge, message));
        }
        self.views.push((name.to_owned(), view));
        Ok(())
    }

    /// The relations as the transaction has them.
    fn catalog(&self, desk: &Desk) -> Catalog {
        let mut catalog = desk.engine.catalog();
        for (name, view) in &self.views {
            catalog.remove(name);
            if let Some(view) = view {
                let schema = view.columns.clone();
                catalog.add(name, RelationInfo { schema, kind: RelationKind::View });
            }
        }
        catalog
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
        let status = desk.engine.status();
        let mut done: Vec<String> = Vec::new();
        let mut notices = Vec::new();
        for step in self.steps(&status) {
            let made = match &step {
                Step::Create { sql, replace, .. } => change::create(desk, by, sql, *replace).await,
                Step::Remove { name, cascade } => {
                    let names = std::slice::from_ref(name);
                    change::remove(desk, by, names, false, *cascade).await
                }
            };
            match made {
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

    /// What leads from the views that stand to those that shall stand.
    fn steps(self, status: &Status) -> Vec<Step> {
        let stands = |name: &str| status.views.iter().any(|view| view.name == name);
        let (made, gone): (Vec<_>, Vec<_>) =
            self.views.into_iter().partition(|(_, view)| view.is_some());
        let mut steps = Vec::new();
        for (name, view) in made {
            let Some(view) = view else { continue };
            if view.outside.as_deref() != Some(name.as_str()) {
                let replace = stands(&name);
                steps.push(Step::Create { name, sql: view.sql, replace });
            }
        }
        // Those that were dropped first may be read by those that were dropped later.
        for (name, _) in gone.into_iter().rev().filter(|(name, _)| stands(name)) {
            let cascade = self.cascading.contains(&name);
            steps.push(Step::Remove { name, cascade });
        }
        steps
    }
}

/// One change that COMMIT makes.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Create { name: String, sql: String, replace: bool },
    Remove { name: String, cascade: bool },
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Create { name, replace: false, .. } => write!(f, "{name} made"),
            Step::Create { name, .. } => write!(f, "{name} replaced"),
            Step::Remove { name, .. } => write!(f, "{name} dropped"),
        }
    }
}

fn unknown(name: &str) -> DeskError {
    DeskError::new(Kind::UnknownRelation, format!("there is no view {name}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use schemas::contract::ViewStatus;

    use super::*;

    fn view(sql: &str, outside: Option<&str>) -> Option<View> {
        let columns = Arc::new(Schema::empty());
        Some(View { sql: sql.to_owned(), columns, outside: outside.map(str::to_owned) })
    }

    #[track_caller]
    fn check(views: Vec<(&str, Option<View>)>, steps: &[&str]) {
        let mut staged = Staged::default();
        for (name, view) in views {
            staged.put(name, view).unwrap();
        }
        let stands = ["v", "w"].map(|name| ViewStatus { name: name.into(), ..Default::default() });
        let status = Status { views: stands.to_vec(), ..Status::default() };
        let said: Vec<String> = staged.steps(&status).iter().map(Step::to_string).collect();
        assert_eq!(said, steps);
    }

    #[test]
    fn what_is_dropped_and_made_again_is_replaced() {
        check(vec![("v", None), ("v", view("new", None))], &["v replaced"]);
    }

    #[test]
    fn two_renames_are_a_replacement() {
        check(
            vec![
                ("v_tmp", view("new", None)),
                ("v", None),
                ("v_backup", view("old", Some("v"))),
                ("v_tmp", None),
                ("v", view("new", None)),
                ("v_backup", None),
            ],
            &["v replaced"],
        );
    }

    #[test]
    fn a_rename_makes_and_drops() {
        check(vec![("v", None), ("x", view("old", Some("v")))], &["x made", "v dropped"]);
    }

    #[test]
    fn what_comes_back_to_its_name_stays() {
        check(vec![("v", None), ("x", None), ("v", view("old", Some("v")))], &[]);
    }

    #[test]
    fn the_last_that_was_dropped_goes_first() {
        check(vec![("w", None), ("v", None), ("new", None)], &["v dropped", "w dropped"]);
    }
}
