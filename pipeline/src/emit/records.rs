//! Audit records of one tick, from what was published and refused.
//!
//! Rows are put in one order before they are numbered, so that the log is the same for any number
//! of workers.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_schema::SchemaRef;
use schemas::audit::Entry;
use schemas::audit::INPUTS;
use schemas::audit::Kind;
use schemas::audit::Records;
use schemas::audit::SUBJECT;
use schemas::audit::payload_of;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::BAD_DATA;
use schemas::decision::COMMAND_REFUSED;
use schemas::decision::FORECAST_DRIFT;
use schemas::decision::Forecast;
use schemas::decision::LOAD_DOUBTFUL;
use schemas::decision::ModelVersion;
use schemas::decision::ShortForecast;
use schemas::decision::TOPOLOGY_ERROR;
use schemas::definition::ConfigChange;
use schemas::definition::ViewChange;
use schemas::event::Command;
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
    /// Forecasts of the coming quarters of an hour.
    pub short_forecasts: Vec<ShortForecast>,
    /// Versions of models that began to answer, or ceased to.
    pub versions: Vec<ModelVersion>,
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
        let key = |f: &ShortForecast| (f.subject_id.clone(), f.scope.clone(), f.target_at);
        self.short_forecasts.sort_by_cached_key(key);
        let key =
            |m: &ModelVersion| (m.subject_id.clone(), m.scope.clone(), m.version, m.state.clone());
        self.versions.sort_by_cached_key(key);
        let key = |s: &schemas::event::Setpoint| (s.asset_id.clone(), s.action_id.clone());
        self.setpoints.sort_by_cached_key(key);
    }

    /// The records of these decisions and refusals, unlinked. `missing` are the partitions that the
    /// tick was closed without, each with whether its door is broken.
    ///
    /// # Errors
    /// Arrow refuses a batch: a defect of this file.
    pub fn records(
        &self,
        tick: Timestamp,
        quarantine: &[Quarantined],
        missing: &[(String, bool)],
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
        add(&mut all, Kind::Alarm, tick, &self.alarms, &["subject", "saw"], |a| {
            // A refused command is the guard's alarm, and its subject an action.
            let refused = a.kind == COMMAND_REFUSED;
            let actor = match a.kind.as_str() {
                COMMAND_REFUSED => "guard",
                BAD_DATA | TOPOLOGY_ERROR => "estimate",
                FORECAST_DRIFT | LOAD_DOUBTFUL => "forecast",
                _ => "detect",
            };
            Entry {
                subject: &a.subject,
                actor,
                action_id: if refused { &a.subject } else { "" },
                inputs: &a.saw,
                reason: &a.reason,
                ..Entry::default()
            }
        })?;
        add(&mut all, Kind::Forecast, tick, &self.forecasts, &["subject_id", "saw"], |f| Entry {
            subject: &f.subject_id,
            actor: "forecast",
            inputs: &f.saw,
            model_version: &f.model_version,
            ..Entry::default()
        })?;
        add(&mut all, Kind::Model, tick, &self.versions, &["subject_id", "saw"], |m| Entry {
            subject: &m.subject_id,
            actor: "forecast",
            inputs: &m.saw,
            model_version: &m.model,
            reason: &m.reason,
            ..Entry::default()
        })?;
        // The word is the common column `reason`, so that refusals can be counted by it; the
        // sentence is a column of its own.
        add(&mut all, Kind::Quarantine, tick, quarantine, &[], |q| Entry {
            subject: &q.stream,
            actor: "ingest",
            reason: &q.reason,
            ..Entry::default()
        })?;
        let (kind, rows) = (Kind::ShortForecast, &self.short_forecasts);
        add(&mut all, kind, tick, rows, &["subject_id", "saw"], |f| Entry {
            subject: &f.subject_id,
            actor: "forecast",
            inputs: &f.saw,
            model_version: &f.model_version,
            ..Entry::default()
        })?;
        if !missing.is_empty() {
            all.push((Kind::Tick, of_missing(tick, missing)?));
        }
        Ok(all)
    }
}

/// The records of partitions that a tick was closed without.
fn of_missing(tick: Timestamp, missing: &[(String, bool)]) -> Result<RecordBatch, ArrowError> {
    let mut records = Records::in_order(tick);
    for (partition, broken) in missing {
        let reason = if *broken {
            "its door is broken: the tick was closed without it"
        } else {
            "silent for longer than patience: the tick was closed without it"
        };
        let (subject, actor) = (partition.as_str(), "ingest");
        records.push(&Entry { subject, actor, reason, ..Entry::default() });
    }
    records.finish(Vec::new())
}

/// The names under which records of a kind keep columns that became common ones.
fn renamed(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Action => &[(SUBJECT, "asset_id"), (INPUTS, "saw")],
        Kind::Alarm => &[(SUBJECT, "subject"), (INPUTS, "saw")],
        Kind::Forecast | Kind::Model | Kind::ShortForecast => {
            &[(SUBJECT, "subject_id"), (INPUTS, "saw")]
        }
        _ => &[],
    }
}

/// Records of a kind as what was said: the columns of `schema`, by name.
///
/// # Errors
/// The records lack a column.
pub fn as_said(
    kind: Kind,
    records: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| {
        let renamed = renamed(kind).iter().find(|(_, said)| *said == name);
        let kept = renamed.map_or(name, |(kept, _)| *kept);
        records
            .column_by_name(kept)
            .cloned()
            .ok_or_else(|| ArrowError::SchemaError(format!("{kind} records have no column {kept}")))
    };
    let columns = schema.fields().iter().map(|field| column(field.name()));
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<_>, _>>()?)
}

/// The records of what was asked by others, and of settings and views that changed.
///
/// # Errors
/// Arrow refuses a batch: a defect of this file.
pub fn of_changes(
    tick: Timestamp,
    commands: &[Command],
    configs: &[ConfigChange],
    views: &[ViewChange],
) -> Result<Vec<(Kind, RecordBatch)>, ArrowError> {
    let mut all = Vec::new();
    add(&mut all, Kind::Command, tick, commands, &["asset_id", "actor"], |c| Entry {
        subject: &c.asset_id,
        actor: &c.actor,
        ..Entry::default()
    })?;
    add(&mut all, Kind::Config, tick, configs, &["setting"], |c| Entry {
        subject: &c.setting,
        actor: "operator",
        ..Entry::default()
    })?;
    add(&mut all, Kind::View, tick, views, &["view", "by"], |v| Entry {
        subject: &v.view,
        actor: &v.by,
        ..Entry::default()
    })?;
    Ok(all)
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

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use schemas::audit;

    use super::*;

    const TICK: Timestamp = Timestamp(50_000);

    fn alarm(kind: &str, subject: &str, saw: &str) -> Alarm {
        Alarm {
            alarm_id: format!("{kind}:{subject}:{}", TICK.0),
            tick_at: TICK,
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            feeder_id: "f".to_owned(),
            state: "raised".to_owned(),
            value: 1.0,
            limit_value: 0.9,
            reason: "why".to_owned(),
            saw: saw.to_owned(),
        }
    }

    fn forecast(saw: &str) -> Forecast {
        Forecast {
            scope: "node".to_owned(),
            subject_id: "bus-1".to_owned(),
            feeder_id: "f".to_owned(),
            issued_at: TICK,
            target_at: Timestamp(0),
            p10_kw: 1.0,
            p50_kw: 2.0,
            p90_kw: 3.0,
            model_version: "m".to_owned(),
            because: "level 2.00".to_owned(),
            saw: saw.to_owned(),
        }
    }

    fn texts(records: &[(Kind, RecordBatch)], kind: Kind, column: &str) -> Vec<String> {
        let (_, batch) = records.iter().find(|(k, _)| *k == kind).unwrap();
        let column = batch.column_by_name(column).unwrap().as_string::<i32>();
        (0..column.len()).map(|row| column.value(row).to_owned()).collect()
    }

    #[test]
    fn alarms_and_forecasts_name_the_views_and_ticks_that_were_read() {
        let said = Said {
            alarms: vec![
                alarm("voltage-low", "bus-1", "bus_voltage@50000 voltage_pu=0.8900"),
                alarm(COMMAND_REFUSED, "50000:b1:1", "asset_state@50000 no row"),
            ],
            forecasts: vec![forecast("load_history@50000 hours=1")],
            ..Said::default()
        };
        let records = said.records(TICK, &[], &[]).unwrap();
        assert_eq!(
            texts(&records, Kind::Alarm, audit::INPUTS),
            ["bus_voltage@50000 voltage_pu=0.8900", "asset_state@50000 no row"]
        );
        assert_eq!(texts(&records, Kind::Alarm, audit::ACTOR), ["detect", "guard"]);
        assert_eq!(texts(&records, Kind::Alarm, audit::ACTION_ID), ["", "50000:b1:1"]);
        assert_eq!(texts(&records, Kind::Forecast, audit::INPUTS), ["load_history@50000 hours=1"]);
        for (_, batch) in &records {
            assert!(batch.column_by_name("saw").is_none(), "what was seen stands once");
        }
    }
}
