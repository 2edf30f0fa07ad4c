//! Asking the data folder: the views' last state and the audit log, beside whoever writes them.
//!
//! Which data an answer shows, which tick, and how old that is, is said on stderr. How old is said
//! twice. In the grid's own time it is the distance to the last tick of the log: a replayed day is
//! not years old because its readings are. By the wall clock it is when the log was written last:
//! an instance that died yesterday must not look fresh.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use gridloom::audit_tables;
use gridloom::config::duration;
use gridloom::data_dir;
use gridloom::data_dir::DataArgs;
use gridloom::data_dir::DataDir;
use gridloom::problem::Told;
use pipeline::log::SignedHead;
use pipeline::views::snapshot;
use pipeline::views::snapshot::OnDisk;
use queries::PlanError;
use queries::batch::Rows;
use queries::plan::statement;
use queries::plan::statement::Named;
use schemas::audit::Kind;
use schemas::contract::Failing;
use schemas::quarantine::Quarantined;
use schemas::relation::Relation;
use schemas::time::Clock;
use schemas::time::Timestamp;
use schemas::view_error::ViewError;

use super::Asks;
use super::Listed;
use super::Output;
use super::print;
use crate::exit::say;

/// A data folder that is asked.
pub(super) struct Local {
    dir: DataDir,
    output: Output,
    /// What was said of the data last: it is not said twice in a row.
    said: String,
}

impl Local {
    /// Finds the folder.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn open(data: &DataArgs, output: Output) -> anyhow::Result<Local> {
        Ok(Local { dir: data_dir::find(data)?, output, said: String::new() })
    }
}

impl Asks for Local {
    fn ask(&mut self, sql: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let dir = &self.dir;
        let snapshot = snapshot::read(&dir.path).context("the views' snapshot cannot be read")?;
        let shown = snapshot.as_ref().map(|snapshot| snapshot.tick);
        let logged = logged(&dir.audit());
        let about = said(dir, shown, logged, dir.age_ms(&Clock::Wall));
        if about != self.said {
            say(&about);
            self.said = about;
        }
        let (mut tables, failing) = read(snapshot);
        let query = statement::query(sql).ok();
        let named = query.map(|query| statement::relations(&query)).unwrap_or_default();
        for kind in Kind::ALL {
            // Only what is asked for is read: a log holds days.
            let name = audit_tables::name(kind);
            let alias = (kind == Kind::Quarantine).then_some(Quarantined::NAME);
            let asked = |named: &Named| named.name == name || Some(named.name.as_str()) == alias;
            let rows = if named.iter().any(asked) {
                audit_tables::rows(&dir.path, kind).context("the audit log cannot be read")?
            } else {
                Rows { schema: audit_tables::columns(kind), batches: Vec::new() }
            };
            tables.insert(name, rows);
        }
        // What was set aside stands in the log; most look for it under its own name.
        if let Some(rows) = tables.get(&audit_tables::name(Kind::Quarantine)).cloned() {
            tables.entry(Quarantined::NAME.to_owned()).or_insert(rows);
        }
        let now = shown.or(logged).unwrap_or_default();
        let answer = queries::table::ask(&tables, &failing, sql, now);
        print::answer(&answer.map_err(|error| told(&error))?, self.output, out)
    }

    fn relations(&mut self) -> anyhow::Result<Vec<Listed>> {
        let dir = &self.dir.path;
        let snapshot = snapshot::read(dir).context("the views' snapshot cannot be read")?;
        let (tables, _) = read(snapshot);
        let views = tables.into_iter().map(|(name, rows)| (name, rows.schema));
        let audit = Kind::ALL.map(|kind| (audit_tables::name(kind), audit_tables::columns(kind)));
        let listed = |(name, schema): (String, arrow::datatypes::SchemaRef)| {
            let column =
                |f: &arrow::datatypes::Field| (f.name().clone(), f.data_type().to_string());
            let columns = schema.fields().iter().map(|field| column(field)).collect();
            Listed { name, columns }
        };
        Ok(views.chain(audit).map(listed).collect())
    }
}

/// The views and their errors as tables, and which of them may not be read.
fn read(snapshot: Option<OnDisk>) -> (BTreeMap<String, Rows>, BTreeMap<String, Failing>) {
    let (views, errors, failing) = match snapshot {
        Some(OnDisk { views, errors, failing, .. }) => (views, errors, failing),
        None => (BTreeMap::new(), ViewError::to_batch(&[]), BTreeMap::new()),
    };
    let mut tables: BTreeMap<String, Rows> =
        views.into_iter().map(|(name, batch)| (name, Rows::of(batch))).collect();
    tables.insert(ViewError::NAME.to_owned(), Rows::of(errors));
    (tables, failing)
}

/// The last tick of the log that is signed.
fn logged(audit: &Path) -> Option<Timestamp> {
    let bytes = std::fs::read(audit.join("head.json")).ok()?;
    serde_json::from_slice::<SignedHead>(&bytes).ok().map(|head| head.tick)
}

fn said(
    dir: &DataDir,
    shown: Option<Timestamp>,
    logged: Option<Timestamp>,
    age_ms: Option<u64>,
) -> String {
    let dir = dir.shown();
    let data = match (shown, logged) {
        (Some(tick), Some(last)) if last > tick => {
            let behind = duration::print(last.0 - tick.0);
            format!("{dir}: views at tick {tick}, {behind} behind the log's last tick {last}")
        }
        (Some(tick), _) => format!("{dir}: tick {tick}, the last of the log"),
        (None, Some(last)) => {
            format!("{dir}: no snapshot of the views yet; the log ends at tick {last}")
        }
        (None, None) => format!("{dir}: nothing is recorded yet"),
    };
    match age_ms {
        Some(age_ms) => format!("{data}; written {} ago", duration::coarse(age_ms)),
        None => data,
    }
}

/// A refusal as a sentence with a hint.
pub(crate) fn told(error: &PlanError) -> Told {
    let at = error.location().map_or(String::new(), |at| format!(" ({at})"));
    Told { message: format!("{error}{at}"), hint: error.hint().map(str::to_owned) }
}
