//! The text of a maintained plan, and of the statement that made a view.
//!
//! Which indexes a view reads from is decided where it is made. So of a view that is there it is
//! said as the engine tells it, at the joins that share one and below the plan; of a text it is
//! said which indexes there are on what it reads.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use queries::Planner;
use queries::plan::refuse::nearest;
use schemas::contract::ArrangementStatus;
use schemas::contract::IndexStatus;
use schemas::contract::Status;
use schemas::contract::ViewStatus;
use schemas::plan::explain::Arranged;

use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::run;
use crate::run::Answer;
use crate::statement::PlanOf;

/// The one column.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("plan", DataType::Utf8, false)]))
}

/// The lines of a plan, or of a statement.
///
/// # Errors
/// The view is not there, or the text cannot be maintained.
pub(crate) fn answer(desk: &Desk, of: &PlanOf) -> Result<Answer, DeskError> {
    let text = text(desk, of)?;
    let lines: Vec<&str> = text.lines().collect();
    let column = Arc::new(StringArray::from(lines));
    let rows = RecordBatch::try_new(schema(), vec![column]).expect("one column of texts");
    Ok(run::at_hand(desk.runtime(), desk.engine.tick(), rows))
}

fn text(desk: &Desk, of: &PlanOf) -> Result<String, DeskError> {
    let planner = || Planner::new(desk.engine.catalog());
    let plan = |sql: &str| {
        let sql = crate::change::plain(sql)?.text;
        planner().select(&sql).map_err(|error| DeskError::planned(&error, &sql))
    };
    match of {
        PlanOf::Text(sql) => {
            let plan = plan(sql)?;
            Ok(plan.explain() + &there(&desk.engine.status(), &plan.reads))
        }
        PlanOf::Source(name) => Ok(view(&desk.engine.status(), name)?.sql.clone()),
        PlanOf::View { name, analyze } => {
            let status = desk.engine.status();
            let view = view(&status, name)?;
            let plan = plan(&view.sql)?;
            let mut kept = Kept::of(&status, name);
            let mut text = plan.explain_with(&mut |arranged| kept.now(arranged, *analyze));
            text.push_str(&used(&status, name));
            if *analyze {
                text.push_str(&stands(view));
                text.push_str(&kept.total());
            }
            // A plan of a text has no name of its own.
            Ok(text.replacen("view query ", &format!("view {name} "), 1))
        }
    }
}

fn view<'a>(status: &'a Status, name: &str) -> Result<&'a ViewStatus, DeskError> {
    let names = || status.views.iter().map(|view| view.name.as_str());
    status.views.iter().find(|view| view.name == name).ok_or_else(|| {
        let message = format!("there is no view {name}");
        DeskError::new(Kind::UnknownRelation, message).hint(nearest(name, names()))
    })
}

/// The indexes from which a view reads.
fn used(status: &Status, view: &str) -> String {
    let uses = |index: &&IndexStatus| index.used_by.iter().any(|user| user == view);
    let used = status.indexes.iter().filter(uses);
    used.map(|index| format!("reads {} from the index {}\n", index.relation, by(index))).collect()
}

/// The indexes on what a plan reads.
fn there(status: &Status, reads: &[String]) -> String {
    let on = status.indexes.iter().filter(|index| reads.contains(&index.relation));
    let said = on.map(|index| {
        let past = match index.hydrated {
            100 => String::new(),
            percent => format!(", {percent} % of its history worked off"),
        };
        format!("{} has the index {}{past}\n", index.relation, by(index))
    });
    said.collect()
}

/// An index with its columns.
fn by(index: &IndexStatus) -> String {
    format!("{} ({})", index.name, index.columns.join(", "))
}

/// What a view shows just now.
fn stands(view: &ViewStatus) -> String {
    format!(
        "at tick {}: {} rows, {} faults, {} % of its history worked off\n",
        view.tick,
        view.rows,
        view.faults.len(),
        view.hydrated
    )
}

/// What a view keeps just now; each arrangement is told once.
struct Kept<'a> {
    own: Vec<&'a ArrangementStatus>,
    indexes: Vec<&'a str>,
    told: usize,
}

impl<'a> Kept<'a> {
    fn of(status: &'a Status, view: &str) -> Kept<'a> {
        let own = status.arrangements.iter().filter(|kept| kept.view == view).collect();
        let indexes = status.indexes.iter().map(|index| index.name.as_str()).collect();
        Kept { own, indexes, told: 0 }
    }

    /// Whether an arrangement of the plan is an index, and `with_rows` what it keeps and who else
    /// uses it. The engine lists them in the order of the plan.
    fn now(&mut self, arranged: &Arranged, with_rows: bool) -> Option<String> {
        let same =
            |kept: &&ArrangementStatus| kept.node == arranged.node && kept.bound == arranged.bound;
        let at = self.told + self.own[self.told..].iter().position(same)?;
        self.told = at + 1;
        let ArrangementStatus { rows, bytes, shared_with, .. } = self.own[at];
        let others = shared_with.iter().map(String::as_str);
        let (indexes, views): (Vec<&str>, Vec<&str>) =
            others.partition(|other| self.indexes.contains(other));
        let mut said = Vec::new();
        if with_rows {
            said.push(format!("{rows} rows, {bytes} bytes"));
        }
        if !indexes.is_empty() {
            said.push(format!("in the index {}", indexes.join(", ")));
        }
        if with_rows && !views.is_empty() {
            said.push(format!("shared with {}", views.join(", ")));
        }
        (!said.is_empty()).then(|| said.join(", "))
    }

    fn total(&self) -> String {
        let (rows, bytes) = self
            .own
            .iter()
            .fold((0, 0), |(rows, bytes), kept| (rows + kept.rows, bytes + kept.bytes));
        format!("in all it keeps {rows} rows, {bytes} bytes (estimated)")
    }
}
