//! What clients ask of the catalog, in words that DataFusion plans.
//!
//! `datafusion-pg-catalog` rewrites most of it. Before it, names that are cast to numbers become
//! those numbers, which need no query because they are made of the names. After it come lists made
//! of a query, which psql uses for what is not here (members of roles, policies), fields of
//! composite values, which JDBC asks for, and queries that look up one value, which DataFusion
//! takes only where an aggregate says that it is one. EXISTS among what is selected, which psql
//! asks of an index, is such a value.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::VisitMut;
use datafusion::sql::sqlparser::ast::VisitorMut;
use datafusion::sql::sqlparser::tokenizer::Token;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use queries::plan::statement::called;

use super::PG_CATALOG;
use super::namespace_oid;
use super::oid;
use crate::error::DeskError;
use crate::error::Kind;
use crate::relations::PUBLIC;
use crate::text;
use crate::text::Word;

static PARSER: LazyLock<PostgresCompatibilityParser> =
    LazyLock::new(PostgresCompatibilityParser::new);

/// The function that expands a list, as JDBC calls it.
const EXPAND: [&str; 2] = ["information_schema._pg_expandarray", "_pg_expandarray"];

/// The statement that a text about the catalog is; `None` for a text about something else.
///
/// # Errors
/// The text is no SQL.
pub(crate) fn parse(sql: &str, of_catalog: bool) -> Result<Option<ast::Statement>, DeskError> {
    if !of_catalog {
        return Ok(None);
    }
    // A text that does not parse is refused with its place, which the rewriting loses.
    queries::plan::statement::one(sql).map_err(|error| DeskError::planned(&error, sql))?;
    let rewritten = PARSER.parse(&numbered(&searched(sql)?)?);
    let mut statements =
        rewritten.map_err(|error| DeskError::new(Kind::Syntax, error.to_string()))?;
    if statements.len() != 1 {
        let message = format!("one statement at a time, not {}", statements.len());
        return Err(DeskError::new(Kind::Syntax, message));
    }
    let mut statement = statements.remove(0);
    let walked = VisitMut::visit(&mut statement, &mut Ours);
    debug_assert!(walked.is_continue(), "nothing breaks the walk");
    Ok(Some(statement))
}

/// The text with the places that are searched for names written out, where Grafana takes the
/// setting apart with `generate_series` over its parts.
fn searched(sql: &str) -> Result<String, DeskError> {
    let words = text::words(sql)?;
    let mut written = String::new();
    let mut from = 0;
    for at in 1..words.len() {
        if words[at].start < from || !words[at].is("SELECT") || !words[at - 1].is_open() {
            continue;
        }
        let Some(close) = closing(&words[at..]).map(|n| at + n) else { continue };
        let inner = &words[at..close];
        let says = |name: &str| inner.iter().any(|word| word.is(name));
        if says("generate_series") && inner.windows(3).any(is_search_path) {
            written.push_str(&sql[from..words[at].start]);
            written.push_str(&format!("'{PUBLIC}'"));
            from = words[close].start;
        }
    }
    written.push_str(&sql[from..]);
    Ok(written)
}

/// `current_setting('search_path'`.
fn is_search_path(words: &[Word]) -> bool {
    let named = |word: &Word| {
        matches!(&word.token, Token::SingleQuotedString(name)
        if name == "search_path")
    };
    words[0].is("current_setting") && words[1].is_open() && named(&words[2])
}

/// The place of the bracket that closes what was open before these words.
fn closing(words: &[Word]) -> Option<usize> {
    let mut depth = 1;
    words.iter().position(|word| {
        match word.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// The text with names that are cast to `regclass` or `regnamespace` written as their numbers.
fn numbered(sql: &str) -> Result<String, DeskError> {
    let words = text::words(sql)?;
    let mut written = String::new();
    let mut from = 0;
    let mut at = 0;
    while at < words.len() {
        let Some((literal, taken)) = literal(&words[at..]) else {
            at += 1;
            continue;
        };
        written.push_str(&sql[from..words[at].start]);
        written.push_str(&literal);
        at += taken;
        let kind = &words[at - 1];
        from = kind.start + kind.token.to_string().len();
    }
    written.push_str(&sql[from..]);
    Ok(written)
}

/// What `'name'::[pg_catalog.]kind` means, and how many words it is: a number, but for functions,
/// which have their names in the catalog's tables.
fn literal(words: &[Word]) -> Option<(String, usize)> {
    let [name, colons, rest @ ..] = words else { return None };
    let Token::SingleQuotedString(name) = &name.token else { return None };
    if colons.token != Token::DoubleColon {
        return None;
    }
    let (kind, taken) = match rest {
        [schema, dot, kind, ..] if dot.token == Token::Period && schema.is("pg_catalog") => {
            (kind, 5)
        }
        [kind, ..] => (kind, 3),
        [] => return None,
    };
    let kind = kind.name()?;
    if !["regclass", "regnamespace", "regtype", "regproc"].contains(&kind.as_str()) {
        return None;
    }
    if let Ok(number) = name.parse::<i32>() {
        return Some((number.to_string(), taken));
    }
    let name = name.replace('"', "");
    let number = match kind.as_str() {
        "regnamespace" => namespace_oid(&name),
        "regclass" => match name.split('.').collect::<Vec<_>>().as_slice() {
            [.., schema, name] => oid(schema, name),
            _ if name.starts_with("pg_") => oid(PG_CATALOG, &name),
            _ => oid(PUBLIC, &name),
        },
        "regproc" => {
            let name = name.rsplit('.').next().unwrap_or(&name);
            return Some((format!("'{name}'"), taken));
        }
        _ => return None,
    };
    Some((number.to_string(), taken))
}

/// Rewrites from the leaves up, so that what was rewritten is not met again.
struct Ours;

impl VisitorMut for Ours {
    type Break = ();

    fn post_visit_relation(&mut self, relation: &mut ast::ObjectName) -> ControlFlow<()> {
        if let [ast::ObjectNamePart::Identifier(name)] = relation.0.as_slice()
            && is_of_catalog(&name.value)
        {
            let schema = ast::Ident::new(PG_CATALOG);
            relation.0.insert(0, ast::ObjectNamePart::Identifier(schema));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<()> {
        count_what_exists(query);
        tell_apart(query);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        match expr {
            ast::Expr::Function(call) if is_array_of_query(call) => *expr = empty_array(),
            ast::Expr::Function(call) if EXPAND.contains(&&*call.name.to_string()) => {
                call.name = ast::ObjectName::from(vec![ast::Ident::new(EXPAND[1])]);
                let expanded = ast::Expr::Function(call.clone());
                *expr = called("unnest", vec![expanded]);
            }
            ast::Expr::Subquery(query) => one_value(query),
            ast::Expr::CompoundFieldAccess { root, access_chain } => {
                if let [ast::AccessExpr::Dot(ast::Expr::Identifier(field))] =
                    access_chain.as_slice()
                {
                    let name = ast::Value::SingleQuotedString(field.value.clone());
                    let name = ast::Expr::Value(name.with_empty_span());
                    *expr = called("get_field", vec![root.as_ref().clone(), name]);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a name without a schema is one of PostgreSQL's catalog, which is always in the path; of
/// what is called as a table, it is not.
fn is_of_catalog(name: &str) -> bool {
    name.starts_with("pg_") && !name.starts_with("pg_get_")
}

/// Names expressions that are written twice in a SELECT: PostgreSQL has columns of one name, and
/// DataFusion does not.
pub(crate) fn tell_apart(query: &mut ast::Query) {
    let ast::SetExpr::Select(select) = query.body.as_mut() else { return };
    let mut seen = BTreeSet::new();
    for item in &mut select.projection {
        let ast::SelectItem::UnnamedExpr(expr) = item else { continue };
        let text = expr.to_string();
        if !seen.insert(text.clone()) {
            let again = (2..).map(|n| format!("{text} ({n})"));
            let name = again.into_iter().find(|name| !seen.contains(name)).unwrap_or(text);
            seen.insert(name.clone());
            let (expr, alias) = (expr.clone(), ast::Ident::with_quote('"', name));
            *item = ast::SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

/// Aggregates that the catalog's queries use.
const AGGREGATES: [&str; 8] =
    ["count", "sum", "min", "max", "array_agg", "string_agg", "bool_or", "first_value"];

/// Makes `(SELECT x FROM …)` to `(SELECT first_value(x) FROM …)`.
fn one_value(query: &mut ast::Query) {
    if query.limit_clause.is_some() || query.order_by.is_some() {
        return;
    }
    let ast::SetExpr::Select(select) = query.body.as_mut() else { return };
    if is_grouped(select) || select.distinct.is_some() || select.from.is_empty() {
        return;
    }
    if let [ast::SelectItem::UnnamedExpr(value)] = select.projection.as_mut_slice() {
        let aggregated = matches!(value, ast::Expr::Function(call)
            if AGGREGATES.contains(&&*call.name.to_string().to_lowercase()));
        if !aggregated {
            *value = called("first_value", vec![value.clone()]);
        }
    }
}

fn is_grouped(select: &ast::Select) -> bool {
    match &select.group_by {
        ast::GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
        ast::GroupByExpr::All(_) => true,
    }
}

/// Makes `EXISTS (SELECT …)` among what is selected to `(SELECT count(1) …) > 0`: DataFusion takes
/// it in conditions only.
fn count_what_exists(query: &mut ast::Query) {
    let ast::SetExpr::Select(select) = query.body.as_mut() else { return };
    for item in &mut select.projection {
        let walked = ast::visit_expressions_mut(item, |expr| {
            if let ast::Expr::Exists { subquery, negated } = expr
                && let Some(count) = counted(subquery)
            {
                let op = if *negated { ast::BinaryOperator::Eq } else { ast::BinaryOperator::Gt };
                let left = Box::new(ast::Expr::Subquery(Box::new(count)));
                *expr = ast::Expr::BinaryOp { left, op, right: Box::new(number("0")) };
            }
            ControlFlow::<()>::Continue(())
        });
        debug_assert!(walked.is_continue(), "nothing breaks the walk");
    }
}

/// The number of rows of a query; `None` where that is not seen from its SELECT alone.
fn counted(query: &ast::Query) -> Option<ast::Query> {
    let mut query = query.clone();
    let ast::SetExpr::Select(select) = query.body.as_mut() else { return None };
    if query.limit_clause.is_some() || is_grouped(select) || select.distinct.is_some() {
        return None;
    }
    let count = called("count", vec![number("1")]);
    select.projection = vec![ast::SelectItem::UnnamedExpr(count)];
    Some(query)
}

fn number(digits: &str) -> ast::Expr {
    ast::Expr::Value(ast::Value::Number(digits.to_owned(), false).with_empty_span())
}

/// Whether it is `ARRAY(SELECT …)`.
fn is_array_of_query(call: &ast::Function) -> bool {
    call.name.to_string().eq_ignore_ascii_case("array")
        && matches!(call.args, ast::FunctionArguments::Subquery(_))
}

/// `CAST(NULL AS TEXT[])`: what such lists would hold is not here.
fn empty_array() -> ast::Expr {
    ast::Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(ast::Expr::Value(ast::Value::Null.with_empty_span())),
        data_type: ast::DataType::Array(ast::ArrayElemTypeDef::SquareBracket(
            Box::new(ast::DataType::Text),
            None,
        )),
        array: false,
        format: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_their_numbers() {
        let sql = "SELECT 1 FROM d WHERE d.classoid = 'pg_class'::pg_catalog.regclass AND x";
        assert_eq!(numbered(sql).unwrap(), "SELECT 1 FROM d WHERE d.classoid = 1259 AND x");
        assert_eq!(numbered("SELECT '42'::regclass").unwrap(), "SELECT 42");
        assert_eq!(numbered("SELECT a::regclass").unwrap(), "SELECT a::regclass");
        let sql = "SELECT typinput = 'pg_catalog.array_in'::regproc";
        assert_eq!(numbered(sql).unwrap(), "SELECT typinput = 'array_in'");
    }

    #[test]
    fn the_places_that_are_searched_are_written_out() {
        let sql = "SELECT 1 FROM t WHERE s IN (SELECT trim(s[i]) FROM generate_series(1, \
                   array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i) \
                   AND x IN (SELECT 2)";
        let expected = "SELECT 1 FROM t WHERE s IN ('public') AND x IN (SELECT 2)";
        assert_eq!(searched(sql).unwrap(), expected);
    }

    #[test]
    fn what_exists_is_counted_where_it_is_selected() {
        let exists = "EXISTS (SELECT 1 FROM u WHERE u.a = t.a)";
        let sql = format!("SELECT NOT x AND {exists} AS y, NOT {exists} FROM t WHERE {exists}");
        let mut query = queries::plan::statement::query(&sql).unwrap();
        count_what_exists(&mut query);
        let count = "(SELECT count(1) FROM u WHERE u.a = t.a)";
        let expected =
            format!("SELECT NOT x AND {count} > 0 AS y, {count} = 0 FROM t WHERE {exists}");
        assert_eq!(query.to_string(), expected);
    }

    #[test]
    fn what_is_written_twice_is_told_apart() {
        let mut query = queries::plan::statement::query("SELECT NULL, NULL, a, NULL").unwrap();
        tell_apart(&mut query);
        let expected = r#"SELECT NULL, NULL AS "NULL (2)", a, NULL AS "NULL (3)""#;
        assert_eq!(query.to_string(), expected);
    }
}
