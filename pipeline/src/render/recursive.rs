//! Recursive: the least set of rows that has the rows to begin with and what follows from it.
//!
//! A loop within a tick: round by round, what the step makes of the rows there are is put to them,
//! until nothing is new. Times are pairs of tick and round there, and everything in the loop is
//! differential's own operators, which keep for each round what it added. That is what makes it
//! right when rows go: a count of reasons would keep rows alive that are each other's only reason,
//! as the buses of a ring that was cut off.
//!
//! What does not read the recursion is rendered outside, as any other node, and brought in.
//!
//! # Frontiers
//!
//! A tick is complete when its rounds have come to rest. After [`ROUNDS_MAX`] rounds it is cut off,
//! and every row that was still new then is a fault of the view.
//!
//! # Bounds
//!
//! Each row once, with the rounds in which it came and went; what the step's joins read, arranged.

mod part;

use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use differential_dataflow::VecCollection;
use differential_dataflow::operators::iterate::Variable;
use schemas::contract::Fault;
use schemas::plan::Node;
use schemas::row::Row;
use timely::dataflow::Scope;
use timely::dataflow::operators::vec::Filter;
use timely::order::Product;

use self::part::Part;
use super::Context;
use super::RenderError;
use super::convert::to_rows;
use super::nullable;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Faults;
use crate::delta::Oks;
use crate::delta::Rows;
use crate::delta::Time;

/// Rounds after which a recursion is taken to be endless: more than any grid is deep, and less than
/// a second of work.
pub const ROUNDS_MAX: u64 = 10_000;

/// A tick and a round.
type Round = Product<Time, u64>;

/// Rows within the loop.
type Inner<'i, D> = VecCollection<'i, Round, D, Diff>;

/// Renders a recursion.
pub(crate) fn recursive<'s>(
    context: &Context<'_, 's>,
    start: &Node,
    step: &Node,
    schema: &SchemaRef,
) -> Result<Edge<'s>, RenderError> {
    let start = context.render(start)?;
    let mut faults = start.faults.clone();
    let start = to_rows(start)?;
    let step = Part::of(context, step, &mut faults)?;
    let (oks, failed) = looped(context.scope, start, step);
    faults.push(failed);
    Ok(Edge { schema: nullable(schema), oks: Oks::Rows(oks), faults })
}

fn looped<'s>(scope: Scope<'s, Time>, start: Rows<'s>, step: Part<'s>) -> (Rows<'s>, Faults<'s>) {
    scope.scoped::<Round, _, _>("Recursive", |inner| {
        let (variable, known) = Variable::new(inner, Product::new(Default::default(), 1));
        let mut faults = Vec::new();
        let follows = step.follow(inner, &known, &mut faults);
        let all = start.enter(inner).concat(follows);
        let all: Inner<'_, Row> = all.threshold(|_, n| Diff::from(*n > 0));
        let within = |(_, round, _): &(Row, Round, Diff)| round.inner < ROUNDS_MAX;
        variable.set(all.clone().inner.filter(within).as_collection());
        let endless = all.clone().inner.filter(move |change| !within(change)).as_collection();
        faults.push(endless.map(|_| endless_fault()));
        let failed = faults.into_iter().reduce(|all, one| all.concat(one));
        let failed = failed.expect("there is the one of endless rounds");
        (all.leave(scope), failed.leave(scope))
    })
}

fn endless_fault() -> Fault {
    Fault {
        expression: "WITH RECURSIVE".to_owned(),
        message: format!("there are new rows after {ROUNDS_MAX} rounds"),
        row: String::new(),
    }
}
