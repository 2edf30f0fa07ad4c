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

use super::lower::recursive::union_all;
use super::refuse::Location;
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
            with.cte_tables.iter().try_for_each(counted_recursion)?;
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
}

/// Refuses a recursion by UNION ALL, where it stands.
fn counted_recursion(table: &ast::Cte) -> Flow {
    let ast::SetExpr::SetOperation { op, set_quantifier, right, .. } = table.query.body.as_ref()
    else {
        return ControlFlow::Continue(());
    };
    let all = matches!(set_quantifier, ast::SetQuantifier::All | ast::SetQuantifier::AllByName);
    let name = &table.alias.name.value;
    let reads = |part: &ast::SetExpr| {
        let mut found = false;
        let named = |relation: &ast::ObjectName| {
            found |= relation.to_string().eq_ignore_ascii_case(name);
            ControlFlow::<()>::Continue(())
        };
        let walked = ast::visit_relations(part, named);
        found && walked.is_continue()
    };
    if *op == ast::SetOperator::Union && all && reads(right) {
        let mut error = union_all();
        if let PlanError::Refused { at, .. } = &mut error {
            *at = place(right.span());
        }
        return ControlFlow::Break(Box::new(error));
    }
    ControlFlow::Continue(())
}

fn body(set: &ast::SetExpr) -> Flow {
    match set {
        ast::SetExpr::Select(select) => {
            for table in &select.from {
                for join in &table.joins {
                    operator(join)?;
                }
            }
            ControlFlow::Continue(())
        }
        ast::SetExpr::SetOperation { op, set_quantifier, left, right } => {
            if let Some(clause) = counted(*op, *set_quantifier) {
                let hint = "leave ALL out: each row once; or GROUP BY all columns with count(*) \
                            on both sides and join the counts";
                return stop(clause, hint, right.span());
            }
            body(left)?;
            body(right)
        }
        _ => ControlFlow::Continue(()),
    }
}

/// The set operations that count equal rows: DataFusion plans them as if it did not matter how
/// often a row is there.
fn counted(op: ast::SetOperator, quantifier: ast::SetQuantifier) -> Option<&'static str> {
    use ast::SetQuantifier::All;
    use ast::SetQuantifier::AllByName;
    match (op, quantifier) {
        (ast::SetOperator::Intersect, All | AllByName) => Some("INTERSECT ALL"),
        (ast::SetOperator::Except | ast::SetOperator::Minus, All | AllByName) => Some("EXCEPT ALL"),
        _ => None,
    }
}

/// Refuses what would be answered wrongly, also when it is asked only once.
///
/// # Errors
/// A set operation that counts equal rows.
pub(crate) fn answerable(query: &ast::Query) -> Result<(), PlanError> {
    match ast::Visit::visit(query, &mut Counting) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break((clause, at)) => {
            let message =
                format!("{clause} is not answered: how often a row is there would be forgotten");
            Err(PlanError::Query { message, at })
        }
    }
}

struct Counting;

impl ast::Visitor for Counting {
    type Break = (&'static str, Option<Location>);

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<Self::Break> {
        let mut sets = vec![query.body.as_ref()];
        while let Some(set) = sets.pop() {
            let ast::SetExpr::SetOperation { op, set_quantifier, left, right } = set else {
                continue;
            };
            if let Some(clause) = counted(*op, *set_quantifier) {
                return ControlFlow::Break((clause, place(right.span())));
            }
            sets.extend([left.as_ref(), right.as_ref()]);
        }
        ControlFlow::Continue(())
    }
}

fn operator(join: &ast::Join) -> Flow {
    let span = join.relation.span();
    match &join.join_operator {
        JoinOperator::Join(_)
        | JoinOperator::Inner(_)
        | JoinOperator::Left(_)
        | JoinOperator::LeftOuter(_)
        | JoinOperator::Right(_)
        | JoinOperator::RightOuter(_)
        | JoinOperator::FullOuter(_)
        | JoinOperator::Semi(_)
        | JoinOperator::LeftSemi(_)
        | JoinOperator::RightSemi(_)
        | JoinOperator::Anti(_)
        | JoinOperator::LeftAnti(_)
        | JoinOperator::RightAnti(_)
        | JoinOperator::CrossJoin(_) => ControlFlow::Continue(()),
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
