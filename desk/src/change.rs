//! Views, indexes and sources that come and go.
//!
//! A view is planned over what is there, and handed to the engine, which builds it beside what
//! runs. Changes are made one after the other. The name may be written with its database and
//! schema, as tools write it; the text that is kept has the plain name. The indexes on what goes
//! away go with it, unless others read it.

use datafusion::sql::sqlparser::tokenizer::Token;
use queries::PlanError;
use queries::Planner;
use queries::source::SourceStatement;
use schemas::contract::ChangeError;
use schemas::contract::Status;
use schemas::contract::ViewStatus;
use schemas::time::Timestamp;

use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::index;
use crate::index::Planned;
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

/// Where the name of a view stands among the words of the statement that makes it.
struct NameAt {
    /// The word `VIEW`.
    view: usize,
    /// The last word of the name.
    last: usize,
    parts: Vec<String>,
    if_not_exists: bool,
}

fn name_at(words: &[text::Word]) -> Option<NameAt> {
    let view = words.iter().take(5).position(|word| word.is("VIEW"))?;
    if !words[0].is("CREATE") {
        return None;
    }
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
    let parts = parts.into_iter().collect::<Option<Vec<String>>>()?;
    Some(NameAt { view, last, parts, if_not_exists })
}

/// The text with the view's plain name. A text that creates no view stays as it is.
///
/// # Errors
/// The text is no SQL, or the view is put into another schema.
pub(crate) fn plain(sql: &str) -> Result<Plain, DeskError> {
    let words = text::words(sql)?;
    let Some(NameAt { view, last, parts, if_not_exists }) = name_at(&words) else {
        return Ok(Plain { text: sql.trim().to_owned(), if_not_exists: false });
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

/// The statement that makes the same view under another name.
///
/// # Errors
/// The text is none that makes a view.
pub(crate) fn renamed(sql: &str, to: &str) -> Result<String, DeskError> {
    let words = text::words(sql)?;
    let Some(NameAt { view, last, .. }) = name_at(&words) else {
        return Err(DeskError::new(Kind::Internal, "the statement that made the view is lost"));
    };
    let before = &sql[..words[view].start + "VIEW".len()];
    let name = words[last].start + words[last].token.to_string().len();
    let quoted = to.replace('"', "\"\"");
    Ok(format!("{before} \"{quoted}\"{}", &sql[name..]))
}

/// What is said where `IF NOT EXISTS` finds something.
pub(crate) fn stays(name: &str) -> String {
    format!("{name} is there already, and stays as it is")
}

/// What is said of a name that a view or an index has.
pub(crate) fn taken(status: &Status, name: String) -> DeskError {
    let of_index = status.indexes.iter().any(|index| index.name == name);
    let hint = format!("it is an index: DROP INDEX {} takes it away", index::quoted(&name));
    let error = DeskError::from(ChangeError::Exists { name });
    if of_index { error.hint(hint) } else { error }
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
        Err(ChangeError::Exists { .. }) if if_not_exists => Ok(vec![stays(&name)]),
        Err(ChangeError::Exists { name }) => Err(taken(&desk.engine.status(), name)),
        Err(error) => Err(error.into()),
    }
}

/// Takes views away, with those that read them if it cascades, and gives what should be known.
///
/// # Errors
/// One is not there, or others read it.
pub(crate) async fn remove(
    desk: &Desk,
    by: &Principal,
    names: &[String],
    if_exists: bool,
    cascade: bool,
) -> Result<Vec<String>, DeskError> {
    let _one_at_a_time = desk.changing.lock().await;
    let mut notices = Vec::new();
    for name in names {
        let name = last_part(name)?;
        let readers = if cascade { readers(&desk.engine.status(), &name) } else { Vec::new() };
        for reader in readers {
            let (tick, told) =
                with_indexes(desk, by, &reader, |v| desk.engine.remove(v, &by.user))?;
            tracing::info!(user = %by.user, view = %reader, %tick, "view dropped");
            notices.extend(told);
            notices.push(format!("{reader} read {name} and is dropped too"));
        }
        match with_indexes(desk, by, &name, |v| desk.engine.remove(v, &by.user)) {
            Ok((tick, told)) => {
                tracing::info!(user = %by.user, view = %name, %tick, "view dropped");
                notices.extend(told);
            }
            Err(ChangeError::Unknown { name }) if if_exists => {
                notices.push(format!("there is no view {name}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(notices)
}

/// Makes an index, and gives what its maker should know. One on a view that works off its history
/// begins when that can be read: tools make a view and its indexes in one go.
///
/// # Errors
/// It is none that is kept, or its name is taken.
pub(crate) async fn create_index(
    desk: &Desk,
    by: &Principal,
    sql: &str,
) -> Result<Vec<String>, DeskError> {
    let _one_at_a_time = desk.changing.lock().await;
    let (catalog, status) = (desk.engine.catalog(), desk.engine.status());
    let of_index = |name: &str| status.indexes.iter().any(|index| index.name == name);
    let known = |name: &str| catalog.get(name).is_some() || of_index(name);
    let Planned { plan, if_not_exists } = index::planned(&catalog, sql, known)?;
    let (name, relation) = (plan.name.clone(), plan.relation.clone());
    match desk.engine.create_index(plan, &by.user) {
        Ok(tick) => {
            tracing::info!(user = %by.user, index = %name, of = %relation, %tick, "index made");
            Ok(vec![format!(
                "{name} takes effect at tick {tick}; gridloom.indexes shows how far it is"
            )])
        }
        Err(ChangeError::Exists { .. }) if if_not_exists => Ok(vec![stays(&name)]),
        Err(ChangeError::Exists { .. }) if of_index(&name) => Err(taken(&status, name)),
        Err(error @ ChangeError::Exists { .. }) => {
            Err(DeskError::from(error).hint("call the index something else"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes indexes away, and gives what should be known.
///
/// # Errors
/// One is not there, or views use it.
pub(crate) async fn remove_indexes(
    desk: &Desk,
    by: &Principal,
    names: &[String],
    if_exists: bool,
) -> Result<Vec<String>, DeskError> {
    let _one_at_a_time = desk.changing.lock().await;
    let mut notices = Vec::new();
    for name in names {
        match desk.engine.remove_index(name, &by.user) {
            Ok(tick) => tracing::info!(user = %by.user, index = %name, %tick, "index dropped"),
            Err(ChangeError::NoIndex { name }) if if_exists => {
                notices.push(format!("there is no index {name}"));
            }
            Err(ChangeError::Read { name, readers }) => return Err(used(&name, &readers)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(notices)
}

/// What is said of an index that views use.
fn used(name: &str, views: &[String]) -> DeskError {
    let message = format!("{name} is used by {}", views.join(", "));
    let quoted: Vec<String> = views.iter().map(|view| index::quoted(view)).collect();
    let first = format!("DROP MATERIALIZED VIEW {} comes first", quoted.join(", "));
    let hint = format!("{first}: no view goes with an index, also not by CASCADE");
    DeskError::new(Kind::InUse, message).hint(hint)
}

/// Takes away what `remove` does by its name, and before it its indexes where nothing else reads
/// it. Gives the tick, and what should be known.
fn with_indexes(
    desk: &Desk,
    by: &Principal,
    name: &str,
    remove: impl Fn(&str) -> Result<Timestamp, ChangeError>,
) -> Result<(Timestamp, Vec<String>), ChangeError> {
    let readers = match remove(name) {
        Ok(tick) => return Ok((tick, Vec::new())),
        Err(ChangeError::Read { readers, .. }) => readers,
        Err(error) => return Err(error),
    };
    let status = desk.engine.status();
    let own = status.indexes.iter().filter(|index| index.relation == name);
    let own: Vec<&str> = own.map(|index| index.name.as_str()).collect();
    // The engine may say of a reader that it is an index.
    let plain = |reader: &String| {
        let reader = reader.as_str();
        own.contains(&reader.strip_prefix("the index ").unwrap_or(reader))
    };
    let used = status.indexes.iter().any(|i| i.relation == name && !i.used_by.is_empty());
    if used || !readers.iter().all(plain) {
        return Err(ChangeError::Read { name: name.to_owned(), readers });
    }
    let mut notices = Vec::new();
    for index in own {
        let tick = desk.engine.remove_index(index, &by.user)?;
        tracing::info!(user = %by.user, index = %index, %tick, "index dropped");
        notices.push(format!("{index} arranged {name} and is dropped too"));
    }
    Ok((remove(name)?, notices))
}

/// Makes a source, and gives what its maker should know.
///
/// # Errors
/// The name is taken, or its door does not open.
pub(crate) async fn create_source(
    desk: &Desk,
    by: &Principal,
    source: &SourceStatement,
) -> Result<Vec<String>, DeskError> {
    let _one_at_a_time = desk.changing.lock().await;
    let SourceStatement { plan, if_not_exists } = source;
    let name = plan.settings.def.name.clone();
    if *if_not_exists && desk.engine.catalog().get(&name).is_some() {
        return Ok(vec![stays(&name)]);
    }
    let (engine, plan, user) = (desk.engine.clone(), plan.clone(), by.user.clone());
    // A door may take seconds to open.
    let opened = desk.runtime().spawn_blocking(move || engine.create_source(plan, &user)).await;
    let tick = opened.map_err(|error| DeskError::new(Kind::Internal, error.to_string()))??;
    tracing::info!(user = %by.user, source = %name, %tick, "source made");
    Ok(vec![format!("rows of {name} are taken from tick {tick} on")])
}

/// Takes sources away, and gives what should be known.
///
/// # Errors
/// One is not there, did not come by a statement, or views read it.
pub(crate) async fn remove_sources(
    desk: &Desk,
    by: &Principal,
    names: &[String],
    if_exists: bool,
) -> Result<Vec<String>, DeskError> {
    let _one_at_a_time = desk.changing.lock().await;
    let mut notices = Vec::new();
    for name in names {
        match with_indexes(desk, by, name, |s| desk.engine.remove_source(s, &by.user)) {
            Ok((tick, told)) => {
                tracing::info!(user = %by.user, source = %name, %tick, "source dropped");
                notices.extend(told);
            }
            Err(ChangeError::NoSource { name }) if if_exists => {
                notices.push(format!("there is no source {name}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(notices)
}

/// The views that read a view, directly or through others, each before those that it reads.
fn readers(status: &Status, name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let reads = |view: &ViewStatus, name: &str| view.reads.iter().any(|read| read == name);
    for view in status.views.iter().filter(|view| reads(view, name)) {
        let before = readers(status, &view.name);
        found.extend(before.into_iter().chain([view.name.clone()]));
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|reader| seen.insert(reader.clone()));
    found
}

/// A view's name without its schema.
pub(crate) fn last_part(name: &str) -> Result<String, DeskError> {
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
    fn a_statement_gets_another_name() {
        let sql = "CREATE MATERIALIZED VIEW v WITH (on_error = 'null') AS SELECT 1 AS v";
        let expected = "CREATE MATERIALIZED VIEW \"w\" WITH (on_error = 'null') AS SELECT 1 AS v";
        assert_eq!(renamed(sql, "w").unwrap(), expected);
    }

    #[test]
    fn readers_come_before_what_they_read() {
        let view = |name: &str, reads: &[&str]| ViewStatus {
            name: name.to_owned(),
            reads: reads.iter().map(|&read| read.to_owned()).collect(),
            ..ViewStatus::default()
        };
        let views = vec![view("a", &["m"]), view("b", &["a"]), view("c", &["a", "b"])];
        let status = Status { views, ..Status::default() };
        assert_eq!(readers(&status, "a"), ["c", "b"]);
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
