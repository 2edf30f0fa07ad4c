//! Start-up: the log's ticks through the dataflow again.
//!
//! The log fixes which rows belong to which tick, so a replay asks no clock and no source. What the
//! agents say is compared with what they said: a program, a view or a setting that would have
//! decided otherwise is found here, not in the field.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Duration;

use arrow_array::RecordBatch;
use connectors::source::PartitionId;
use connectors::source::Position;
use schemas::audit;
use schemas::audit::Kind;
use schemas::catalog::RelationKind;
use schemas::event::Setpoint;
use schemas::relation::ColumnError;
use schemas::time::Timestamp;

use super::Instance;
use super::InstanceError;
use crate::emit::records::Said;
use crate::ingest::Progress;
use crate::ingest::Session;
use crate::log::Recovered;
use crate::log::TickCommit;

/// How long to wait for the dataflow before looking whether it is still alive.
const WAIT: Duration = Duration::from_secs(1);

/// Ticks that the dataflow works on at once during a replay; nobody waits for the first of them.
const REPLAY_IN_FLIGHT: usize = 64;

/// The kinds of record that a replay makes again; the others are input.
const DECIDED: [Kind; 5] =
    [Kind::Action, Kind::Alarm, Kind::Forecast, Kind::Model, Kind::ShortForecast];

impl Instance {
    /// Replays the log and says which setpoints were decided last and may not have left.
    pub(super) fn replay(&mut self, recovered: &Recovered) -> Result<Vec<Setpoint>, InstanceError> {
        let Some(last) = recovered.last_tick() else { return Ok(Vec::new()) };
        let mut waiting: VecDeque<TickCommit> = VecDeque::new();
        let mut open: Vec<Setpoint> = Vec::new();
        let mut progress: Vec<Progress> = Vec::new();
        let mut ticks = 0u64;
        for commit in recovered.replay(Timestamp(0)) {
            let commit = commit?.commit;
            let tick = commit.tick;
            let unreadable = |message| InstanceError::Replay { tick, message };
            if let Some(written) = commit.offsets_as().map_err(|e| unreadable(e.to_string()))? {
                progress = written;
            }
            let (tables, streams): (Vec<_>, Vec<_>) =
                commit.inputs.iter().cloned().partition(|(name, _)| self.is_table(name));
            tables.iter().for_each(|(name, batch)| self.tables.replayed(name, batch));
            self.submit(tick, &tables, &streams)?;
            waiting.push_back(commit);
            while waiting.len() >= REPLAY_IN_FLIGHT {
                self.replayed(&mut waiting, &mut open)?;
            }
            ticks += 1;
        }
        while !waiting.is_empty() {
            self.replayed(&mut waiting, &mut open)?;
        }
        self.session.restore(last, &progress);
        tracing::info!(ticks, %last, "replayed the log");
        Ok(open)
    }

    fn is_table(&self, name: &str) -> bool {
        let (name, _) = super::tables::signed(name);
        self.catalog.get(name).is_some_and(|info| info.kind == RelationKind::Table)
    }

    /// Takes one replayed tick from the workers and compares it with the log.
    fn replayed(
        &mut self,
        waiting: &mut VecDeque<TickCommit>,
        open: &mut Vec<Setpoint>,
    ) -> Result<(), InstanceError> {
        let Some(output) = self.workers.finished(WAIT)? else { return Ok(()) };
        let commit = waiting.pop_front().expect("one output for each commit");
        let tick = output.tick;
        let (published, said) = self.split(output.published);
        self.compare(tick, &said, &commit.audit)?;
        let unreadable = |e: ColumnError| InstanceError::Replay { tick, message: e.to_string() };
        self.logged.replayed(&commit.audit).map_err(unreadable)?;
        self.views.apply(tick, published);
        self.ticks += 1;
        open.retain(|setpoint| setpoint.valid_until_at > tick);
        open.extend(said.setpoints);
        Ok(())
    }

    fn compare(
        &self,
        tick: Timestamp,
        said: &Said,
        logged: &[(Kind, RecordBatch)],
    ) -> Result<(), InstanceError> {
        let again = said.records(tick, &[], &[]);
        let again = again.map_err(|e| InstanceError::Replay { tick, message: e.to_string() })?;
        let of = |kind: Kind, records: &[(Kind, RecordBatch)]| {
            records.iter().find(|(k, _)| *k == kind).map(|(_, batch)| content(batch))
        };
        let other = DECIDED.into_iter().find(|kind| of(*kind, &again) != of(*kind, logged));
        other.map_or(Ok(()), |kind| {
            let changed = match self.logged.differences(&self.defined) {
                changed if changed.is_empty() => "the program".to_owned(),
                changed => changed.join(", "),
            };
            Err(InstanceError::Diverged { tick, kind, changed })
        })
    }
}

/// The records without what linking gave them.
fn content(batch: &RecordBatch) -> RecordBatch {
    let linked = [audit::SEQUENCE, audit::PREVIOUS_HASH, audit::HASH];
    let schema = batch.schema();
    let kept: Vec<usize> = (schema.fields().iter().enumerate())
        .filter(|(_, field)| !linked.contains(&field.name().as_str()))
        .map(|(column, _)| column)
        .collect();
    batch.project(&kept).expect("columns of this batch")
}

impl Session {
    /// Where each partition goes on when everything up to `tick` is committed.
    pub(super) fn positions(&mut self, tick: Timestamp) -> BTreeMap<PartitionId, Position> {
        self.progress(tick)
            .into_iter()
            .filter_map(|p| Some((PartitionId::parse(&p.partition)?, p.resume)))
            .collect()
    }
}
