//! What a text asks for: the one place that says which statements there are.
//!
//! What is not named here is refused; in particular nothing here writes or reads a file.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;
use queries::plan::statement;
use queries::plan::statement::first_words;
use queries::source::SourceStatement;

use crate::error::DeskError;
use crate::error::Kind;
use crate::relations::DATABASE;
use crate::relations::PUBLIC;
use crate::role::Role;
use crate::text;
use crate::text::AsOf;
use crate::text::Subscribe;
use crate::text::Word;

/// What `SHOW SOURCES` asks.
const SOURCES: &str = "SELECT * FROM gridloom.sources ORDER BY source, partition";

/// What `SHOW INDEXES` asks.
const INDEXES: &str = "SELECT * FROM gridloom.indexes ORDER BY name";

/// A statement, understood.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// Rows.
    Rows(Rows),
    /// The text of a plan that is, or would be, maintained.
    Plan(PlanOf),
    /// A view comes, with its whole text.
    CreateView { replace: bool },
    /// Views go.
    DropViews { names: Vec<String>, if_exists: bool, cascade: bool },
    /// A source comes.
    CreateSource(Box<SourceStatement>),
    /// Sources go.
    DropSources { names: Vec<String>, if_exists: bool },
    /// A view gets another name.
    RenameView { from: String, to: String },
    /// An index comes, with its whole text.
    CreateIndex,
    /// Indexes go.
    DropIndexes { names: Vec<String>, if_exists: bool },
    /// The changes of a view.
    Subscribe(Subscribe, Option<AsOf>),
    /// Rows, as COPY writes them.
    CopyOut(Rows, CopyForm),
    /// The changes of a view, as COPY writes them.
    CopyChanges(Subscribe, Option<AsOf>, CopyForm),
    /// A view is told to be up to date, which it always is.
    RefreshView,
    /// The value of a setting, or of all.
    Show(Option<String>),
    /// A setting gets a value.
    Set { name: String, value: String },
    /// A setting, or all, get their first values.
    Reset(Option<String>),
    /// A transaction begins: changes of views wait for its end.
    Begin,
    /// A transaction ends.
    End { word: &'static str },
    /// A prepared statement, a portal or everything of the session is forgotten.
    Forget { word: &'static str },
}

/// A query and the moment it asks about.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// The query.
    pub(crate) statement: Box<ast::Statement>,
    /// The moment; the last complete tick if `None`.
    pub(crate) at: Option<AsOf>,
    /// Whether it asks of PostgreSQL's own catalog.
    pub(crate) of_catalog: bool,
}

/// What is to be explained.
#[derive(Clone, Debug)]
pub(crate) enum PlanOf {
    /// A view that is there, by name.
    View { name: String, analyze: bool },
    /// A `CREATE MATERIALIZED VIEW` or a SELECT.
    Text(String),
    /// The statement that made a view.
    Source(String),
}

/// How COPY writes rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyForm {
    /// Comma-separated values instead of PostgreSQL's own text.
    pub(crate) csv: bool,
    /// Whether names come first.
    pub(crate) header: bool,
    /// What stands between values.
    pub(crate) delimiter: char,
    /// What stands for NULL.
    pub(crate) null: String,
}

impl Asked {
    /// The statement that a text is.
    ///
    /// # Errors
    /// It is none that there is.
    pub(crate) fn read(sql: &str) -> Result<Asked, DeskError> {
        let words = text::words(sql)?;
        let (sql, at) = text::as_of(sql, &words)?;
        let words: Vec<Word> = words.into_iter().filter(|word| word.start < sql.len()).collect();
        if let Some(asked) = ours(sql, &words, at)? {
            return Ok(asked);
        }
        let of_catalog = crate::catalog::asks_catalog(&words);
        let parsed = match crate::catalog::parse(sql, of_catalog)? {
            Some(parsed) => parsed,
            None => statement::one(sql).map_err(|error| DeskError::planned(&error, sql))?,
        };
        let rows = |statement| Rows { statement: Box::new(statement), at, of_catalog };
        match parsed {
            ast::Statement::Query(mut query) if reads_only(&query) => {
                crate::catalog::tell_apart(&mut query);
                Ok(Asked::Rows(rows(ast::Statement::Query(query))))
            }
            ast::Statement::Copy { .. } => copy(parsed, rows),
            query if answers(&query) => Ok(Asked::Rows(rows(query))),
            other if at.is_some() => Err(refused(&other)),
            other => command(other),
        }
    }

    /// The least role that may ask for it.
    pub(crate) fn role(&self) -> Role {
        match self {
            Asked::CreateView { .. } | Asked::DropViews { .. } | Asked::RenameView { .. } => {
                Role::Engineer
            }
            Asked::CreateIndex | Asked::DropIndexes { .. } => Role::Engineer,
            // What it is told to open is opened with the rights of the process: files, and those
            // that a broker's library reads or loads.
            Asked::CreateSource(source)
                if source.plan.kind == "file" || source.plan.options.contains_key("options") =>
            {
                Role::Admin
            }
            Asked::CreateSource(_) | Asked::DropSources { .. } => Role::Engineer,
            _ => Role::Viewer,
        }
    }

    /// Whether views or indexes come or go by it, so that it is part of a transaction.
    pub(crate) fn changes_views(&self) -> bool {
        matches!(
            self,
            Asked::CreateView { .. }
                | Asked::DropViews { .. }
                | Asked::RenameView { .. }
                | Asked::CreateIndex
                | Asked::DropIndexes { .. }
        )
    }

    /// The word that says it was done.
    pub(crate) fn tag(&self) -> &'static str {
        match self {
            Asked::Rows(_) => "SELECT",
            Asked::Plan(_) => "EXPLAIN",
            Asked::CreateView { .. } => "CREATE MATERIALIZED VIEW",
            Asked::DropViews { .. } => "DROP MATERIALIZED VIEW",
            Asked::RenameView { .. } => "ALTER MATERIALIZED VIEW",
            Asked::CreateIndex => "CREATE INDEX",
            Asked::DropIndexes { .. } => "DROP INDEX",
            Asked::CreateSource(_) => "CREATE SOURCE",
            Asked::DropSources { .. } => "DROP SOURCE",
            Asked::Subscribe(..) => "SUBSCRIBE",
            Asked::CopyOut(..) | Asked::CopyChanges(..) => "COPY",
            Asked::RefreshView => "REFRESH MATERIALIZED VIEW",
            Asked::Show(_) => "SHOW",
            Asked::Set { .. } => "SET",
            Asked::Reset(_) => "RESET",
            Asked::Begin => "BEGIN",
            Asked::End { word } | Asked::Forget { word } => word,
        }
    }
}

/// Whether DataFusion answers this with rows, and nothing is changed by it.
fn answers(statement: &ast::Statement) -> bool {
    match statement {
        ast::Statement::Query(query) => reads_only(query),
        ast::Statement::Explain { statement, .. } => answers(statement),
        ast::Statement::ExplainTable { .. }
        | ast::Statement::ShowTables { .. }
        | ast::Statement::ShowColumns { .. } => true,
        _ => false,
    }
}

/// Whether no part of a query writes: `WITH x AS (INSERT …)` and `SELECT … INTO` would.
fn reads_only(query: &ast::Query) -> bool {
    fn body(set: &ast::SetExpr) -> bool {
        match set {
            ast::SetExpr::Select(select) => select.into.is_none(),
            ast::SetExpr::Query(query) => reads_only(query),
            ast::SetExpr::SetOperation { left, right, .. } => body(left) && body(right),
            ast::SetExpr::Values(_) | ast::SetExpr::Table(_) => true,
            _ => false,
        }
    }
    let with = query.with.iter().flat_map(|with| &with.cte_tables);
    with.into_iter().all(|table| reads_only(&table.query)) && body(&query.body)
}

/// Statements that begin with a word of ours.
fn ours(sql: &str, words: &[Word], at: Option<AsOf>) -> Result<Option<Asked>, DeskError> {
    let Some(first) = words.first() else {
        return Err(DeskError::new(Kind::Syntax, "there is no statement"));
    };
    if first.is("SUBSCRIBE") {
        return Ok(Some(Asked::Subscribe(text::subscribe(words)?, at)));
    }
    if first.is("EXPLAIN") {
        return explain(sql, words);
    }
    if first.is("SHOW") {
        return match words.get(1) {
            Some(word) if word.is("SOURCES") => Asked::read(SOURCES).map(Some),
            Some(word) if word.is("INDEXES") => Asked::read(INDEXES).map(Some),
            _ => Ok(show(words)),
        };
    }
    if first.is("DISCARD") {
        let all = words.get(1).is_some_and(|word| word.is("ALL"));
        return Ok(Some(Asked::Forget { word: if all { "DISCARD ALL" } else { "DISCARD" } }));
    }
    if first.is("RESET") {
        let name = words.get(1).and_then(Word::name).filter(|name| name != "all");
        return Ok(Some(Asked::Reset(name)));
    }
    if first.is("REFRESH") {
        return Ok(Some(Asked::RefreshView));
    }
    if first.is("COPY")
        && let Some(changes) = copied_changes(sql, words)?
    {
        return Ok(Some(changes));
    }
    if first.is("ALTER") {
        return rename(words).map(Some);
    }
    if first.is("COMMENT") {
        let message = "COMMENT ON is not done here: comments are not kept";
        let hint = "dbt sends it where persist_docs is set";
        return Err(DeskError::new(Kind::Unsupported, message).hint(hint));
    }
    if first.is("CREATE") {
        return created(sql, words);
    }
    if first.is("DROP") {
        return dropped(words);
    }
    Ok(None)
}

/// `CREATE SOURCE`, `CREATE [UNIQUE] INDEX` and `CREATE MATERIALIZED VIEW`; any other CREATE is the
/// parser's.
fn created(sql: &str, words: &[Word]) -> Result<Option<Asked>, DeskError> {
    let is = |at: usize, keyword: &str| words.get(at).is_some_and(|word| word.is(keyword));
    if is(1, "SOURCE") {
        let source = queries::source::source(sql).map_err(|error| DeskError::planned(&error, sql));
        return Ok(Some(Asked::CreateSource(Box::new(source?))));
    }
    if is(1 + usize::from(is(1, "UNIQUE")), "INDEX") {
        return Ok(Some(Asked::CreateIndex));
    }
    if words.iter().take(4).any(|word| word.is("MATERIALIZED")) {
        return Ok(Some(Asked::CreateView { replace: is(1, "OR") }));
    }
    Ok(None)
}

/// `DROP SOURCE` and `DROP INDEX`; any other DROP is the parser's.
fn dropped(words: &[Word]) -> Result<Option<Asked>, DeskError> {
    match words {
        [_, what, rest @ ..] if what.is("SOURCE") => {
            let (names, if_exists) = named(rest, "SOURCE")?;
            Ok(Some(Asked::DropSources { names, if_exists }))
        }
        [_, what, rest @ ..] if what.is("INDEX") => {
            let rest = match rest {
                [word, rest @ ..] if word.is("CONCURRENTLY") => rest,
                rest => rest,
            };
            // No view goes with an index, so that both say the same.
            let rest = match rest {
                [rest @ .., word] if word.is("CASCADE") || word.is("RESTRICT") => rest,
                rest => rest,
            };
            let (names, if_exists) = named(rest, "INDEX")?;
            Ok(Some(Asked::DropIndexes { names, if_exists }))
        }
        _ => Ok(None),
    }
}

/// `[IF EXISTS] name, …` of a DROP: the names, and whether they may be missing.
fn named(words: &[Word], what: &str) -> Result<(Vec<String>, bool), DeskError> {
    let if_exists = matches!(words, [a, b, ..] if a.is("IF") && b.is("EXISTS"));
    let words = if if_exists { &words[2..] } else { words };
    let names: Option<Vec<String>> =
        words.split(|word| word.token == Token::Comma).map(dotted).collect();
    let names = names.filter(|names| !names.is_empty()).ok_or_else(|| {
        let message = format!("DROP {what} names no {}", what.to_lowercase());
        DeskError::new(Kind::Syntax, message).hint(format!("write DROP {what} name"))
    })?;
    Ok((names, if_exists))
}

/// `ALTER [MATERIALIZED] VIEW name RENAME TO name`; any other ALTER is refused.
fn rename(words: &[Word]) -> Result<Asked, DeskError> {
    let refused = || {
        let hint = "there is ALTER MATERIALIZED VIEW name RENAME TO name; CREATE OR REPLACE \
                    MATERIALIZED VIEW changes what a view says";
        DeskError::new(Kind::Unsupported, "this ALTER is not done here").hint(hint)
    };
    let view = words.iter().take(3).position(|word| word.is("VIEW")).ok_or_else(refused)?;
    let [name @ .., rename, to, new] = &words[view + 1..] else { return Err(refused()) };
    if !rename.is("RENAME") || !to.is("TO") {
        return Err(refused());
    }
    let parts: Option<Vec<String>> = name.iter().step_by(2).map(Word::name).collect();
    let from = match parts.as_deref() {
        Some([name]) => name.clone(),
        Some([.., schema, name]) if schema == PUBLIC => name.clone(),
        _ => return Err(refused()),
    };
    Ok(Asked::RenameView { from, to: new.name().ok_or_else(refused)? })
}

/// `EXPLAIN [ANALYZE] [MATERIALIZED] VIEW name`, `EXPLAIN CREATE MATERIALIZED VIEW …`,
/// `EXPLAIN MAINTAINED SELECT …`. Any other EXPLAIN is the parser's.
fn explain(sql: &str, words: &[Word]) -> Result<Option<Asked>, DeskError> {
    let analyze = words.get(1).is_some_and(|word| word.is("ANALYZE"));
    let rest = &words[1 + usize::from(analyze)..];
    let [word, after @ ..] = rest else { return Ok(None) };
    if word.is("CREATE") {
        return Ok(Some(Asked::Plan(PlanOf::Text(sql[word.start..].to_owned()))));
    }
    if word.is("MAINTAINED")
        && let [query, ..] = after
    {
        return Ok(Some(Asked::Plan(PlanOf::Text(sql[query.start..].to_owned()))));
    }
    let after = match after {
        [view, after @ ..] if word.is("MATERIALIZED") && view.is("VIEW") => after,
        after if word.is("VIEW") => after,
        _ => return Ok(None),
    };
    let name = dotted(after).ok_or_else(|| {
        DeskError::new(Kind::Syntax, "EXPLAIN names no view").hint("write EXPLAIN VIEW name")
    })?;
    Ok(Some(Asked::Plan(PlanOf::View { name, analyze })))
}

/// `SHOW CREATE [MATERIALIZED] VIEW name`, and settings. SHOW TABLES and COLUMNS are the parser's.
fn show(words: &[Word]) -> Option<Asked> {
    let rest = &words[1..];
    if rest.first().is_some_and(|word| word.is("CREATE")) {
        let after = rest[1..].iter().position(|word| word.is("VIEW"))?;
        return Some(Asked::Plan(PlanOf::Source(dotted(&rest[after + 2..])?)));
    }
    if rest.first().is_none_or(|word| word.is("TABLES") || word.is("COLUMNS")) {
        return None;
    }
    let names: Vec<String> = rest.iter().filter_map(Word::name).collect();
    let name = match names.join(" ").as_str() {
        "time zone" => "timezone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "session authorization" => "session_authorization".to_owned(),
        _ => names.join("."),
    };
    Some(Asked::Show((name != "all").then_some(name)))
}

/// A name without `public.`, and without the database before that.
fn dotted(words: &[Word]) -> Option<String> {
    let names: Vec<String> = words.iter().filter_map(Word::name).collect();
    match names.as_slice() {
        [schema, name] if schema == PUBLIC => Some(name.clone()),
        [database, schema, name] if database == DATABASE && schema == PUBLIC => Some(name.clone()),
        [] => None,
        names => Some(names.join(".")),
    }
}

fn copy(parsed: ast::Statement, rows: impl Fn(ast::Statement) -> Rows) -> Result<Asked, DeskError> {
    let whole = parsed.clone();
    let ast::Statement::Copy { source, to, target, options, legacy_options, .. } = parsed else {
        return Err(refused(&whole));
    };
    if !to || target != ast::CopyTarget::Stdout {
        let message = "COPY reads and writes no files of the server, and loads nothing";
        let hint = "write COPY (SELECT …) TO STDOUT";
        return Err(DeskError::new(Kind::Denied, message).hint(hint));
    }
    let query = match source {
        ast::CopySource::Query(query) => query,
        ast::CopySource::Table { table_name, columns } => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
            let sql = format!("SELECT {columns} FROM {table_name}");
            statement::query(&sql).map_err(|error| DeskError::planned(&error, &sql))?
        }
    };
    if !reads_only(&query) {
        return Err(refused(&whole));
    }
    let form = copy_form(&options, &legacy_options)?;
    Ok(Asked::CopyOut(rows(ast::Statement::Query(query)), form))
}

/// `COPY (SUBSCRIBE …) TO STDOUT …`.
fn copied_changes(sql: &str, words: &[Word]) -> Result<Option<Asked>, DeskError> {
    let [_, open, subscribe, ..] = words else { return Ok(None) };
    if open.token != Token::LParen || !subscribe.is("SUBSCRIBE") {
        return Ok(None);
    }
    let mut depth = 0;
    let close = words.iter().position(|word| {
        match word.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => return false,
        }
        depth == 0
    });
    let Some(close) = close else {
        return Err(DeskError::new(Kind::Syntax, "a bracket is not closed"));
    };
    let inner = &sql[subscribe.start..words[close].start];
    let inner_words = text::words(inner)?;
    let (inner, at) = text::as_of(inner, &inner_words)?;
    let inner_words: Vec<Word> =
        inner_words.into_iter().filter(|word| word.start < inner.len()).collect();
    let asked = text::subscribe(&inner_words)?;
    // The parser reads the rest, with a query that it knows.
    let rest = format!("COPY (SELECT 1) {}", &sql[words[close].start + 1..]);
    let parsed = statement::one(&rest).map_err(|error| DeskError::planned(&error, &rest))?;
    let rows = |statement| Rows { statement: Box::new(statement), at: None, of_catalog: false };
    match copy(parsed, rows)? {
        Asked::CopyOut(_, form) => Ok(Some(Asked::CopyChanges(asked, at, form))),
        other => Ok(Some(other)),
    }
}

fn copy_form(
    options: &[ast::CopyOption],
    legacy: &[ast::CopyLegacyOption],
) -> Result<CopyForm, DeskError> {
    let unknown = |what: &dyn std::fmt::Display| {
        let hint = "there are FORMAT text|csv, HEADER, DELIMITER and NULL";
        DeskError::new(Kind::Unsupported, format!("COPY has no option {what} here")).hint(hint)
    };
    let (mut csv, mut header, mut delimiter, mut null) = (false, false, None, None);
    for option in options {
        match option {
            ast::CopyOption::Format(name) => match name.value.to_lowercase().as_str() {
                "csv" => csv = true,
                "text" => csv = false,
                _ => return Err(unknown(option)),
            },
            ast::CopyOption::Header(on) => header = *on,
            ast::CopyOption::Delimiter(c) => delimiter = Some(*c),
            ast::CopyOption::Null(text) => null = Some(text.clone()),
            ast::CopyOption::Encoding(name) if name.eq_ignore_ascii_case("utf8") => {}
            _ => return Err(unknown(option)),
        }
    }
    for option in legacy {
        match option {
            ast::CopyLegacyOption::Csv(parts) => {
                csv = true;
                header = parts.iter().any(|p| matches!(p, ast::CopyLegacyCsvOption::Header));
            }
            ast::CopyLegacyOption::Header => header = true,
            ast::CopyLegacyOption::Delimiter(c) => delimiter = Some(*c),
            ast::CopyLegacyOption::Null(text) => null = Some(text.clone()),
            _ => return Err(unknown(option)),
        }
    }
    let delimiter = delimiter.unwrap_or(if csv { ',' } else { '\t' });
    if !delimiter.is_ascii() {
        return Err(DeskError::new(Kind::Unsupported, "COPY's delimiter is one byte"));
    }
    let null = null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
    Ok(CopyForm { csv, header, delimiter, null })
}

/// Statements that change something, or the session.
fn command(parsed: ast::Statement) -> Result<Asked, DeskError> {
    match parsed {
        ast::Statement::Drop { object_type, if_exists, names, cascade, .. }
            if matches!(object_type, ast::ObjectType::View | ast::ObjectType::MaterializedView) =>
        {
            let names = names.iter().map(ToString::to_string).collect();
            Ok(Asked::DropViews { names, if_exists, cascade })
        }
        ast::Statement::StartTransaction { .. } => Ok(Asked::Begin),
        ast::Statement::Commit { .. } => Ok(Asked::End { word: "COMMIT" }),
        ast::Statement::Rollback { .. } => Ok(Asked::End { word: "ROLLBACK" }),
        ast::Statement::Deallocate { .. } => Ok(Asked::Forget { word: "DEALLOCATE" }),
        ast::Statement::Close { .. } => Ok(Asked::Forget { word: "CLOSE CURSOR" }),
        ast::Statement::Set(set) => assigned(set),
        other => Err(refused(&other)),
    }
}

fn assigned(set: ast::Set) -> Result<Asked, DeskError> {
    let (name, value) = match set {
        ast::Set::SingleAssignment { variable, values, .. } => {
            let text: Vec<String> = values.iter().map(unquoted).collect();
            (variable.to_string().to_lowercase(), text.join(", "))
        }
        ast::Set::SetTimeZone { value, .. } => ("timezone".to_owned(), unquoted(&value)),
        ast::Set::SetNames { charset_name, .. } => {
            ("client_encoding".to_owned(), charset_name.to_string())
        }
        ast::Set::SetTransaction { .. } => {
            ("transaction_isolation".to_owned(), "serializable".to_owned())
        }
        other => return Err(refused(&ast::Statement::Set(other))),
    };
    Ok(Asked::Set { name, value })
}

fn unquoted(value: &ast::Expr) -> String {
    let text = match value {
        ast::Expr::Value(value) => value.value.clone().into_string(),
        ast::Expr::Identifier(ident) => Some(ident.value.clone()),
        _ => None,
    };
    text.unwrap_or_else(|| value.to_string())
}

fn refused(statement: &ast::Statement) -> DeskError {
    let words = first_words(&statement.to_string());
    let hint = match statement {
        ast::Statement::Insert(_)
        | ast::Statement::Update(_)
        | ast::Statement::Delete(_)
        | ast::Statement::Merge(_) => {
            "rows come from streams and from views, never from statements"
        }
        ast::Statement::CreateView(_) => {
            "write CREATE MATERIALIZED VIEW: every view is maintained; in dbt, materialized: \
             materialized_view"
        }
        ast::Statement::CreateSchema { .. } => "views are in the one schema public",
        ast::Statement::CreateTable(_) => {
            "a stream of your own comes by CREATE SOURCE; reference tables are declared in the \
             configuration"
        }
        _ => {
            "there are SELECT, SUBSCRIBE, EXPLAIN, SHOW, COPY … TO STDOUT, CREATE and DROP \
             MATERIALIZED VIEW, INDEX and SOURCE"
        }
    };
    DeskError::new(Kind::Unsupported, format!("{words} is not done here")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text asks for, as Rust writes it.
    #[track_caller]
    fn check(sql: &str, expected: &str) {
        assert_eq!(format!("{:?}", Asked::read(sql).unwrap()), expected, "{sql}");
    }

    #[test]
    fn indexes_come_in_every_spelling() {
        for sql in [
            "CREATE INDEX i ON v (c)",
            "create unique index i on v (c)",
            "create index concurrently if not exists \"i\" on \"gridloom\".\"public\".\"v\" (c)",
        ] {
            check(sql, "CreateIndex");
        }
        let sql = "CREATE MATERIALIZED VIEW index AS SELECT 1";
        check(sql, "CreateView { replace: false }");
        assert!(Asked::read("CREATE VIEW index AS SELECT 1").is_err());
    }

    #[test]
    fn indexes_go_by_their_plain_names() {
        let dropped = |names: &str, if_exists: bool| {
            format!("DropIndexes {{ names: [{names}], if_exists: {if_exists} }}")
        };
        check("DROP INDEX i", &dropped("\"i\"", false));
        let sql = "drop index concurrently if exists \"public\".\"I\", gridloom.public.j cascade";
        check(sql, &dropped("\"I\", \"j\"", true));
        check("DROP INDEX i RESTRICT", &dropped("\"i\"", false));
        assert_eq!(Asked::read("DROP INDEX").unwrap_err().message, "DROP INDEX names no index");
    }
}
