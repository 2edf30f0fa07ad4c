//! ORDER BY as PostgreSQL reads it: a name alone is the output of that name if there is one, a name
//! within an expression is a column of FROM.
//!
//! DataFusion takes the output in both, so that `SELECT sum(kw) AS kw … ORDER BY sum(kw)` would be
//! a second sum, of which it says that it has the first one's name. So before it plans, where an
//! expression in ORDER BY names an output, it becomes the name of the output that is the same
//! expression, or else an output of a query below, which knows FROM alone:
//!
//! ```text
//! SELECT id, 10 - kw AS kw FROM r ORDER BY abs(kw) LIMIT 1
//! SELECT * EXCEPT ("order by 1") FROM (SELECT id, 10 - kw AS kw, abs(kw) AS "order by 1" FROM r)
//!     AS ordered ORDER BY "order by 1" LIMIT 1
//! ```
//!
//! With DISTINCT there is no query below: it would tell rows apart that are equal.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;

use super::statement::fold;

/// What stands before the number of an output that is there for the order alone.
const HIDDEN: &str = "order by ";

/// What the query below is called.
const BELOW: &str = "ordered";

/// Lets expressions in ORDER BY name columns of FROM.
pub(crate) fn of_inputs(statement: &mut ast::Statement) {
    let walked = ast::VisitMut::visit(statement, &mut Orders);
    debug_assert!(walked.is_continue(), "nothing breaks the walk");
}

struct Orders;

impl ast::VisitorMut for Orders {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<()> {
        if let ast::SetExpr::Select(select) = query.body.as_mut()
            && let Some(order) = &mut query.order_by
            && let ast::OrderByKind::Expressions(order) = &mut order.kind
        {
            settle(select, order);
        }
        ControlFlow::Continue(())
    }
}

/// Lets the order of one SELECT name columns of FROM.
fn settle(select: &mut ast::Select, order: &mut [ast::OrderByExpr]) {
    let own: BTreeSet<String> = named(&select.projection)
        .filter(|(expr, alias)| column(expr).is_none_or(|name| fold(name) != fold(alias)))
        .map(|(_, alias)| fold(alias))
        .collect();
    let mut rest = false;
    for by in order.iter_mut().filter(|by| names(&by.expr, &own)) {
        let same = named(&select.projection).find(|(expr, _)| bare(expr) == bare(&by.expr));
        match same.map(|(_, alias)| alias.clone()) {
            Some(alias) => by.expr = ast::Expr::Identifier(alias),
            None => rest = true,
        }
    }
    if rest && select.distinct.is_none() && select.into.is_none() {
        below(select, order);
    }
}

/// The outputs that were given a name, with what they are.
fn named(projection: &[ast::SelectItem]) -> impl Iterator<Item = (&ast::Expr, &ast::Ident)> {
    projection.iter().filter_map(|item| match item {
        ast::SelectItem::ExprWithAlias { expr, alias } => Some((expr, alias)),
        _ => None,
    })
}

/// The name of an output, where it has a plain one.
fn output(item: &ast::SelectItem) -> Option<&ast::Ident> {
    match item {
        ast::SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        ast::SelectItem::UnnamedExpr(expr) => column(expr),
        _ => None,
    }
}

/// The name of a column, where an expression is no more.
fn column(expr: &ast::Expr) -> Option<&ast::Ident> {
    match bare(expr) {
        ast::Expr::Identifier(name) => Some(name),
        ast::Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    }
}

/// An expression without brackets around it.
fn bare(expr: &ast::Expr) -> &ast::Expr {
    match expr {
        ast::Expr::Nested(inner) => bare(inner),
        _ => expr,
    }
}

/// Whether an expression that is more than a name has one of these names.
fn names(expr: &ast::Expr, of: &BTreeSet<String>) -> bool {
    let has = |expr: &ast::Expr| match expr {
        ast::Expr::Identifier(name) if of.contains(&fold(name)) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    column(expr).is_none() && ast::visit_expressions(expr, has).is_break()
}

/// Puts a SELECT into a query below, with outputs for all of its order that is none yet.
fn below(select: &mut ast::Select, order: &mut [ast::OrderByExpr]) {
    let outputs: BTreeSet<String> = select.projection.iter().filter_map(output).map(fold).collect();
    let mut hidden = Vec::new();
    for by in order {
        let known = match &by.expr {
            ast::Expr::Value(value) => matches!(value.value, ast::Value::Number(..)),
            expr => match bare(expr) {
                ast::Expr::Identifier(name) => outputs.contains(&fold(name)),
                _ => false,
            },
        };
        if !known {
            let alias = ast::Ident::with_quote('"', format!("{HIDDEN}{}", hidden.len() + 1));
            let name = ast::Expr::Identifier(alias.clone());
            let expr = std::mem::replace(&mut by.expr, name);
            select.projection.push(ast::SelectItem::ExprWithAlias { expr, alias: alias.clone() });
            hidden.push(alias);
        }
    }
    let whole = std::mem::replace(select, all_but(hidden));
    select.from = vec![ast::TableWithJoins { relation: derived(whole), joins: Vec::new() }];
}

/// A SELECT as a relation.
fn derived(select: ast::Select) -> ast::TableFactor {
    let query = ast::Query {
        with: None,
        body: Box::new(ast::SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    };
    let (name, columns) = (ast::Ident::new(BELOW), Vec::new());
    let alias = Some(ast::TableAlias { explicit: true, name, columns, at: None });
    ast::TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None }
}

/// `SELECT * EXCEPT (…)` of nothing yet.
fn all_but(hidden: Vec<ast::Ident>) -> ast::Select {
    let mut hidden = hidden.into_iter();
    let opt_except = hidden.next().map(|first_element| ast::ExceptSelectItem {
        first_element,
        additional_elements: hidden.collect(),
    });
    let all = ast::WildcardAdditionalOptions { opt_except, ..Default::default() };
    ast::Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![ast::SelectItem::Wildcard(all)],
        exclude: None,
        into: None,
        from: Vec::new(),
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: ast::GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: ast::SelectFlavor::Standard,
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::statement;

    #[track_caller]
    fn check(sql: &str, expected: &str) {
        assert_eq!(statement::query(sql).unwrap().to_string(), expected);
    }

    #[track_caller]
    fn stays(sql: &str) {
        check(sql, sql);
    }

    #[test]
    fn an_expression_that_is_an_output_becomes_its_name() {
        check(
            "SELECT k, sum(kw) AS kw FROM t GROUP BY k ORDER BY sum(kw) DESC LIMIT 1",
            "SELECT k, sum(kw) AS kw FROM t GROUP BY k ORDER BY kw DESC LIMIT 1",
        );
        check(
            "SELECT DISTINCT abs(kw) AS kw FROM t ORDER BY (abs(kw))",
            "SELECT DISTINCT abs(kw) AS kw FROM t ORDER BY kw",
        );
    }

    #[test]
    fn any_other_expression_that_names_an_output_is_of_from() {
        check(
            "SELECT 10 - kw AS \"kw\" FROM t ORDER BY abs(KW), kw, at DESC, 1 LIMIT 2",
            "SELECT * EXCEPT (\"order by 1\", \"order by 2\") FROM (SELECT 10 - kw AS \"kw\", \
             abs(KW) AS \"order by 1\", at AS \"order by 2\" FROM t) AS ordered \
             ORDER BY \"order by 1\", kw, \"order by 2\" DESC, 1 LIMIT 2",
        );
        check(
            "SELECT a FROM (SELECT a, -b AS b FROM t ORDER BY b + 1 LIMIT 1) AS x ORDER BY a + 1",
            "SELECT a FROM (SELECT * EXCEPT (\"order by 1\") FROM (SELECT a, -b AS b, \
             b + 1 AS \"order by 1\" FROM t) AS ordered ORDER BY \"order by 1\" LIMIT 1) AS x \
             ORDER BY a + 1",
        );
    }

    #[test]
    fn what_says_the_same_either_way_stays() {
        stays("SELECT 10 - kw AS kw FROM t ORDER BY kw, (kw), t.kw, t.kw + 1, id + 1, 1");
        stays("SELECT t.kw AS kw, id FROM t ORDER BY abs(kw), id + 1");
        stays("SELECT kw AS a FROM t ORDER BY array_agg(kw)");
        stays("SELECT DISTINCT 10 - kw AS kw FROM t ORDER BY abs(kw)");
        stays("SELECT 10 - kw AS kw FROM t UNION SELECT 1 ORDER BY kw");
    }
}
