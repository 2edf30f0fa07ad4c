//! How the instance stands, for readers on other threads.
//!
//! # Bounds
//!
//! The latencies of the last [`LATENCIES`] ticks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use crossbeam_channel::Receiver;
use crossbeam_channel::unbounded;
use operators::control;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::contract::IndexPlan;
use schemas::contract::SourceStatus;
use schemas::contract::Status;
use schemas::plan::ViewPlan;

use super::Done;
use super::Instance;
use super::InstanceSettings;
use crate::emit::definitions::Defined;
use crate::engine::Desk;
use crate::engine::Handle;
use crate::engine::Standing;
use crate::engine::StandingIndex;
use crate::engine::Wish;
use crate::flow::Flow;
use crate::gauge::Gauges;
use crate::ingest::Progress;
use crate::views::store::Views;

/// Ticks whose latency is remembered: an hour of 5 s ticks.
const LATENCIES: usize = 720;

/// What was counted since the process started.
#[derive(Default)]
pub(super) struct Measured {
    ticks: u64,
    readings: u64,
    refused: u64,
    latencies: VecDeque<Duration>,
}

impl Measured {
    /// The latency that this share of the last ticks did not exceed, in milliseconds.
    fn latency_ms(&self, share: f64) -> f64 {
        let mut sorted: Vec<Duration> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = (share * last as f64).round() as usize;
        sorted.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// The handle of an instance that begins, and where its wishes arrive.
pub(super) fn handle(
    settings: &InstanceSettings,
    flow: &Flow,
    catalog: &Catalog,
    (followers, stated, indexes): (&[ViewPlan], &BTreeMap<String, Defined>, &[IndexPlan]),
    views: &Arc<Views>,
    gauges: Gauges,
) -> (Handle, Receiver<Wish>) {
    let (wishes, wished) = unbounded();
    let mut catalog = catalog.clone();
    let mut standing = BTreeMap::new();
    let of_flow = flow.views.iter().map(|plan| (plan, true));
    for (plan, in_flow) in of_flow.chain(followers.iter().map(|plan| (plan, false))) {
        let (schema, kind) = (plan.root.schema.clone(), RelationKind::View);
        catalog.add(&plan.name, RelationInfo { schema, kind });
        let in_file = !stated.contains_key(&plan.name);
        let (plan, uses, before) = (plan.clone(), Vec::new(), None);
        let hydrating = if in_flow { None } else { Some(0) };
        let of = Standing { plan, in_file, in_flow, hydrating, uses, before };
        standing.insert(of.plan.name.clone(), of);
    }
    let agents_read: Vec<String> = match &flow.agents {
        Some(_) => control::READS.iter().map(|read| (*read).to_owned()).collect(),
        None => Vec::new(),
    };
    let status = Status {
        instance: settings.instance.as_str().to_owned(),
        step_ms: flow.step.millis(),
        ..Status::default()
    };
    let tables = BTreeMap::new();
    let views_of = flow.views.iter().chain(followers).map(|view| &view.name);
    let others: BTreeSet<&String> = views_of.chain(indexes.iter().map(|i| &i.name)).collect();
    let sources = stated.iter().filter(|(name, _)| !others.contains(name));
    let sources = sources.map(|(name, of)| (name.clone(), of.since)).collect();
    let indexes = indexes.iter().map(|plan| {
        let of = StandingIndex { plan: plan.clone(), relation: None, hydrating: Some(0) };
        (plan.name.clone(), of)
    });
    let (indexes, opener) = (indexes.collect(), None);
    let desk = Desk { catalog, standing, indexes, agents_read, status, tables, sources, opener };
    let handle = Handle {
        step: flow.step,
        log: settings.data_dir.join("audit"),
        views: views.clone(),
        desk: Arc::new(Mutex::new(desk)),
        wishes,
        gauges,
    };
    (handle, wished)
}

impl Instance {
    /// Counts finished ticks and lets the handles know.
    pub(super) fn measure(&mut self, done: &[Done]) {
        let measured = &mut self.measured;
        for done in done {
            measured.ticks += 1;
            measured.readings += done.rows as u64;
            measured.refused += done.refused as u64;
            if measured.latencies.len() == LATENCIES {
                measured.latencies.pop_front();
            }
            measured.latencies.push_back(done.latency);
        }
        let head = self.log.head();
        let (tick, audit_records) = (head.tick, head.count);
        let mut desk = self.handle.desk();
        let status = &mut desk.status;
        (status.tick, status.audit_records) = (tick, audit_records);
        status.ticks = measured.ticks;
        status.readings = measured.readings;
        status.refused = measured.refused;
        status.ticks_in_flight = self.workers.in_flight() as u64;
    }

    /// The whole status, for whoever asks now.
    pub fn note_status(&mut self) {
        let tick = self.tick();
        let progress = self.session.progress(tick);
        let mut sources: Vec<SourceStatus> = progress.iter().map(|p| self.source(p)).collect();
        // One that has given nothing yet has no partition to show.
        for (source, why) in self.doors.broken() {
            if !sources.iter().any(|known| known.source == *source) {
                let (source, error) = (source.clone(), Some(why.clone()));
                sources.push(SourceStatus { source, error, ..SourceStatus::default() });
            }
        }
        let (p50, p99) = (self.measured.latency_ms(0.5), self.measured.latency_ms(0.99));
        let tables = self.tables.rows();
        let mut desk = self.handle.desk();
        desk.tables = tables;
        let status = &mut desk.status;
        status.sources = sources;
        (status.tick_latency_p50_ms, status.tick_latency_p99_ms) = (p50, p99);
    }

    fn source(&self, progress: &Progress) -> SourceStatus {
        let (source, partition) = progress.partition.split_once('/').unwrap_or_default();
        let missed = self.missed().iter().find(|(id, _)| id.to_string() == progress.partition);
        SourceStatus {
            source: source.to_owned(),
            partition: partition.to_owned(),
            position: progress.resume,
            watermark: progress.watermark,
            missed: missed.map_or(0, |(_, missed)| *missed),
            ended: progress.ended,
            error: self.doors.broken().get(source).cloned(),
        }
    }
}
