//! `WINDOW w AS (…)`: every name of a window becomes the window itself.
//!
//! DataFusion knows `OVER w` in the columns of a SELECT alone, and takes `OVER (w ROWS …)` for a
//! window without partition and order. So names are replaced before it plans: `OVER w` is w as it
//! is defined, and `OVER (w …)` is w with an order or a frame that w does not have
//! (SQL:2016 7.15, window clause).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::NamedWindowDefinition;
use datafusion::sql::sqlparser::ast::NamedWindowExpr;
use datafusion::sql::sqlparser::ast::WindowSpec;
use datafusion::sql::sqlparser::ast::WindowType;

use super::refuse::PlanError;
use super::refuse::nearest;
use super::statement::fold;
use super::statement::place;

/// Puts windows in the place of their names.
///
/// # Errors
/// There is no window of a name, or one is given a part that it has already.
pub(crate) fn replaced(statement: &mut ast::Statement) -> Result<(), PlanError> {
    match ast::VisitMut::visit(statement, &mut Windows::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// The windows of the queries that are open, the innermost last; an ORDER BY behind a SELECT knows
/// its windows.
#[derive(Default)]
struct Windows {
    named: Vec<Vec<(String, WindowSpec)>>,
}

impl Windows {
    fn of(&self, name: &ast::Ident) -> Result<WindowSpec, PlanError> {
        let here = self.named.last().map_or(&[][..], Vec::as_slice);
        let folded = fold(name);
        let found = here.iter().find(|(named, _)| *named == folded);
        found.map(|(_, spec)| spec.clone()).ok_or_else(|| {
            let hint = nearest(&folded, here.iter().map(|(named, _)| named.as_str()));
            let message = format!("there is no window {folded}; {hint}");
            PlanError::Query { message, at: place(name.span) }
        })
    }

    /// The window with the parts of the one that it names.
    fn whole(&self, mut spec: WindowSpec) -> Result<WindowSpec, PlanError> {
        let Some(name) = spec.window_name.take() else { return Ok(spec) };
        let base = self.of(&name)?;
        let twice = |part: &str| PlanError::Query {
            message: format!("the window {name} may not be given {part} here"),
            at: place(name.span),
        };
        if !spec.partition_by.is_empty() {
            return Err(twice("a PARTITION BY"));
        }
        if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            return Err(twice("another ORDER BY"));
        }
        if base.window_frame.is_some() {
            return Err(twice("another frame"));
        }
        let order_by = if spec.order_by.is_empty() { base.order_by } else { spec.order_by };
        Ok(WindowSpec { partition_by: base.partition_by, order_by, ..spec })
    }

    fn define(&mut self, windows: Vec<NamedWindowDefinition>) -> Result<(), PlanError> {
        let here = self.named.last_mut().expect("a SELECT is in a query");
        here.clear();
        for NamedWindowDefinition(name, window) in windows {
            let spec = match window {
                NamedWindowExpr::NamedWindow(other) => self.of(&other)?,
                NamedWindowExpr::WindowSpec(spec) => self.whole(spec)?,
            };
            let here = self.named.last_mut().expect("a SELECT is in a query");
            here.push((fold(&name), spec));
        }
        Ok(())
    }

    fn call(&self, call: &mut ast::Function) -> Result<(), PlanError> {
        let spec = match call.over.take() {
            None => return Ok(()),
            Some(WindowType::NamedWindow(name)) => self.of(&name)?,
            Some(WindowType::WindowSpec(spec)) => self.whole(spec)?,
        };
        call.over = Some(WindowType::WindowSpec(spec));
        Ok(())
    }
}

fn go_on(done: Result<(), PlanError>) -> ControlFlow<Box<PlanError>> {
    match done {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

impl ast::VisitorMut for Windows {
    type Break = Box<PlanError>;

    fn pre_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<Self::Break> {
        self.named.push(Vec::new());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<Self::Break> {
        self.named.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<Self::Break> {
        go_on(self.define(std::mem::take(&mut select.named_window)))
    }

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Self::Break> {
        match expr {
            ast::Expr::Function(call) => go_on(self.call(call)),
            _ => ControlFlow::Continue(()),
        }
    }
}
