//! What is refused at first sight: clauses without a maintained form, by their SQL names and
//! places.
//!
//! The syntax tree is looked at before DataFusion plans it, because only here does a clause still
//! have the name and the place that its writer knows. What slips through is refused by
//! [`super::lower`], without a place.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::JoinOperator;
use datafusion::sql::sqlparser::ast::Spanned;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::refuse::PlanError;
use super::statement::place;

/// Refuses what cannot be maintained.
///
/// # Errors
/// The first such clause, in the order of the text's nesting.
pub(crate) fn survey(query: &ast::Query) -> Result<(), PlanError> {
    if query.order_by.is_some() && query.limit_clause.is_none() && !distinct_on(&query.body) {
        let span = query.order_by.as_ref().map_or(Span::empty(), Spanned::span);
        let hint = "a view has no order: order where it is read, or add LIMIT";
        return Err(refused("ORDER BY without LIMIT", hint, span));
    }
    match ast::Visit::visit(query, &mut Survey) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

fn refused(clause: &str, hint: &str, span: Span) -> PlanError {
    PlanError::Refused { clause: clause.to_owned(), hint: hint.to_owned(), at: place(span) }
}

struct Survey;

type Flow = ControlFlow<Box<PlanError>>;

fn stop(clause: &str, hint: &str, span: Span) -> Flow {
    ControlFlow::Break(Box::new(refused(clause, hint, span)))
}

impl ast::Visitor for Survey {
    type Break = Box<PlanError>;

    fn pre_visit_query(&mut self, query: &ast::Query) -> Flow {
        if let Some(with) = query.with.as_ref().filter(|with| with.recursive) {
            let hint = "write the levels out, or put the closure into a reference table";
            return stop("WITH RECURSIVE", hint, with.span());
        }
        if let Some(ast::LimitClause::LimitOffset { offset: Some(offset), .. }) =
            &query.limit_clause
        {
            let hint = "keep more rows with LIMIT and skip where the view is read";
            return stop("OFFSET", hint, offset.value.span());
        }
        if query.fetch.is_some() {
            return stop("FETCH FIRST", "write LIMIT", Span::empty());
        }
        if query.limit_clause.is_some() && query.order_by.is_none() {
            let hint = "say which rows: add ORDER BY";
            return stop("LIMIT without ORDER BY", hint, Span::empty());
        }
        body(&query.body)
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> Flow {
        match expr {
            ast::Expr::Function(call) if call.over.is_some() => {
                let hint = "group by date_bin(…) for windows of time, use SELECT DISTINCT ON … \
                            ORDER BY … for the latest row of a key, or ORDER BY … LIMIT";
                stop("a window function (OVER)", hint, call.span())
            }
            ast::Expr::InSubquery { .. } => {
                let hint = "join with (SELECT DISTINCT key FROM …)";
                stop("IN (SELECT …)", hint, expr.span())
            }
            ast::Expr::Exists { .. } => {
                let hint = "join with (SELECT DISTINCT key FROM …); for NOT EXISTS, LEFT JOIN it \
                            and keep the rows where its key IS NULL";
                stop("EXISTS (SELECT …)", hint, expr.span())
            }
            ast::Expr::Subquery(_) => {
                let hint = "put the query into FROM and join it";
                stop("a query as a value", hint, expr.span())
            }
            ast::Expr::GroupingSets(_) | ast::Expr::Rollup(_) | ast::Expr::Cube(_) => {
                let hint = "write one GROUP BY each and put UNION ALL between";
                stop("GROUPING SETS, ROLLUP and CUBE", hint, expr.span())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn body(set: &ast::SetExpr) -> Flow {
    match set {
        ast::SetExpr::Select(select) => {
            for table in &select.from {
                for join in &table.joins {
                    operator(join)?;
                }
            }
            if select.qualify.is_some() {
                return stop("QUALIFY", "use SELECT DISTINCT ON … ORDER BY …", select.span());
            }
            ControlFlow::Continue(())
        }
        ast::SetExpr::SetOperation { op, left, right, .. } => {
            if *op != ast::SetOperator::Union {
                let hint = "for INTERSECT join with (SELECT DISTINCT …); for EXCEPT, LEFT JOIN \
                            it and keep the rows where its key IS NULL";
                return stop(&op.to_string(), hint, right.span());
            }
            body(left)?;
            body(right)
        }
        _ => ControlFlow::Continue(()),
    }
}

fn operator(join: &ast::Join) -> Flow {
    let span = join.relation.span();
    match &join.join_operator {
        JoinOperator::Join(_)
        | JoinOperator::Inner(_)
        | JoinOperator::Left(_)
        | JoinOperator::LeftOuter(_)
        | JoinOperator::CrossJoin(_) => ControlFlow::Continue(()),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
            stop("RIGHT JOIN", "swap the sides and write LEFT JOIN", span)
        }
        JoinOperator::FullOuter(_) => {
            let hint = "UNION ALL a LEFT JOIN and the right rows that have no match";
            stop("FULL JOIN", hint, span)
        }
        JoinOperator::AsOf { .. } => {
            let hint = "join on a period: t >= p.start_at AND t < p.end_at beside an equality";
            stop("AS OF JOIN", hint, span)
        }
        other => stop(
            &format!("{other:?}").split('(').next().unwrap_or("this join").to_uppercase(),
            "use JOIN or LEFT JOIN on equal columns",
            span,
        ),
    }
}

fn distinct_on(set: &ast::SetExpr) -> bool {
    matches!(set, ast::SetExpr::Select(select)
        if matches!(select.distinct, Some(ast::Distinct::On(_))))
}
