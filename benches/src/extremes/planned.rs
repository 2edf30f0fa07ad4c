//! The SQL text, planned by the desk and rendered by the engine, on one worker.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::flow::Built;
use pipeline::flow::Flow;
use pipeline::render::nullable;
use pipeline::views::publish::Published;
use pipeline::views::publish::Publisher;
use queries::Planner;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::row::RowCodec;
use schemas::time::Step;

use super::Measured;
use super::RELATION;
use super::Row;
use super::Run;
use super::SQL;
use super::Workload;
use super::schema;
use crate::meter::cpu_seconds;

/// The epoch of the workload.
const BEGIN_MS: u64 = 1_472_601_600_000;

/// The length of a tick, which brings one batch.
const STEP_MS: u64 = 5_000;

/// Maintains the view of the text.
pub fn run(workload: Arc<Workload>) -> Measured {
    let mut catalog = Catalog::default();
    catalog.add(RELATION, RelationInfo { schema: schema(), kind: RelationKind::Table });
    let view = Planner::new(catalog).select(SQL).expect("the benchmark's view can be planned");
    let shown = nullable(&view.root.schema);
    let step = Step::from_millis(STEP_MS).expect("not zero");
    let inputs = vec![(RELATION.to_owned(), schema())];
    let flow = Flow { step, inputs, views: vec![view], agents: None };
    timely::execute_directly(move |worker| {
        let (publish, published) = crossbeam_channel::unbounded();
        let publisher = Publisher::new(publish);
        let built = worker.dataflow(|scope| flow.build(scope, &publisher));
        let Built { mut inputs, mut clock, probe } = built.expect("the plan can be rendered");
        let codec = RowCodec::new(shown).expect("plain columns");
        let mut run = Run::new(&workload, "SQL, planned");
        for (number, changes) in workload.batches.iter().enumerate() {
            let began = cpu_seconds();
            let time = BEGIN_MS + (number as u64 + 1) * STEP_MS;
            let (batch, diffs) = (changes.rows.clone(), Diffs::Each(Arc::clone(&changes.diffs)));
            inputs[0].advance_to(time);
            inputs[0].send(DeltaBatch { time, batch, diffs });
            let next = time + STEP_MS;
            inputs[0].advance_to(next);
            clock.advance_to(next);
            while probe.less_than(&next) {
                worker.step();
            }
            let took = cpu_seconds() - began;
            run.batch(took, published.try_iter().flat_map(|published| decoded(&codec, &published)));
        }
        run.end()
    })
}

/// Rows of the view that changed.
fn decoded(codec: &RowCodec, published: &Published) -> Vec<(Row, i64)> {
    let rows = published.rows.iter().map(|(row, _)| row.as_bytes());
    let rows = codec.decode(rows).expect("the view's own rows");
    let column = |n: usize| rows.column(n).as_primitive::<Int64Type>().values().to_vec();
    let (groups, least, greatest) = (column(0), column(1), column(2));
    let row = |n: usize| (groups[n], least[n], greatest[n]);
    published.rows.iter().enumerate().map(|(n, (_, diff))| (row(n), *diff)).collect()
}
