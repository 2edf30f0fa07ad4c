//! The SQL text, planned by the desk and rendered by the engine, on one worker.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::flow::Built;
use pipeline::flow::Flow;
use pipeline::views::publish::Publisher;
use pipeline::views::store::Views;
use queries::Planner;
use schemas::contract::ViewReader;
use schemas::event::MeterReading;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::relation::Relation;
use schemas::time::Step;
use schemas::time::Timestamp;

use super::BEGIN_MS;
use super::Measured;
use super::Workload;
use super::digest;
use super::feeders;
use super::meters;
use super::price_batch;
use super::price_schema;
use crate::meter::cpu_seconds;
use crate::meter::live_bytes;
use crate::meter::quantile;

/// Maintains the view of this text over the workload.
pub fn run(workload: Workload, sql: &str) -> Measured {
    let planner = Planner::new(super::catalog());
    let view = planner.select(sql).expect("the benchmark's view can be planned");
    let inputs: BTreeMap<String, _> = BTreeMap::from([
        (MeterReading::NAME.to_owned(), MeterReading::schema()),
        (Meter::NAME.to_owned(), Meter::schema()),
        (Feeder::NAME.to_owned(), Feeder::schema()),
        ("price_latest".to_owned(), price_schema()),
    ]);
    let step = Step::from_millis(workload.variant.step_ms).expect("not zero");
    let flow = Flow { step, inputs: inputs.into_iter().collect(), views: vec![view], agents: None };
    timely::execute_directly(move |worker| {
        let (publish, published) = crossbeam_channel::unbounded();
        let publisher = Publisher::new(publish);
        let built = worker.dataflow(|scope| flow.build(scope, &publisher));
        let Built { mut inputs, mut clock, probe } = built.expect("the plan can be rendered");
        let index = |name: &str| {
            flow.inputs.iter().position(|(input, _)| input == name).expect("an input of the flow")
        };
        let of = [MeterReading::NAME, Meter::NAME, Feeder::NAME, "price_latest"].map(index);
        let before = live_bytes();
        let (mut cpu, mut ticks, mut changes) = (0.0, Vec::new(), Vec::new());
        let mut outputs = 0;
        let count = workload.readings.len() as u64;
        let mut readings = workload.readings.clone().into_iter();
        for tick in 0..count {
            let begin = cpu_seconds();
            let time = BEGIN_MS + (tick + 1) * workload.variant.step_ms;
            inputs.iter_mut().for_each(|input| input.advance_to(time));
            clock.advance_to(time + workload.variant.step_ms);
            let mut send = |relation: usize, batch: RecordBatch, diff: i64| {
                let diffs = Diffs::All(diff);
                inputs[of[relation]].send(DeltaBatch { time, batch, diffs });
            };
            if tick == 0 {
                send(1, meters(), 1);
                send(2, feeders(), 1);
            }
            for (zone, old, new) in workload.changes(tick as usize) {
                if let Some(old) = old {
                    send(3, price_batch(&[(zone, old)]), -1);
                }
                send(3, price_batch(&[(zone, new)]), 1);
            }
            send(0, readings.next().expect("one batch a tick"), 1);
            let next = time + workload.variant.step_ms;
            inputs.iter_mut().for_each(|input| input.advance_to(next));
            while probe.less_than(&next) {
                worker.step();
            }
            let took = cpu_seconds() - begin;
            cpu += took;
            ticks.push(took * 1e3);
            for change in published.try_iter() {
                outputs += change.rows.len() as u64;
                changes.push(change);
            }
        }
        // Let the spines settle without input, then count what is kept, without what was put out.
        for extra in 1..64 {
            let time = BEGIN_MS + (count + 1 + extra) * workload.variant.step_ms;
            inputs.iter_mut().for_each(|input| input.advance_to(time));
            while probe.less_than(&time) {
                worker.step();
            }
        }
        let views = Views::new(&flow.views).expect("a view has plain columns");
        views.apply(Timestamp(BEGIN_MS), std::mem::take(&mut changes));
        let snapshot = views.snapshot(&flow.views[0].name).expect("the only view");
        let digest = digest(&snapshot.rows);
        drop((snapshot, views, changes));
        let kept = live_bytes() as f64 - before as f64;
        Measured {
            readings_per_cpu_second: workload.len() as f64 / cpu,
            tick_p50_ms: quantile(&ticks, 0.5),
            tick_p99_ms: quantile(&ticks, 0.99),
            state_bytes_per_reading: kept / workload.len() as f64,
            changes: outputs,
            digest,
        }
    })
}
