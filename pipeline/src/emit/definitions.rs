//! Settings and views as the log knows them, and what changed since.
//!
//! An answer depends on more than readings. So the first tick that runs with another setting or
//! another view has a record of it, and a replay that says something else than the log can name
//! what is different.
//!
//! # Bounds
//!
//! One text a setting and a view.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use operators::settings::Settings;
use schemas::audit::ACTOR;
use schemas::audit::Kind;
use schemas::audit::SUBJECT;
use schemas::catalog::Catalog;
use schemas::definition::ConfigChange;
use schemas::definition::ViewChange;
use schemas::relation::ColumnError;
use schemas::relation::Relation;
use schemas::time::Step;
use schemas::time::Timestamp;

use crate::log::LogError;
use crate::log::read_kind;

/// Where a view stands that was there at the start.
pub const FILE: &str = "file";

/// Where a view stands that came by a statement.
pub const STATEMENT: &str = "statement";

/// Who answers for what stands in files.
pub const OPERATOR: &str = "operator";

/// Settings and views at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    /// JSON by path.
    settings: BTreeMap<String, String>,
    views: BTreeMap<String, Defined>,
    /// Who took a view away.
    gone: BTreeMap<String, String>,
    /// What was taken away and made again since the last record.
    anew: BTreeSet<String>,
}

/// A view, as it was asked for. Two are equal where they were asked for in the same words by the
/// same, whenever that was.
#[derive(Clone, Debug)]
pub struct Defined {
    /// [`FILE`] or [`STATEMENT`].
    pub origin: String,
    /// Who asked for it.
    pub by: String,
    /// The statement.
    pub sql: String,
    /// The tick from which it holds, where the log says so.
    pub since: Timestamp,
}

impl PartialEq for Defined {
    fn eq(&self, other: &Defined) -> bool {
        (&self.origin, &self.by, &self.sql) == (&other.origin, &other.by, &other.sql)
    }
}

impl Eq for Defined {}

impl Defined {
    /// A view that stands in a file.
    pub fn in_file(sql: &str) -> Defined {
        Defined { origin: FILE.to_owned(), ..Defined::stated(OPERATOR, sql) }
    }

    /// A view that somebody asked for while the instance ran.
    pub fn stated(by: &str, sql: &str) -> Defined {
        let (by, sql) = (by.to_owned(), sql.to_owned());
        Defined { origin: STATEMENT.to_owned(), by, sql, since: Timestamp(0) }
    }
}

impl Definitions {
    /// What these come to.
    pub fn of(
        step: Step,
        agents: Option<&Settings>,
        catalog: &Catalog,
        views: BTreeMap<String, Defined>,
    ) -> Definitions {
        let mut settings = BTreeMap::new();
        settings.insert("ingest.step_ms".to_owned(), step.millis().to_string());
        let agents = agents.and_then(|settings| serde_json::to_value(settings).ok());
        for (name, value) in agents.iter().filter_map(|v| v.as_object()).flatten() {
            settings.insert(format!("agents.{name}"), value.to_string());
        }
        for stream in catalog.streams() {
            let mut note = |key: &str, ms: u64| {
                settings.insert(format!("streams.{}.{key}", stream.def.name), ms.to_string());
            };
            note("lateness_ms", stream.lateness_ms);
            note("retain_ms", stream.retain_ms);
        }
        Definitions { settings, views, ..Definitions::default() }
    }

    /// Adds or replaces a view; how it was defined before.
    pub fn define(&mut self, view: &str, defined: Defined) -> Option<Defined> {
        if self.gone.remove(view).is_some() {
            self.anew.insert(view.to_owned());
        }
        self.views.insert(view.to_owned(), defined)
    }

    /// Takes a view away.
    pub fn undefine(&mut self, view: &str, by: &str) {
        self.views.remove(view);
        self.anew.remove(view);
        self.gone.insert(view.to_owned(), by.to_owned());
    }

    /// Everything of it is recorded.
    pub fn recorded(&mut self) {
        self.anew.clear();
    }

    /// Takes in the records of a commit.
    ///
    /// # Errors
    /// A record of settings or views lacks a column.
    pub fn replayed(&mut self, records: &[(Kind, RecordBatch)]) -> Result<(), ColumnError> {
        // Some columns became common ones of every record.
        let named = |batch: &RecordBatch, subject: &str| {
            let fields = batch.schema_ref().fields().iter().map(|field| {
                let name = match field.name().as_str() {
                    SUBJECT => subject,
                    ACTOR => "by",
                    name => name,
                };
                field.as_ref().clone().with_name(name)
            });
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            RecordBatch::try_new(schema, batch.columns().to_vec()).expect("only names differ")
        };
        for (kind, batch) in records {
            match kind {
                Kind::Config => {
                    let changes = ConfigChange::from_batch(&named(batch, "setting"))?;
                    self.logged(changes, Vec::new());
                }
                Kind::View => {
                    let changes = ViewChange::from_batch(&named(batch, "view"))?;
                    self.logged(Vec::new(), changes);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes in changes that were recorded.
    pub fn logged(&mut self, settings: Vec<ConfigChange>, views: Vec<ViewChange>) {
        for change in settings {
            match change.setting_value {
                Some(value) => self.settings.insert(change.setting, value),
                None => self.settings.remove(&change.setting),
            };
        }
        for change in views {
            match change.sql {
                Some(sql) => {
                    let (origin, by, since) = (change.origin, change.by, change.tick_at);
                    let defined = Defined { origin, by, sql, since };
                    self.views.insert(change.view, defined)
                }
                None => self.views.remove(&change.view),
            };
        }
    }

    /// Views that came by a statement and are still there.
    pub fn stated(&self) -> impl Iterator<Item = (&str, &Defined)> {
        let stated = self.views.iter().filter(|(_, defined)| defined.origin == STATEMENT);
        stated.map(|(name, defined)| (name.as_str(), defined))
    }

    /// What must be recorded at `tick` so that the log knows `now`.
    pub fn changes_to(
        &self,
        now: &Definitions,
        tick: Timestamp,
    ) -> (Vec<ConfigChange>, Vec<ViewChange>) {
        let settings = differing(&self.settings, &now.settings).map(|setting| ConfigChange {
            tick_at: tick,
            setting: setting.clone(),
            setting_value: now.settings.get(setting).cloned(),
        });
        // What was made again in the same words is another all the same: of a source, other rows.
        let again = now.anew.iter().filter(|view| self.views.get(*view) == now.views.get(*view));
        let mut views: Vec<&String> = differing(&self.views, &now.views).chain(again).collect();
        views.sort();
        let views = views.into_iter().map(|view| {
            let (before, after) = (self.views.get(view), now.views.get(view));
            let change = match (before, after) {
                (None, _) => "created",
                (Some(_), Some(_)) => "replaced",
                (Some(_), None) => "dropped",
            };
            let known = after.or(before).expect("it differs, so one has it");
            ViewChange {
                tick_at: tick,
                view: view.clone(),
                change: change.to_owned(),
                origin: known.origin.clone(),
                by: now.gone.get(view).unwrap_or(&known.by).clone(),
                sql: after.map(|defined| defined.sql.clone()),
            }
        });
        (settings.collect(), views.collect())
    }

    /// The names of settings and views that are not the same in both, for people.
    pub fn differences(&self, other: &Definitions) -> Vec<String> {
        let settings = differing(&self.settings, &other.settings).cloned();
        let views = differing(&self.views, &other.views).map(|view| format!("view {view}"));
        settings.chain(views).collect()
    }
}

/// The views that came by a statement and are still there, as the log in `dir` says.
///
/// # Errors
/// The log cannot be read.
pub fn stated_in(dir: &Path) -> Result<BTreeMap<String, Defined>, LogError> {
    let mut known = Definitions::default();
    if !dir.is_dir() {
        return Ok(BTreeMap::new());
    }
    for batch in read_kind(dir, Kind::View)? {
        let replayed = known.replayed(&[(Kind::View, batch?)]);
        replayed.map_err(|error| LogError::Damaged {
            path: dir.to_owned(),
            offset: 0,
            problem: format!("a record of a view: {error}"),
        })?;
    }
    Ok(known.stated().map(|(name, defined)| (name.to_owned(), defined.clone())).collect())
}

/// The keys whose values are not the same in both, in order.
fn differing<'a, V: PartialEq>(
    one: &'a BTreeMap<String, V>,
    other: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = &'a String> {
    let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(limit_share: f64) -> Definitions {
        let settings = Settings { limit_share, ..Settings::default() };
        let step = schemas::time::DEFAULT_STEP;
        Definitions::of(step, Some(&settings), &Catalog::built_in(), BTreeMap::new())
    }

    #[test]
    fn a_changed_setting_is_recorded_once_and_named() {
        let (before, after) = (settings(0.96), settings(0.9));
        assert_eq!(before.differences(&after), ["agents.limit_share"]);
        let (changes, views) = before.changes_to(&after, Timestamp(5_000));
        assert_eq!((changes.len(), views.len()), (1, 0));
        assert_eq!(changes[0].setting_value.as_deref(), Some("0.9"));
        let mut logged = before.clone();
        logged.logged(changes, views);
        assert_eq!(logged, after);
        assert!(logged.differences(&after).is_empty());
    }

    #[test]
    fn what_was_taken_away_and_made_again_in_the_same_words_is_recorded() {
        let (mut logged, mut now) = (Definitions::default(), Definitions::default());
        let mut recorded = |now: &mut Definitions, tick: u64| -> Vec<String> {
            let (settings, views) = logged.changes_to(now, Timestamp(tick));
            let changes = views.iter().map(|view| format!("{} {}", view.change, view.view));
            let changes = changes.collect();
            logged.logged(settings, views);
            now.recorded();
            assert!(logged.stated().all(|(_, of)| of.since <= Timestamp(tick)));
            changes
        };
        now.define("s", Defined::stated("anna", "a"));
        now.define("t", Defined::stated("anna", "b"));
        assert_eq!(recorded(&mut now, 5_000), ["created s", "created t"]);
        assert!(recorded(&mut now, 10_000).is_empty());
        now.undefine("s", "anna");
        now.define("s", Defined::stated("anna", "a"));
        assert_eq!(recorded(&mut now, 15_000), ["replaced s"]);
        assert!(recorded(&mut now, 20_000).is_empty());
        let since: Vec<u64> = logged.stated().map(|(_, of)| of.since.0).collect();
        assert_eq!(since, [15_000, 5_000]);
    }

    #[test]
    fn a_view_comes_changes_and_goes() {
        let mut logged = Definitions::default();
        let with = |sql: Option<&str>| {
            let view = sql.map(|sql| ("v".to_owned(), Defined::stated("anna", sql)));
            Definitions { views: view.into_iter().collect(), ..Definitions::default() }
        };
        for (sql, change) in [(Some("a"), "created"), (Some("b"), "replaced"), (None, "dropped")] {
            let (settings, views) = logged.changes_to(&with(sql), Timestamp(5_000));
            assert_eq!(views[0].change, change);
            assert_eq!((views[0].origin.as_str(), views[0].by.as_str()), (STATEMENT, "anna"));
            logged.logged(settings, views);
            assert_eq!(logged, with(sql));
        }
    }
}
