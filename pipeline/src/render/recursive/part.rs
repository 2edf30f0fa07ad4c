//! The parts of a recursion's step: first as the plan says them, then within the loop.
//!
//! Rendering outside of the loop may fail and rendering inside may not, so a step is taken apart
//! first: everything that does not read the recursion becomes rows, and what does keeps its codecs.

use std::collections::BTreeMap;

use differential_dataflow::AsCollection;
use schemas::contract::Fault;
use schemas::plan::JoinKind;
use schemas::plan::Node;
use schemas::plan::Op;
use schemas::row::Layout;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::row::Splice;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::Inner;
use super::Round;
use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Diffs;
use crate::delta::Faults;
use crate::delta::Rows;
use crate::delta::Time;
use crate::render::Context;
use crate::render::RenderError;
use crate::render::codec;
use crate::render::convert::OF_SCHEMA;
use crate::render::convert::to_rows;
use crate::render::key::Key;
use crate::render::layout;
use crate::render::map_filter::Evaluator;
use crate::render::nullable;

/// A node of the step.
pub(super) enum Part<'s> {
    /// The rows there are so far.
    Known,
    /// Rows from outside.
    Fixed(Rows<'s>),
    /// Computed, filtered and projected.
    Mapped(Box<Part<'s>>, Box<Mapped>),
    /// Joined on equal keys.
    Joined(Box<[Part<'s>; 2]>, Box<Joined>),
    /// Those whose key is, or is not, among rows from outside.
    Asked(Box<[Part<'s>; 2]>, Box<Asked>),
    /// All rows of all.
    All(Vec<Part<'s>>),
}

pub(super) struct Mapped {
    evaluator: Evaluator,
    from: RowCodec,
    to: RowCodec,
}

pub(super) struct Joined {
    keys: [Key; 2],
    splice: Splice,
}

pub(super) struct Asked {
    keys: [Key; 2],
    splice: Splice,
    /// Those whose key is not there.
    not: bool,
}

impl<'s> Part<'s> {
    /// The part that a node is; faults from outside are added to `faults`.
    pub(super) fn of(
        context: &Context<'_, 's>,
        node: &Node,
        faults: &mut Vec<Faults<'s>>,
    ) -> Result<Part<'s>, RenderError> {
        if !reads(node) {
            let edge = context.render(node)?;
            faults.extend(edge.faults.iter().cloned());
            return Ok(Part::Fixed(to_rows(edge)?));
        }
        let mut part = |node: &Node| Part::of(context, node, faults);
        match &node.op {
            Op::Recurrence => Ok(Part::Known),
            // The loop puts each row once, whatever its step does.
            Op::Distinct { input } => part(input),
            Op::Union { inputs } => {
                Ok(Part::All(inputs.iter().map(part).collect::<Result<_, _>>()?))
            }
            Op::MapFilterProject { input, filters, projections, .. } => {
                let schema = nullable(&node.schema);
                let evaluator = Evaluator {
                    filters: filters.clone(),
                    projections: projections.clone(),
                    schema: schema.clone(),
                    on_error: context.on_error,
                    forget: None,
                };
                let from = codec(&nullable(&input.schema), NODE)?;
                let mapped = Mapped { evaluator, from, to: codec(&schema, NODE)? };
                Ok(Part::Mapped(Box::new(part(input)?), Box::new(mapped)))
            }
            Op::Join { left, right, left_key, right_key, nulls_equal, kind, outputs } => {
                let layouts = [layout(&left.schema, NODE)?, layout(&right.schema, NODE)?];
                let splice = |layouts: &[Layout]| Splice::new(layouts.to_vec(), outputs);
                let (both, alone) = (&layouts[..], &layouts[..1]);
                let key = |side: usize, columns: &[usize]| {
                    Key::new(layouts[side].clone(), columns, *nulls_equal)
                };
                let keys = [key(0, left_key), key(1, right_key)];
                let sides = Box::new([part(left)?, part(right)?]);
                let not = *kind == JoinKind::Anti;
                let fixed = matches!(sides[1], Part::Fixed(_));
                match kind {
                    JoinKind::Inner => {
                        let joined = Joined { keys, splice: splice(both) };
                        Ok(Part::Joined(sides, Box::new(joined)))
                    }
                    JoinKind::Semi | JoinKind::Anti if fixed => {
                        let asked = Asked { keys, splice: splice(alone), not };
                        Ok(Part::Asked(sides, Box::new(asked)))
                    }
                    _ => Err(RenderError::Recurrence),
                }
            }
            _ => Err(RenderError::Recurrence),
        }
    }

    /// What follows from the rows there are.
    pub(super) fn follow<'i>(
        self,
        scope: Scope<'i, Round>,
        known: &Inner<'i, Row>,
        faults: &mut Vec<Inner<'i, Fault>>,
    ) -> Inner<'i, Row> {
        match self {
            Part::Known => known.clone(),
            Part::Fixed(rows) => rows.enter(scope),
            Part::Mapped(input, mapped) => {
                let input = input.follow(scope, known, faults);
                let (oks, failed) = mapped.over(input);
                faults.push(failed);
                oks
            }
            Part::Joined(sides, joined) => {
                let [left, right] = *sides;
                let left = left.follow(scope, known, faults);
                let right = right.follow(scope, known, faults);
                joined.of(left, right)
            }
            Part::Asked(sides, asked) => {
                let [left, right] = *sides;
                let left = left.follow(scope, known, faults);
                let right = right.follow(scope, known, faults);
                asked.of(left, right)
            }
            Part::All(parts) => {
                let parts = parts.into_iter().map(|part| part.follow(scope, known, faults));
                let all = parts.reduce(|all, one| all.concat(one));
                all.expect("a union has branches")
            }
        }
    }
}

const NODE: &str = "Recursive";

/// Whether a node reads the recursion.
fn reads(node: &Node) -> bool {
    matches!(node.op, Op::Recurrence) || node.inputs().into_iter().any(reads)
}

impl Mapped {
    /// The rows computed, and those that could not be.
    fn over<'i>(mut self, rows: Inner<'i, Row>) -> (Inner<'i, Row>, Inner<'i, Fault>) {
        let said = rows.inner.unary::<CapacityContainerBuilder<Vec<Said>>, _, _, _>(
            Pipeline,
            "Recursive: compute",
            |_, _| {
                move |input, output| {
                    input.for_each(|cap, data| {
                        let mut session = output.session(&cap);
                        session.give_iterator(self.said(std::mem::take(data)).into_iter());
                    });
                }
            },
        );
        let said = said.as_collection();
        (said.clone().flat_map(Result::ok), said.flat_map(Result::err))
    }

    fn said(&mut self, rows: Vec<(Row, Round, Diff)>) -> Vec<Said> {
        let mut rounds: BTreeMap<Round, (Vec<Row>, Vec<Diff>)> = BTreeMap::new();
        for (row, round, diff) in rows {
            let (rows, diffs) = rounds.entry(round).or_default();
            rows.push(row);
            diffs.push(diff);
        }
        let mut said = Vec::new();
        for (round, (rows, diffs)) in rounds {
            let batch = self.from.decode(rows.iter().map(Row::as_bytes)).expect(OF_SCHEMA);
            let time: Time = round.outer;
            let delta = DeltaBatch { time, batch, diffs: Diffs::Each(diffs.into()) };
            let (mut done, mut failed) = (Vec::new(), Vec::new());
            self.evaluator.run(&delta, &mut done, &mut failed);
            for delta in done {
                let encoded =
                    self.to.encode(delta.batch.columns(), delta.batch.num_rows(), |n, b| {
                        said.push((Ok(Row::new(b)), round, delta.diffs.at(n)));
                    });
                encoded.expect(OF_SCHEMA);
            }
            said.extend(failed.into_iter().map(|(fault, _, diff)| (Err(fault), round, diff)));
        }
        said
    }
}

/// A row or a fault, and its change.
type Said = (Result<Row, Fault>, Round, Diff);

impl Joined {
    fn of<'i>(self, left: Inner<'i, Row>, right: Inner<'i, Row>) -> Inner<'i, Row> {
        let [mut of_left, mut of_right] = self.keys;
        let left = left.flat_map(move |row| of_left.row(&row).map(|key| (key, row)));
        let right = right.flat_map(move |row| of_right.row(&row).map(|key| (key, row)));
        let mut splice = self.splice;
        left.join_map(right, move |_, left, right| splice.row(&[left.as_bytes(), right.as_bytes()]))
    }
}

impl Asked {
    fn of<'i>(self, left: Inner<'i, Row>, right: Inner<'i, Row>) -> Inner<'i, Row> {
        let [of_left, mut of_right] = self.keys;
        let there = right.flat_map(move |row| of_right.row(&row));
        let there = there.threshold(|_, n| Diff::from(*n > 0));
        let (mut key, mut unkeyed) = (of_left.clone(), of_left);
        let keyed = left.clone().flat_map(move |row| key.row(&row).map(|key| (key, row)));
        let mut splice = self.splice;
        let rows = match self.not {
            true => {
                let alone = left.filter(move |row| unkeyed.row(row).is_none());
                keyed.antijoin(there).map(|(_, row)| row).concat(alone)
            }
            false => keyed.semijoin(there).map(|(_, row)| row),
        };
        rows.map(move |row| splice.row(&[row.as_bytes()]))
    }
}
