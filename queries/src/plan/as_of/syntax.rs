//! `ASOF [LEFT] JOIN t MATCH_CONDITION (…) [ON …]`, from tokens to a plain join.
//!
//! The parser takes `ASOF JOIN` in every dialect, but knows no left form. So before it reads, LEFT
//! is taken out and the condition is wrapped in a call that says so: `MATCH_CONDITION
//! (as_of_left(…))`. After it has read, every such join becomes an inner or left one whose ON has
//! the condition as a call too. Places in the text stay what they are.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use datafusion::sql::sqlparser::ast::JoinConstraint;
use datafusion::sql::sqlparser::ast::JoinOperator;
use datafusion::sql::sqlparser::ast::Spanned;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use super::LATEST;
use crate::plan::refuse::PlanError;
use crate::plan::statement::called;
use crate::plan::statement::place;

/// What the condition of a left join is called until its join is read.
const LEFT: &str = "as_of_left";

/// The tokens with `ASOF LEFT JOIN` as the parser can read it.
pub(crate) fn readable(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| word(token) == Some(Keyword::ASOF)) {
        return tokens;
    }
    let mut dropped: Vec<usize> = Vec::new();
    let mut opened: Vec<usize> = Vec::new();
    let mut closed: BTreeMap<usize, usize> = BTreeMap::new();
    // The joins whose conditions are yet to come, and whether they are left ones.
    let mut joins: Vec<bool> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match word(token) {
            Some(Keyword::ASOF) => {
                if let Some(left) = left_words(&tokens, at) {
                    joins.push(!left.is_empty());
                    dropped.extend(left);
                }
            }
            Some(Keyword::MATCH_CONDITION) if joins.pop() == Some(true) => {
                if let Some((open, close)) = brackets(&tokens, at) {
                    opened.push(open);
                    *closed.entry(close).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    let mut readable = Vec::with_capacity(tokens.len() + 3 * opened.len());
    for (at, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        let made = |token: Token| TokenWithSpan { token, span };
        let ends = closed.get(&at).copied().unwrap_or(0);
        if !dropped.contains(&at) {
            readable.push(token);
        }
        if opened.contains(&at) {
            readable.extend([made(Token::make_word(LEFT, None)), made(Token::LParen)]);
        }
        readable.extend((0..ends).map(|_| made(Token::RParen)));
    }
    readable
}

pub(in crate::plan) fn word(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// The tokens behind one, without space, with their places.
pub(in crate::plan) fn behind(
    tokens: &[TokenWithSpan],
    at: usize,
) -> impl Iterator<Item = (usize, &TokenWithSpan)> {
    let space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    tokens.iter().enumerate().skip(at + 1).filter(move |(_, token)| !space(token))
}

/// Where LEFT [OUTER] stands between ASOF and JOIN, if a JOIN follows.
fn left_words(tokens: &[TokenWithSpan], at: usize) -> Option<Vec<usize>> {
    let mut words = Vec::new();
    for (at, token) in behind(tokens, at) {
        match (word(token), words.len()) {
            (Some(Keyword::LEFT), 0) | (Some(Keyword::OUTER), 1) => words.push(at),
            (Some(Keyword::JOIN), _) => return Some(words),
            _ => return None,
        }
    }
    None
}

/// Where the brackets behind a token open and close.
fn brackets(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, usize)> {
    let (open, first) = behind(tokens, at).next()?;
    if first.token != Token::LParen {
        return None;
    }
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            // The one that is added closes before this one.
            return Some((open, at));
        }
    }
    None
}

/// Makes plain joins of a statement's AS OF joins.
///
/// # Errors
/// One of them has no ON but USING, or says NATURAL.
pub(crate) fn plain(statement: &mut ast::Statement) -> Result<(), PlanError> {
    each_join(statement, as_plain)
}

/// Changes every join of a statement, wherever it stands.
///
/// # Errors
/// What `each` says of the first join that it cannot change.
pub(in crate::plan) fn each_join(
    statement: &mut ast::Statement,
    each: impl FnMut(&mut ast::Join) -> Result<(), PlanError>,
) -> Result<(), PlanError> {
    match ast::VisitMut::visit(statement, &mut Joins(each)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Joins<F>(F);

impl<F: FnMut(&mut ast::Join) -> Result<(), PlanError>> Joins<F> {
    fn selects(&mut self, set: &mut ast::SetExpr) -> ControlFlow<Box<PlanError>> {
        match set {
            ast::SetExpr::Select(select) => select.from.iter_mut().try_for_each(|t| self.joins(t)),
            ast::SetExpr::SetOperation { left, right, .. } => {
                self.selects(left)?;
                self.selects(right)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn joins(&mut self, table: &mut ast::TableWithJoins) -> ControlFlow<Box<PlanError>> {
        match table.joins.iter_mut().try_for_each(&mut self.0) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

impl<F: FnMut(&mut ast::Join) -> Result<(), PlanError>> ast::VisitorMut for Joins<F> {
    type Break = Box<PlanError>;

    fn pre_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<Self::Break> {
        self.selects(&mut query.body)
    }

    fn pre_visit_table_factor(
        &mut self,
        factor: &mut ast::TableFactor,
    ) -> ControlFlow<Self::Break> {
        match factor {
            ast::TableFactor::NestedJoin { table_with_joins, .. } => self.joins(table_with_joins),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn as_plain(join: &mut ast::Join) -> Result<(), PlanError> {
    let at = place(join.relation.span());
    let JoinOperator::AsOf { match_condition, constraint } = &join.join_operator else {
        return Ok(());
    };
    let (condition, left) = unwrapped(match_condition);
    let latest = called(LATEST, vec![condition.clone()]);
    let on = match constraint {
        JoinConstraint::None => latest,
        JoinConstraint::On(on) => also(on, latest),
        JoinConstraint::Using(_) | JoinConstraint::Natural => {
            let clause = "ASOF JOIN without ON".to_owned();
            let hint = "write ON left.key = right.key".to_owned();
            return Err(PlanError::Refused { clause, hint, at });
        }
    };
    let on = JoinConstraint::On(on);
    join.join_operator = if left { JoinOperator::LeftOuter(on) } else { JoinOperator::Inner(on) };
    Ok(())
}

/// Both conditions.
pub(in crate::plan) fn also(condition: &ast::Expr, other: ast::Expr) -> ast::Expr {
    ast::Expr::BinaryOp {
        left: Box::new(ast::Expr::Nested(Box::new(condition.clone()))),
        op: BinaryOperator::And,
        right: Box::new(other),
    }
}

/// The condition as it was written, and whether its join is a left one.
fn unwrapped(condition: &ast::Expr) -> (&ast::Expr, bool) {
    if let ast::Expr::Function(call) = condition
        && call.name.to_string() == LEFT
        && let ast::FunctionArguments::List(list) = &call.args
        && let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(inner))] = &list.args[..]
    {
        return (inner, true);
    }
    (condition, false)
}
