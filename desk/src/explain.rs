//! The text of a maintained plan, and of the statement that made a view.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use queries::Planner;
use queries::plan::refuse::nearest;
use schemas::contract::Status;
use schemas::contract::ViewStatus;

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
        PlanOf::Text(sql) => Ok(plan(sql)?.explain()),
        PlanOf::Source(name) => Ok(view(&desk.engine.status(), name)?.sql.clone()),
        PlanOf::View { name, analyze } => {
            let status = desk.engine.status();
            let view = view(&status, name)?;
            let mut text = plan(&view.sql)?.explain();
            // A plan of a text has no name of its own.
            text = text.replacen("view query ", &format!("view {name} "), 1);
            if *analyze {
                text.push_str(&kept(&status, view));
            }
            Ok(text)
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

/// What a view has and keeps just now.
fn kept(status: &Status, view: &ViewStatus) -> String {
    let mut lines = vec![format!(
        "at tick {}: {} rows, {} faults, {} % of its history worked off",
        view.tick,
        view.rows,
        view.faults.len(),
        view.hydrated
    )];
    let own = status.arrangements.iter().filter(|kept| kept.view == view.name);
    lines.extend(own.map(|kept| {
        format!("  {}: {} rows, {} bytes, bound: {}", kept.node, kept.rows, kept.bytes, kept.bound)
    }));
    lines.join("\n")
}
