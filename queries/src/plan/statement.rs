//! From text to statement: `CREATE [OR REPLACE] MATERIALIZED VIEW name [WITH (…)] AS SELECT …`.
//!
//! The text is parsed once, with sqlparser's PostgreSQL dialect; places in it stay those of the
//! whole text. The DDL is taken here. DataFusion, which refuses it, is given the inner query only.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::Spanned;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Span;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;
use schemas::plan::OnError;

use super::as_of;
use super::distinct_from;
use super::lookup;
use super::named_window;
use super::order_by;
use super::refuse::Location;
use super::refuse::PlanError;
use super::refuse::nearest;

/// One view, parsed.
#[derive(Clone, Debug)]
pub struct ViewStatement {
    /// Its name.
    pub name: String,
    /// What becomes of rows that cannot be computed.
    pub on_error: OnError,
    /// Whether state may grow for ever.
    pub allow_unbounded_state: bool,
    /// How far back it can be read, in milliseconds, where it says so.
    pub retain_ms: Option<u64>,
    /// The query it maintains.
    pub query: Box<ast::Query>,
}

/// The view that a text creates.
///
/// # Errors
/// The text is not exactly one `CREATE MATERIALIZED VIEW`, or has options that there are not.
pub fn view(sql: &str) -> Result<ViewStatement, PlanError> {
    let create = match one(sql)? {
        ast::Statement::CreateView(create) => create,
        other => return Err(not_a_view(&other)),
    };
    if !create.materialized {
        return Err(PlanError::Statement {
            expected: "CREATE MATERIALIZED VIEW",
            found: "CREATE VIEW".to_owned(),
            hint: "write MATERIALIZED: every view here is maintained".to_owned(),
        });
    }
    let hint = "write CREATE [OR REPLACE] MATERIALIZED VIEW name [WITH (…)] AS SELECT …";
    if create.if_not_exists || create.temporary || create.to.is_some() {
        let found = "IF NOT EXISTS, TEMPORARY or TO".to_owned();
        return Err(PlanError::Statement { expected: "a plain view", found, hint: hint.into() });
    }
    if !create.columns.is_empty() {
        let found = "a list of column names".to_owned();
        let hint = "name the columns in the SELECT with AS".to_owned();
        return Err(PlanError::Statement { expected: "AS SELECT", found, hint });
    }
    let mut statement = ViewStatement {
        name: plain_name(&create.name),
        on_error: OnError::default(),
        allow_unbounded_state: false,
        retain_ms: None,
        query: create.query,
    };
    match create.options {
        ast::CreateTableOptions::None => {}
        ast::CreateTableOptions::With(options) => {
            for option in &options {
                set_option(&mut statement, option)?;
            }
        }
        other => {
            let hint = "write options as WITH (name = value)".to_owned();
            return Err(PlanError::Option {
                message: format!("{other} is unknown"),
                hint,
                at: None,
            });
        }
    }
    Ok(statement)
}

/// The query of a text that is a SELECT, or of one that creates a view.
///
/// # Errors
/// The text is neither.
pub fn query(sql: &str) -> Result<Box<ast::Query>, PlanError> {
    match one(sql)? {
        ast::Statement::Query(query) => Ok(query),
        ast::Statement::CreateView(create) => Ok(create.query),
        other => Err(PlanError::Statement {
            expected: "SELECT",
            found: first_words(&other.to_string()),
            hint: "only queries are answered here".to_owned(),
        }),
    }
}

/// The one statement of a text.
///
/// # Errors
/// It is not SQL, not one statement, or joins in a way that there is not.
pub fn one(sql: &str) -> Result<ast::Statement, PlanError> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| syntax(&ParserError::from(error)))?;
    let tokens = distinct_from::readable(as_of::syntax::readable(tokens));
    let tokens = lookup::syntax::readable(tokens)?;
    let mut statements = Parser::new(&dialect)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| syntax(&error))?;
    match statements.len() {
        1 => {
            let mut statement = statements.remove(0);
            distinct_from::plain(&mut statement);
            lookup::syntax::plain(&mut statement)?;
            as_of::syntax::plain(&mut statement)?;
            named_window::replaced(&mut statement)?;
            order_by::of_inputs(&mut statement);
            Ok(statement)
        }
        n => Err(PlanError::Statement {
            expected: "one statement",
            found: format!("{n} statements"),
            hint: "one file holds one view".to_owned(),
        }),
    }
}

fn not_a_view(statement: &ast::Statement) -> PlanError {
    let hint = match statement {
        ast::Statement::Query(_) => "put CREATE MATERIALIZED VIEW name AS before it",
        _ => "streams, tables and sinks are declared in the configuration",
    };
    PlanError::Statement {
        expected: "CREATE MATERIALIZED VIEW",
        found: first_words(&statement.to_string()),
        hint: hint.to_owned(),
    }
}

/// Enough of a statement to recognise it.
pub fn first_words(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// The longest that a view's past is kept in memory: 7 days.
const RETAIN_MS_MAX: u64 = 7 * 86_400_000;

/// Units of a length of time, in milliseconds.
const UNITS: [(&[&str], u64); 5] = [
    (&["ms", "millisecond", "milliseconds"], 1),
    (&["s", "sec", "second", "seconds"], 1_000),
    (&["m", "min", "minute", "minutes"], 60_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
];

/// A length of time such as `90 s` or `2 hours`, in milliseconds.
pub(crate) fn millis(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (n, unit) = (text[..end].parse::<u64>().ok()?, text[end..].trim().to_lowercase());
    let (_, millis) = UNITS.iter().find(|(names, _)| names.contains(&unit.as_str()))?;
    n.checked_mul(*millis)
}

/// The options of a view, in name order.
const OPTIONS: [&str; 3] = ["allow_unbounded_state", "on_error", "retain"];

fn set_option(statement: &mut ViewStatement, option: &ast::SqlOption) -> Result<(), PlanError> {
    let ast::SqlOption::KeyValue { key, value } = option else {
        let hint = "write options as name = value".to_owned();
        return Err(PlanError::Option {
            message: format!("{option} has no value"),
            hint,
            at: None,
        });
    };
    let at = place(key.span);
    let text = match value {
        ast::Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    };
    let text = text.unwrap_or_else(|| value.to_string()).to_lowercase();
    let wrong = |right: &str| PlanError::Option {
        message: format!("{key} = {value} is no value of {key}"),
        hint: format!("write {right}"),
        at,
    };
    match key.value.to_lowercase().as_str() {
        "on_error" => {
            statement.on_error = match text.as_str() {
                "quarantine" => OnError::Quarantine,
                "fail" => OnError::Fail,
                "null" => OnError::Null,
                _ => return Err(wrong("'quarantine', 'fail' or 'null'")),
            };
        }
        "allow_unbounded_state" => {
            statement.allow_unbounded_state = match text.as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(wrong("true or false")),
            };
        }
        "retain" => {
            let ms = millis(&text).filter(|ms| (1..=RETAIN_MS_MAX).contains(ms));
            statement.retain_ms =
                Some(ms.ok_or_else(|| wrong("'90 s' or '2 hours', up to 7 days"))?);
        }
        other => {
            return Err(PlanError::Option {
                message: format!("there is no option {other}"),
                hint: nearest(other, OPTIONS),
                at,
            });
        }
    }
    Ok(())
}

/// A relation that a query names, where it names it.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Where it stands first.
    pub at: Option<Location>,
}

/// The relations that a query reads, as often as it names them, without its own `WITH` names.
pub fn relations(query: &ast::Query) -> Vec<Named> {
    let mut own = BTreeSet::new();
    let mut names = Vec::new();
    let mut visitor = Relations { own: &mut own, names: &mut names };
    let walked = ast::Visit::visit(query, &mut visitor);
    debug_assert!(walked.is_continue(), "nothing breaks the walk");
    names.retain(|named| !own.contains(&named.name));
    names
}

struct Relations<'a> {
    own: &'a mut BTreeSet<String>,
    names: &'a mut Vec<Named>,
}

impl ast::Visitor for Relations<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.own.insert(fold(&table.alias.name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &ast::TableFactor) -> ControlFlow<()> {
        if let ast::TableFactor::Table { name, args: None, .. } = factor {
            self.names.push(Named { name: plain_name(name), at: place(name.span()) });
        }
        ControlFlow::Continue(())
    }
}

/// A name without `public.`, and without a database before that, as PostgreSQL folds it.
pub(crate) fn plain_name(name: &ast::ObjectName) -> String {
    let parts: Vec<String> =
        name.0.iter().map(|part| part.as_ident().map_or_else(|| part.to_string(), fold)).collect();
    match parts.as_slice() {
        [schema, name] | [_, schema, name] if schema == "public" => name.clone(),
        _ => parts.join("."),
    }
}

/// An identifier as PostgreSQL reads it: lower case unless quoted.
pub(crate) fn fold(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// A call of a function, as the parser would have read it.
pub fn called(name: &str, arguments: Vec<ast::Expr>) -> ast::Expr {
    let argument = |expr| ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr));
    ast::Expr::Function(ast::Function {
        name: ast::ObjectName::from(vec![ast::Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args: ast::FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The start of a span, unless it is empty.
pub(crate) fn place(span: Span) -> Option<Location> {
    let start = span.start;
    (start.line > 0).then_some(Location { line: start.line, column: start.column })
}

fn syntax(error: &ParserError) -> PlanError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => "the query nests too deeply".to_owned(),
    };
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return PlanError::Syntax { message: text, at: None };
    };
    let at = place.split_once(", Column: ").and_then(|(line, column)| {
        Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
    });
    PlanError::Syntax { message: message.to_owned(), at }
}
