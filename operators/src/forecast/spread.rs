//! The way down: a feeder and its nodes move by what lies above them.
//!
//! Each row of a feeder says which share of a move it takes ([`rise`](super::rise)). Nothing is
//! kept: what is moved is what was drafted at the same tick.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use schemas::decision::Forecast;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use super::because;
use super::rows::Draft;
use super::rows::FeederMove;
use super::zones::SYSTEM_ID;
use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::settings::Settings;

/// Issues forecasts of nodes and feeders; see [`self`].
pub struct SpreadKernel;

impl SpreadKernel {
    /// It has no settings.
    pub fn new(_: Settings) -> SpreadKernel {
        SpreadKernel
    }
}

impl Kernel for SpreadKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![InputSpec::by_feeder::<Draft>(), InputSpec::by_feeder::<FeederMove>()]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<Forecast>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        let mut moves: BTreeMap<String, BTreeMap<Timestamp, f64>> = BTreeMap::new();
        for row in changes[1].events::<FeederMove>() {
            moves.entry(row.feeder_id).or_default().insert(row.target_at, row.moved_kw);
        }
        let forecast = |draft: Draft| {
            let of_feeder = moves.get(&draft.feeder_id);
            let moved_kw = of_feeder.and_then(|hours| hours.get(&draft.target_at)).copied();
            let by = draft.share * moved_kw.unwrap_or(0.0);
            let mut saw = draft.saw;
            if of_feeder.is_some() {
                saw += &format!("; forecasts@{} subject_id={SYSTEM_ID}", at.0);
            }
            let p50_kw = draft.p50_kw + by;
            Forecast {
                scope: draft.scope,
                subject_id: draft.subject_id,
                feeder_id: draft.feeder_id,
                issued_at: draft.issued_at,
                target_at: draft.target_at,
                p10_kw: draft.p10_kw + by,
                p50_kw,
                p90_kw: draft.p90_kw + by,
                model_version: draft.model_version,
                because: because::with_tree(draft.because, draft.because_kw, p50_kw),
                saw,
            }
        };
        let rows: Vec<Forecast> = changes[0].events::<Draft>().map(forecast).collect();
        vec![Forecast::to_batch(&rows)]
    }

    fn needs_every_tick(&self) -> bool {
        false
    }

    fn save(&self) -> Memory {
        Memory::new()
    }

    fn restore(&mut self, _: &Memory) -> Result<(), RestoreError> {
        Ok(())
    }
}
