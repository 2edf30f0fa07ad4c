//! Audit records of one tick, from what was published and refused.
//!
//! Rows are put in one order before they are numbered, so that the log is the same for any number
//! of workers.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use schemas::audit::Entry;
use schemas::audit::Kind;
use schemas::audit::Records;
use schemas::audit::payload_of;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::quarantine::Quarantined;
use schemas::relation::Relation;
use schemas::time::Timestamp;

/// What the agents said at one tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Steps in the life of actions.
    pub actions: Vec<Action>,
    /// Alarms raised and cleared.
    pub alarms: Vec<Alarm>,
    /// Forecasts issued.
    pub forecasts: Vec<Forecast>,
    /// What may leave, once this is durable.
    pub setpoints: Vec<schemas::event::Setpoint>,
}

/// The states of an action, in the order in which it can go through them.
const STATES: [&str; 7] =
    ["proposed", "cleared", "refused", "sent", "confirmed", "superseded", "failed"];

fn rank(state: &str) -> usize {
    STATES.iter().position(|s| *s == state).unwrap_or(STATES.len())
}

impl Said {
    /// Puts everything in one order, whoever said it first.
    pub fn sort(&mut self) {
        let key = |a: &Action| (a.asset_id.clone(), a.action_id.clone(), rank(&a.state));
        self.actions.sort_by_cached_key(key);
        let key = |a: &Alarm| (a.subject.clone(), a.kind.clone(), a.state.clone());
        self.alarms.sort_by_cached_key(key);
        let key = |f: &Forecast| (f.subject_id.clone(), f.scope.clone(), f.target_at);
        self.forecasts.sort_by_cached_key(key);
        let key = |s: &schemas::event::Setpoint| (s.asset_id.clone(), s.action_id.clone());
        self.setpoints.sort_by_cached_key(key);
    }

    /// The records of these decisions and refusals, unlinked.
    ///
    /// # Errors
    /// Arrow refuses a batch: a defect of this file.
    pub fn records(
        &self,
        tick: Timestamp,
        quarantine: &[Quarantined],
        missing: &[String],
    ) -> Result<Vec<(Kind, RecordBatch)>, ArrowError> {
        let mut all = Vec::new();
        add(&mut all, Kind::Action, tick, &self.actions, &["asset_id", "saw"], |a| Entry {
            subject: &a.asset_id,
            actor: &a.actor,
            action_id: &a.action_id,
            inputs: &a.saw,
            model_version: "",
            reason: &a.reason,
        })?;
        add(&mut all, Kind::Alarm, tick, &self.alarms, &["subject"], |a| Entry {
            subject: &a.subject,
            actor: "detect",
            reason: &a.reason,
            ..Entry::default()
        })?;
        add(&mut all, Kind::Forecast, tick, &self.forecasts, &["subject_id"], |f| Entry {
            subject: &f.subject_id,
            actor: "forecast",
            model_version: &f.model_version,
            ..Entry::default()
        })?;
        // The common column `reason` holds the word and the sentence.
        let both = |q: &Quarantined| format!("{}: {}", q.reason, q.detail);
        let quarantine: Vec<Quarantined> =
            quarantine.iter().map(|q| Quarantined { detail: both(q), ..q.clone() }).collect();
        add(&mut all, Kind::Quarantine, tick, &quarantine, &["detail"], |q| Entry {
            subject: &q.stream,
            actor: "ingest",
            reason: &q.detail,
            ..Entry::default()
        })?;
        if !missing.is_empty() {
            let mut records = Records::in_order(tick);
            for partition in missing {
                let reason = "silent for longer than patience: the tick was closed without it";
                let (subject, actor) = (partition.as_str(), "ingest");
                records.push(&Entry { subject, actor, reason, ..Entry::default() });
            }
            all.push((Kind::Tick, records.finish(Vec::new())?));
        }
        Ok(all)
    }
}

fn add<R: Relation>(
    all: &mut Vec<(Kind, RecordBatch)>,
    kind: Kind,
    tick: Timestamp,
    rows: &[R],
    without: &[&str],
    entry: impl for<'a> Fn(&'a R) -> Entry<'a>,
) -> Result<(), ArrowError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut records = Records::in_order(tick);
    rows.iter().for_each(|row| records.push(&entry(row)));
    all.push((kind, records.finish(payload_of(&R::to_batch(rows), without))?));
    Ok(())
}
