//! `a IS [NOT] DISTINCT FROM b`, with the sides that PostgreSQL gives it.
//!
//! The parser reads all that stands behind FROM as the right side, so that `a IS NOT DISTINCT FROM
//! b AND c` would be `a IS NOT DISTINCT FROM (b AND c)`. In PostgreSQL the right side ends where
//! something follows that binds no tighter than IS: AND, OR, another IS. So before the parser
//! reads, `IS DISTINCT FROM` becomes `IS UNKNOWN :=`: that ends the left side as any IS does, and
//! the right side as a comparison does. After it has read, the two are one again, and what a side
//! was then compared with (`a IS DISTINCT FROM b = c`) is a part of the right side. No query has
//! `:=` as an operator. Places in the text stay what they are.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use super::as_of::syntax::behind;
use super::as_of::syntax::word;

/// The tokens with `IS [NOT] DISTINCT FROM` as the parser can read it.
pub(crate) fn readable(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for at in 0..tokens.len() {
        if let Some((distinct, from)) = distinct_from(&tokens, at) {
            tokens[distinct].token = Token::make_keyword("UNKNOWN");
            tokens[from].token = Token::Assignment;
        }
    }
    tokens
}

/// Where DISTINCT and FROM stand behind IS [NOT].
fn distinct_from(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, usize)> {
    if word(&tokens[at]) != Some(Keyword::IS) {
        return None;
    }
    let mut next = behind(tokens, at);
    let (mut distinct, mut token) = next.next()?;
    if word(token) == Some(Keyword::NOT) {
        (distinct, token) = next.next()?;
    }
    let (from, last) = next.next()?;
    let found = word(token) == Some(Keyword::DISTINCT) && word(last) == Some(Keyword::FROM);
    found.then_some((distinct, from))
}

/// Makes one again what was made of `IS [NOT] DISTINCT FROM`.
pub(crate) fn plain(statement: &mut ast::Statement) {
    let walked = ast::VisitMut::visit(statement, &mut Sides);
    debug_assert!(walked.is_continue(), "nothing breaks the walk");
}

struct Sides;

impl ast::VisitorMut for Sides {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        use ast::Expr::AllOp;
        use ast::Expr::AnyOp;
        use ast::Expr::BinaryOp;
        if matches!(expr, BinaryOp { .. } | AnyOp { .. } | AllOp { .. }) {
            let read = std::mem::replace(expr, ast::Expr::Identifier(ast::Ident::new("")));
            *expr = bound(read);
        }
        ControlFlow::Continue(())
    }
}

/// The operation with its sides as PostgreSQL binds them; those of its sides are so already.
fn bound(expr: ast::Expr) -> ast::Expr {
    match expr {
        ast::Expr::BinaryOp { left, op: BinaryOperator::Assignment, right } => match *left {
            ast::Expr::IsUnknown(left) => ast::Expr::IsDistinctFrom(left, right),
            ast::Expr::IsNotUnknown(left) => ast::Expr::IsNotDistinctFrom(left, right),
            left => {
                let (left, op) = (Box::new(left), BinaryOperator::Assignment);
                ast::Expr::BinaryOp { left, op, right }
            }
        },
        ast::Expr::BinaryOp { left, op, right }
            if !matches!(op, BinaryOperator::And | BinaryOperator::Or) =>
        {
            compared(*left, |left| ast::Expr::BinaryOp { left, op, right })
        }
        ast::Expr::AnyOp { left, compare_op, right, is_some } => {
            compared(*left, |left| ast::Expr::AnyOp { left, compare_op, right, is_some })
        }
        ast::Expr::AllOp { left, compare_op, right } => {
            compared(*left, |left| ast::Expr::AllOp { left, compare_op, right })
        }
        other => other,
    }
}

/// The comparison of what was read; of its right side, where it is itself `IS DISTINCT FROM`.
fn compared(read: ast::Expr, with: impl FnOnce(Box<ast::Expr>) -> ast::Expr) -> ast::Expr {
    match read {
        ast::Expr::IsDistinctFrom(left, right) => {
            ast::Expr::IsDistinctFrom(left, Box::new(with(right)))
        }
        ast::Expr::IsNotDistinctFrom(left, right) => {
            ast::Expr::IsNotDistinctFrom(left, Box::new(with(right)))
        }
        other => with(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::statement;

    /// An expression with brackets around each operation.
    fn bracketed(expr: &ast::Expr) -> String {
        match expr {
            ast::Expr::Nested(inner) => bracketed(inner),
            ast::Expr::BinaryOp { left, op, right } => {
                format!("({} {op} {})", bracketed(left), bracketed(right))
            }
            ast::Expr::UnaryOp { op, expr } => format!("({op} {})", bracketed(expr)),
            ast::Expr::IsNull(inner) => format!("({} IS NULL)", bracketed(inner)),
            ast::Expr::IsDistinctFrom(left, right) => {
                format!("({} IS DISTINCT FROM {})", bracketed(left), bracketed(right))
            }
            ast::Expr::IsNotDistinctFrom(left, right) => {
                format!("({} IS NOT DISTINCT FROM {})", bracketed(left), bracketed(right))
            }
            other => other.to_string(),
        }
    }

    #[track_caller]
    fn check(condition: &str, expected: &str) {
        let query = statement::query(&format!("SELECT 1 FROM t WHERE {condition}")).unwrap();
        let ast::SetExpr::Select(select) = *query.body else { panic!("it is a SELECT") };
        assert_eq!(bracketed(&select.selection.unwrap()), expected);
    }

    #[test]
    fn a_side_ends_where_something_looser_follows() {
        check("a IS NOT DISTINCT FROM b AND c = 1", "((a IS NOT DISTINCT FROM b) AND (c = 1))");
        check("a IS DISTINCT FROM b OR c", "((a IS DISTINCT FROM b) OR c)");
        check("p AND a IS DISTINCT FROM b OR c", "((p AND (a IS DISTINCT FROM b)) OR c)");
        check("NOT a IS DISTINCT FROM b AND c", "((NOT (a IS DISTINCT FROM b)) AND c)");
        check("a IS DISTINCT FROM NOT b AND c", "((a IS DISTINCT FROM (NOT b)) AND c)");
        check("a IS DISTINCT FROM b IS NULL", "((a IS DISTINCT FROM b) IS NULL)");
        let chain = "((a IS DISTINCT FROM b) IS NOT DISTINCT FROM c)";
        check("a IS DISTINCT FROM b IS NOT DISTINCT FROM c", chain);
    }

    #[test]
    fn what_binds_tighter_is_of_the_side() {
        check("a = b IS DISTINCT FROM c < d AND e", "(((a = b) IS DISTINCT FROM (c < d)) AND e)");
        let between = "((a IS DISTINCT FROM b + 1 BETWEEN 2 AND 3) AND c)";
        check("a IS DISTINCT FROM b + 1 BETWEEN 2 AND 3 AND c", between);
        let any = "(a IS DISTINCT FROM b = ANY(SELECT 1))";
        check("a IS DISTINCT FROM b = ANY (SELECT 1)", any);
        check("(a IS DISTINCT FROM b) = c", "((a IS DISTINCT FROM b) = c)");
    }

    #[test]
    fn brackets_and_comments_stay_what_they_are() {
        let inner = "((a IS DISTINCT FROM ((b IS NULL) AND c)) OR d)";
        check("a IS DISTINCT FROM (b IS NULL AND c) OR d", inner);
        check("a IS /* not */ DISTINCT\n FROM b AND c", "((a IS DISTINCT FROM b) AND c)");
        check("a IS UNKNOWN AND b", "(a IS UNKNOWN AND b)");
    }

    #[test]
    fn many_stand_beside_each_other() {
        let all = ["a IS NOT DISTINCT FROM b"; 40].join(" AND ");
        statement::query(&format!("SELECT 1 FROM t WHERE {all}")).unwrap();
    }
}
