//! Views that come and go.
//!
//! A view is planned over what is there, and handed to the engine, which builds it beside what
//! runs. Changes are made one after the other. The name may be written with its database and
//! schema, as tools write it; the text that is kept has the plain name.

use datafusion::sql::sqlparser::tokenizer::Token;
use queries::PlanError;
use queries::Planner;
use schemas::contract::ChangeError;
use schemas::contract::Status;

use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::relations::DATABASE;
use crate::relations::PUBLIC;
use crate::role::Principal;
use crate::text;

/// A `CREATE MATERIALIZED VIEW`, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// The text, with the plain name and without `IF NOT EXISTS`.
    pub(crate) text: String,
    /// Whether a view of that name may be there already.
    pub(crate) if_not_exists: bool,
}

/// The text with the view's plain name. A text that creates no view stays as it is.
///
/// # Errors
/// The text is no SQL, or the view is put into another schema.
pub(crate) fn plain(sql: &str) -> Result<Plain, DeskError> {
    let words = text::words(sql)?;
    let as_it_is = Plain { text: sql.trim().to_owned(), if_not_exists: false };
    let view = words.iter().take(5).position(|word| word.is("VIEW"));
    let Some(view) = view.filter(|_| words[0].is("CREATE")) else { return Ok(as_it_is) };
    let mut from = view + 1;
    let there = |at: usize, word: &str| words.get(at).is_some_and(|w| w.is(word));
    let if_not_exists = there(from, "IF") && there(from + 1, "NOT") && there(from + 2, "EXISTS");
    if if_not_exists {
        from += 3;
    }
    let mut last = from;
    let mut parts = vec![words.get(from).and_then(text::Word::name)];
    while words.get(last + 1).is_some_and(|word| word.token == Token::Period) {
        last += 2;
        parts.push(words.get(last).and_then(text::Word::name));
    }
    let Some(parts) = parts.into_iter().collect::<Option<Vec<String>>>() else {
        return Ok(as_it_is);
    };
    let (schema, database) = match parts.as_slice() {
        [schema, _] => (schema.as_str(), DATABASE),
        [database, schema, _] => (schema.as_str(), database.as_str()),
        _ => (PUBLIC, DATABASE),
    };
    if schema != PUBLIC || database != DATABASE {
        let message = format!("a view cannot be put into {database}.{schema}");
        let hint = format!("views are in the schema {PUBLIC} of the database {DATABASE}");
        return Err(DeskError::new(Kind::Unsupported, message).hint(hint));
    }
    let before = &sql[..words[view].start + "VIEW".len()];
    let text = format!("{before} {}", &sql[words[last].start..]);
    Ok(Plain { text: text.trim().to_owned(), if_not_exists })
}

/// Makes a view, and gives what its maker should know.
///
/// # Errors
/// It cannot be maintained, or the engine refuses it.
pub(crate) async fn create(
    desk: &Desk,
    by: &Principal,
    sql: &str,
    replace: bool,
) -> Result<Vec<String>, DeskError> {
    let Plain { text, if_not_exists } = plain(sql)?;
    let _one_at_a_time = desk.changing.lock().await;
    let planner = Planner::new(desk.engine.catalog());
    let plan = planner.view(&text).map_err(|error| DeskError::planned(&error, &text))?;
    let name = plan.name.clone();
    if let Some(path) = circle(&desk.engine.status(), &name, &plan.reads) {
        return Err(DeskError::planned(&PlanError::Cycle { path }, &text));
    }
    match desk.engine.create(plan, replace, &by.user) {
        Ok(tick) => {
            tracing::info!(user = %by.user, view = %name, %tick, replace, "view made");
            Ok(vec![format!(
                "{name} takes effect at tick {tick}; gridloom.views shows how far it is"
            )])
        }
        Err(ChangeError::Exists { .. }) if if_not_exists => {
            Ok(vec![format!("{name} is there already, and stays as it is")])
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes views away, and gives what should be known.
///
/// # Errors
/// One is not there, or others read it.
pub(crate) async fn remove(
    desk: &Desk,
    by: &Principal,
    names: &[String],
    if_exists: bool,
) -> Result<Vec<String>, DeskError> {
    let _one_at_a_time = desk.changing.lock().await;
    let mut notices = Vec::new();
    for name in names {
        let name = last_part(name)?;
        match desk.engine.remove(&name, &by.user) {
            Ok(tick) => {
                tracing::info!(user = %by.user, view = %name, %tick, "view dropped");
            }
            Err(ChangeError::Unknown { name }) if if_exists => {
                notices.push(format!("there is no view {name}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(notices)
}

/// A view's name without its schema.
fn last_part(name: &str) -> Result<String, DeskError> {
    let words = text::words(name)?;
    let parts: Option<Vec<String>> = words.iter().step_by(2).map(text::Word::name).collect();
    match parts.as_deref() {
        Some([name]) => Ok(name.clone()),
        Some([schema, name]) if schema == PUBLIC => Ok(name.clone()),
        Some([database, schema, name]) if database == DATABASE && schema == PUBLIC => {
            Ok(name.clone())
        }
        _ => Err(DeskError::new(Kind::UnknownRelation, format!("there is no view {name}"))),
    }
}

/// The circle that a view would close: its name, those it reads, and its name again.
fn circle(status: &Status, name: &str, reads: &[String]) -> Option<Vec<String>> {
    let mut paths: Vec<Vec<String>> =
        reads.iter().map(|read| vec![name.to_owned(), read.clone()]).collect();
    let mut seen = std::collections::BTreeSet::new();
    while let Some(path) = paths.pop() {
        let at = path.last().expect("a path has a beginning").clone();
        if at == name {
            return Some(path);
        }
        if !seen.insert(at.clone()) {
            continue;
        }
        let view = status.views.iter().find(|view| view.name == at);
        for read in view.into_iter().flat_map(|view| &view.reads) {
            let mut longer = path.clone();
            longer.push(read.clone());
            paths.push(longer);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::contract::ViewStatus;

    #[track_caller]
    fn check(sql: &str, text: &str, if_not_exists: bool) {
        let expected = Plain { text: text.to_owned(), if_not_exists };
        assert_eq!(plain(sql).unwrap(), expected);
    }

    #[test]
    fn a_name_loses_its_database_and_schema() {
        let text = "CREATE MATERIALIZED VIEW \"v\" AS SELECT 1";
        check("CREATE MATERIALIZED VIEW \"gridloom\".\"public\".\"v\" AS SELECT 1", text, false);
        check(
            "create materialized view if not exists public.v as x",
            "create materialized view v as x",
            true,
        );
        check("SELECT 1", "SELECT 1", false);
        assert!(plain("CREATE MATERIALIZED VIEW audit.v AS SELECT 1").is_err());
    }

    #[test]
    fn a_view_that_comes_to_read_itself_closes_a_circle() {
        let view = |name: &str, reads: &[&str]| ViewStatus {
            name: name.to_owned(),
            reads: reads.iter().map(|&read| read.to_owned()).collect(),
            ..ViewStatus::default()
        };
        let views = vec![view("a", &["meters"]), view("b", &["a"])];
        let status = Status { views, ..Status::default() };
        let reads = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let path = circle(&status, "a", &reads(&["b"])).unwrap();
        assert_eq!(path, ["a", "b", "a"]);
        assert_eq!(circle(&status, "c", &reads(&["b"])), None);
    }
}
