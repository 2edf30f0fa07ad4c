//! The same view by hand in differential dataflow, with typed structs: the ceiling.
//!
//! Identifiers are integers from the start, power is fixed point, sums ride in the difference after
//! the join. It reads the same batches, so that it too pays for taking columns apart.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use arrow::datatypes::TimestampMillisecondType;
use differential_dataflow::input::Input;
use differential_dataflow::operators::CountTotal;
use timely::dataflow::ProbeHandle;

use super::FEEDERS;
use super::METERS;
use super::Measured;
use super::Workload;
use super::ZONES;
use super::digest_row;
use crate::meter::cpu_seconds;
use crate::meter::live_bytes;
use crate::meter::quantile;

/// Power and prices as multiples of 2^-10.
fn fixed(x: f64) -> i64 {
    (x * 1_024.0) as i64
}

type Out = (u32, i64, i64, i64, i64);

/// Maintains the view over the workload.
#[expect(clippy::disallowed_methods, reason = "the ceiling is differential dataflow as it comes")]
pub fn run(workload: Workload) -> Measured {
    timely::execute_directly(move |worker| {
        let probe = ProbeHandle::new();
        let out = std::rc::Rc::new(std::cell::RefCell::new(Vec::<(Out, i64)>::new()));
        let to = out.clone();
        let (mut readings, mut meters, mut prices) = worker.dataflow::<u64, _, _>(|scope| {
            let (readings, r) = scope.new_collection::<(u32, (i64, i64)), i64>();
            let (meters, m) = scope.new_collection::<(u32, u32), i64>();
            let (prices, p) = scope.new_collection::<(u32, i64), i64>();
            r.map(|(meter, (at, kw))| (meter, (at / 5_000, kw)))
                .arrange_by_key()
                .join_core(m.arrange_by_key(), |_, (bin, kw), feeder| Some(((*feeder, *bin), *kw)))
                .explode(|((feeder, bin), kw)| Some(((feeder, bin), (kw, 1i64))))
                .count_total_core::<i64>()
                .map(|((feeder, bin), (kw, n))| (feeder % ZONES as u32, (feeder, bin, kw, n)))
                .join_map(p, |_, (feeder, bin, kw, n), price| (*feeder, *bin, *kw, *n, *price))
                .consolidate()
                .inspect(move |(row, _, diff)| to.borrow_mut().push((*row, *diff)))
                .probe_with(&probe);
            (readings, meters, prices)
        });
        (0..METERS).for_each(|m| meters.update((m as u32, (m % FEEDERS) as u32), 1));
        let before = live_bytes();
        let (mut cpu, mut ticks, mut outputs) = (0.0, Vec::new(), 0u64);
        let mut rows: BTreeMap<Out, i64> = BTreeMap::new();
        for (tick, batch) in workload.readings.iter().enumerate() {
            let begin = cpu_seconds();
            let at = batch.column(1).as_primitive::<TimestampMillisecondType>();
            let kw = batch.column(2).as_primitive::<Float64Type>();
            for meter in 0..batch.num_rows() {
                readings.update((meter as u32, (at.value(meter), fixed(kw.value(meter)))), 1);
            }
            for (zone, old, new) in workload.changes(tick) {
                if let Some(old) = old {
                    prices.update((zone as u32, fixed(old)), -1);
                }
                prices.update((zone as u32, fixed(new)), 1);
            }
            let next = tick as u64 + 1;
            readings.advance_to(next);
            meters.advance_to(next);
            prices.advance_to(next);
            readings.flush();
            meters.flush();
            prices.flush();
            while probe.less_than(&next) {
                worker.step();
            }
            let took = cpu_seconds() - begin;
            cpu += took;
            ticks.push(took * 1e3);
            for (row, diff) in out.borrow_mut().drain(..) {
                outputs += 1;
                *rows.entry(row).or_default() += diff;
            }
        }
        let digest = rows
            .iter()
            .filter(|(_, n)| **n != 0)
            .map(|((feeder, bin, kw, n, price), _)| {
                let kw = *kw as f64 / 1_024.0;
                let cost = kw * (*price as f64 / 1_024.0);
                digest_row(*feeder as usize, bin * 5_000, kw, *n, cost)
            })
            .fold(0, u64::wrapping_add);
        drop(rows);
        out.borrow_mut().shrink_to_fit();
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
