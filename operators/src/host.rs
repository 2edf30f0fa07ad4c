//! Runs any kernel in the dataflow: ticks in order, keyed so that workers share the load.
//!
//! ```text
//!  view ─▶ route ─┐                         ┌─▶ output 0
//!  view ─▶ route ─┴▶ (exchange) ─▶ step ────┴─▶ output 1
//! ```
//!
//! *Route* cuts the columns that the kernel reads out of each row (by name, as bytes, undecoded)
//! and sends it to the worker that its key hashes to. It also tells every worker which ticks there
//! are: a worker whose feeders were silent must step its every-tick kernels as often as the others,
//! or the answer would depend on how many workers there are. *Step* keeps what came until its tick
//! is complete, consolidates, decodes, and asks the kernel. Columns that the kernel does not read
//! are gone before consolidation, so a change of them alone never reaches it.
//!
//! # Frontiers
//!
//! One capability, held at the least tick that may still be stepped: the input's frontier rounded
//! up to a tick. A tick is stepped once the frontier has passed it, and its rows carry its time.
//! Rows that came before the first tick (reference tables, at time 0) are given with it. When the
//! inputs close, what is complete is stepped up to the last tick that any worker saw data of, and
//! no further.
//!
//! # Bounds
//!
//! Rows and ticks between the frontier and the newest data: what admission lets in.

mod clock;
mod route;
mod step;

use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use differential_dataflow::VecCollection;
use schemas::row::Row;
use timely::dataflow::Scope;
use timely::dataflow::operators::Concatenate;

pub use self::clock::TickClock;
use self::route::Selection;
use crate::error::HostError;
use crate::kernel::Kernel;

/// Rows of one view or output, as they change by tick.
pub type Rows<'s> = VecCollection<'s, u64, Row, i64>;

/// A view that agents may read.
#[derive(Clone)]
pub struct HostInput<'s> {
    /// Its rows, encoded by a codec of `schema`.
    pub rows: Rows<'s>,
    /// Its columns.
    pub schema: SchemaRef,
}

/// A row on its way to a kernel: where to, for which input, and the row. [`MARK`] says only that
/// its tick is.
pub(crate) type Parcel = (u64, u8, Row);

/// The input number of a parcel without a row.
pub(crate) const MARK: u8 = u8::MAX;

/// Hosts the kernel that `make` gives, one instance a worker; `inputs` in the order of its
/// declaration.
///
/// Gives one collection an output, rows encoded by a codec of the output's columns.
///
/// # Errors
/// An input lacks a column, or has it in another type.
pub fn host<'s>(
    scope: Scope<'s, u64>,
    name: &str,
    inputs: Vec<HostInput<'s>>,
    clock: TickClock,
    make: impl Fn() -> Box<dyn Kernel>,
) -> Result<Vec<Rows<'s>>, HostError> {
    let kernel = make();
    let (specs, outputs) = (kernel.inputs(), kernel.outputs());
    assert_eq!(specs.len(), inputs.len(), "{name}: one input for each that the kernel declares");
    let mut routed = Vec::with_capacity(inputs.len());
    for (port, (input, spec)) in inputs.into_iter().zip(&specs).enumerate() {
        let selection = Selection::new(name, &input.schema, spec)?;
        let port = u8::try_from(port).expect("a kernel reads a handful of views");
        routed.push(route::route(scope, name, input.rows, port, selection, &clock));
    }
    let parcels = scope.concatenate(routed);
    let given = step::step(parcels, name, kernel, specs, clock).as_collection();
    let output = |port: usize| {
        given.clone().flat_map(move |(of, row): (u8, Row)| (usize::from(of) == port).then_some(row))
    };
    Ok((0..outputs.len()).map(output).collect())
}
