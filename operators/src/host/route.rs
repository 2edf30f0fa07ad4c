//! [`route`]: the columns a kernel reads, to the worker that judges them, and news of ticks to all.

use arrow_schema::DataType;
use arrow_schema::Schema;
use schemas::row::Layout;
use schemas::row::Row;
use schemas::row::Splice;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::MARK;
use super::Parcel;
use super::Rows;
use super::TickClock;
use crate::error::HostError;
use crate::kernel::InputSpec;
use crate::kernel::ONE_PLACE;

/// A parcel, the tick it belongs to, and how often it came.
pub(crate) type Update = (Parcel, u64, i64);

/// Which bytes of a view's row make the kernel's row, and which of those its key.
#[derive(Clone)]
pub(crate) struct Selection {
    row: Splice,
    key: Splice,
}

impl Selection {
    /// The columns of `spec` by name out of a view of columns `view`.
    pub(crate) fn new(
        agent: &str,
        view: &Schema,
        spec: &InputSpec,
    ) -> Result<Selection, HostError> {
        let (agent, name) = (agent.to_owned(), spec.view.to_owned());
        let types = view.fields().iter().map(|field| field.data_type());
        let Some(layout) = Layout::new(types) else {
            return Err(HostError::Nested { view: name });
        };
        let mut picks = Vec::new();
        let mut key = Vec::new();
        for wanted in spec.schema.fields() {
            let column = wanted.name().clone();
            let Ok(at) = view.index_of(&column) else {
                return Err(HostError::Column { agent, view: name, column });
            };
            let (expected, found) = (wanted.data_type(), view.field(at).data_type());
            if !alike(expected, found) {
                let (expected, found) = (expected.clone(), found.clone());
                return Err(HostError::Type { agent, view: name, column, expected, found });
            }
            if column == spec.key {
                key.push(at);
            }
            picks.push(at);
        }
        let keyed = !key.is_empty() || spec.key == ONE_PLACE;
        assert!(keyed, "{agent} routes {name} by a column that it reads");
        let row = Splice::new(vec![layout.clone()], &picks);
        Ok(Selection { row, key: Splice::new(vec![layout], &key) })
    }
}

/// Whether the two are encoded alike. Instants are, whatever name their zone goes by: all are UTC.
fn alike(expected: &DataType, found: &DataType) -> bool {
    match (expected, found) {
        (DataType::Timestamp(a, _), DataType::Timestamp(b, _)) => a == b,
        _ => expected == found,
    }
}

/// FNV-1a, then a finaliser so that the low bits, which choose the worker, depend on all. Never
/// persisted.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Addresses the rows of one input; see [`super`].
pub(crate) fn route<'s>(
    scope: Scope<'s, u64>,
    name: &str,
    rows: Rows<'s>,
    port: u8,
    mut selection: Selection,
    clock: &TickClock,
) -> StreamVec<'s, u64, Update> {
    let (clock, peers) = (*clock, scope.peers() as u64);
    let mut last_mark = None;
    rows.inner.unary::<CapacityContainerBuilder<Vec<Update>>, _, _, _>(
        Pipeline,
        &format!("{name}.route"),
        |_, _| {
            move |input, output| {
                input.for_each(|capability, rows| {
                    let mut updates = Vec::with_capacity(rows.len());
                    for (row, time, diff) in rows.drain(..) {
                        let tick = clock.tick_of(time);
                        if last_mark != Some(tick) && clock.counts(tick) {
                            last_mark = Some(tick);
                            let mark = |worker| ((worker, MARK, Row::empty()), time, 1);
                            updates.extend((0..peers).map(mark));
                        }
                        let bytes = [row.as_bytes()];
                        let to = hash(selection.key.bytes(&bytes));
                        updates.push(((to, port, selection.row.row(&bytes)), time, diff));
                    }
                    output.session(&capability).give_container(&mut updates);
                });
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use schemas::relation::Relation;
    use schemas::state::FeederNow;

    use super::*;

    #[test]
    fn feeders_spread_over_workers() {
        for workers in [2, 3, 4] {
            let mut load = vec![0; workers];
            for feeder in 0..300 {
                load[hash(format!("feeder-{feeder}").as_bytes()) as usize % workers] += 1;
            }
            let fair = 300 / workers;
            assert!(load.iter().all(|n| *n > fair * 7 / 10), "{load:?}");
        }
    }

    #[test]
    fn what_a_view_lacks_is_named() {
        let spec = InputSpec::by_feeder::<FeederNow>();
        let missing = FeederNow::schema().project(&[0, 1, 3]).unwrap();
        let error = Selection::new("dispatch", &missing, &spec).err().unwrap();
        let text = "dispatch reads feeder_now.head_kw, which the view does not have";
        assert_eq!(error.to_string(), text);
    }
}
