//! `JOIN t FOR SYSTEM_TIME AS OF now() [AS a] ON …`, from tokens to a plain join.
//!
//! The parser does not know the clause in this dialect. So before it reads, the clause is taken out
//! and the table's name is marked; after it has read, the name is what it was and the join's ON has
//! a call that says so. Places in the text stay what they are.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::JoinConstraint;
use datafusion::sql::sqlparser::ast::JoinOperator;
use datafusion::sql::sqlparser::ast::Spanned;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use datafusion::sql::sqlparser::tokenizer::Word;

use super::KNOWN;
use crate::plan::as_of::syntax::also;
use crate::plan::as_of::syntax::behind;
use crate::plan::as_of::syntax::each_join;
use crate::plan::as_of::syntax::word;
use crate::plan::refuse::PlanError;
use crate::plan::statement::called;
use crate::plan::statement::place;

/// Stands before the name of a table that is looked up, until its join is read; no name has it.
const MARK: &str = "known on arrival: ";

/// The tokens without `FOR SYSTEM_TIME AS OF now()`, and the names before it marked.
///
/// # Errors
/// The clause asks for another time than `now()`, or stands behind no name.
pub(crate) fn readable(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, PlanError> {
    let is_for = |at: usize| {
        let next = behind(&tokens, at).next();
        let of_time = next.is_some_and(|(_, t)| word(t) == Some(Keyword::SYSTEM_TIME));
        word(&tokens[at]) == Some(Keyword::FOR) && of_time
    };
    let clauses: Vec<usize> = (0..tokens.len()).filter(|at| is_for(*at)).collect();
    let mut dropped = vec![false; tokens.len()];
    for begin in clauses {
        let Some(end) = now(&tokens, begin) else { return Err(another_time(&tokens[begin])) };
        let space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
        let name = (0..begin).rev().find(|at| !space(&tokens[*at]));
        let named = name.and_then(|at| match &tokens[at].token {
            Token::Word(word) if names_table(&tokens, at) => Some((at, marked(word))),
            _ => None,
        });
        let Some((at, name)) = named else { return Err(misplaced(&tokens[begin])) };
        tokens[at].token = name;
        dropped[begin..=end].fill(true);
    }
    let kept = tokens.into_iter().zip(dropped).filter(|(_, dropped)| !dropped);
    Ok(kept.map(|(token, _)| token).collect())
}

/// Whether the word here is the name of a table, or its last part, and no alias.
fn names_table(tokens: &[TokenWithSpan], at: usize) -> bool {
    let space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let before = tokens[..at].iter().rev().find(|token| !space(token));
    before.is_some_and(|token| {
        let opens = [Token::Period, Token::Comma, Token::LParen].contains(&token.token);
        opens || matches!(word(token), Some(Keyword::JOIN | Keyword::FROM))
    })
}

/// Where the clause that begins here ends, if it asks for `now()`.
fn now(tokens: &[TokenWithSpan], begin: usize) -> Option<usize> {
    let mut rest = behind(tokens, begin);
    let mut is = |right: &dyn Fn(&TokenWithSpan) -> bool| {
        rest.next().filter(|(_, token)| right(token)).map(|(at, _)| at)
    };
    is(&|token| word(token) == Some(Keyword::SYSTEM_TIME))?;
    is(&|token| word(token) == Some(Keyword::AS))?;
    is(&|token| word(token) == Some(Keyword::OF))?;
    is(&|token| matches!(&token.token, Token::Word(w) if w.value.eq_ignore_ascii_case("now")))?;
    is(&|token| token.token == Token::LParen)?;
    is(&|token| token.token == Token::RParen)
}

fn marked(name: &Word) -> Token {
    let folded = match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    };
    let value = format!("{MARK}{folded}");
    Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword })
}

fn another_time(at: &TokenWithSpan) -> PlanError {
    PlanError::Refused {
        clause: "FOR SYSTEM_TIME AS OF another time than now()".to_owned(),
        hint: "a lookup is as known on arrival: write FOR SYSTEM_TIME AS OF now(); for what was \
               so at a time of the row, keep changes with their times and use ASOF JOIN"
            .to_owned(),
        at: place(at.span),
    }
}

fn misplaced(at: &TokenWithSpan) -> PlanError {
    PlanError::Refused {
        clause: "FOR SYSTEM_TIME AS OF now() that is not behind the name of a joined table"
            .to_owned(),
        hint: "write … JOIN table FOR SYSTEM_TIME AS OF now() [AS alias] ON left.key = alias.key"
            .to_owned(),
        at: place(at.span),
    }
}

/// Makes plain joins of a statement's lookups.
///
/// # Errors
/// A table is looked up in another join than JOIN and LEFT JOIN with ON, or in none.
pub(crate) fn plain(statement: &mut ast::Statement) -> Result<(), PlanError> {
    each_join(statement, as_plain)?;
    let left = ast::visit_relations(statement, |name| match looked_up(name) {
        Some(_) => ControlFlow::Break(place(name.span())),
        None => ControlFlow::Continue(()),
    });
    match left {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(at) => Err(PlanError::Refused {
            clause: "FOR SYSTEM_TIME AS OF now() outside JOIN".to_owned(),
            hint: "read the table as it is: every view is as of now".to_owned(),
            at,
        }),
    }
}

fn as_plain(join: &mut ast::Join) -> Result<(), PlanError> {
    let at = place(join.relation.span());
    let ast::TableFactor::Table { name, .. } = &mut join.relation else { return Ok(()) };
    let Some(plain) = looked_up(name) else { return Ok(()) };
    *name = plain;
    let known = |on: &ast::Expr| JoinConstraint::On(also(on, called(KNOWN, Vec::new())));
    join.join_operator = match &join.join_operator {
        JoinOperator::Join(JoinConstraint::On(on))
        | JoinOperator::Inner(JoinConstraint::On(on)) => JoinOperator::Inner(known(on)),
        JoinOperator::Left(JoinConstraint::On(on))
        | JoinOperator::LeftOuter(JoinConstraint::On(on)) => JoinOperator::LeftOuter(known(on)),
        _ => {
            let clause = "a lookup (FOR SYSTEM_TIME AS OF now()) in another join than JOIN … ON \
                          and LEFT JOIN … ON"
                .to_owned();
            let hint = "put the rows that are looked up by on the left, and write \
                        ON left.key = table.key"
                .to_owned();
            return Err(PlanError::Refused { clause, hint, at });
        }
    };
    Ok(())
}

/// The name as it was written, if it is marked.
fn looked_up(name: &ast::ObjectName) -> Option<ast::ObjectName> {
    let mut name = name.clone();
    match name.0.last_mut()? {
        ast::ObjectNamePart::Identifier(ident) => {
            ident.value = ident.value.strip_prefix(MARK)?.to_owned();
            Some(name)
        }
        _ => None,
    }
}
