//! The judgement of [`emit`](super): when an action has ended, and how.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use schemas::decision::Action;
use schemas::event::Setpoint;
use schemas::relation;
use schemas::relation::Relation;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::pace::Pace;
use crate::settings::Settings;
use crate::table::InFeeder;
use crate::table::Table;

relation! {
    /// What a device said last: all of `asset_state` that confirms a setpoint.
    pub struct AssetSaid in "asset_state" {
        /// The device.
        pub asset_id: String,
        /// The feeder it lies in.
        pub feeder_id: String,
        /// When it spoke last.
        pub measured_at: Option<Timestamp>,
        /// Its active power in kW.
        pub active_power_kw: Option<f64>,
    }
}

/// Sends and follows; see [`super`].
pub struct EmitKernel {
    settings: Settings,

    said: Table<InFeeder, AssetSaid>,
    memory: BTreeMap<String, OfFeeder>,
}

/// What is remembered of a feeder, by device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct OfFeeder {
    /// The open action.
    open: BTreeMap<String, Sent>,
    /// How long it takes to obey.
    paces: BTreeMap<String, Pace>,
}

/// An action that has been sent and not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sent {
    action_id: String,
    actor: String,
    kw: f64,
    valid_until_at: Timestamp,
    sent_at: Timestamp,
}

/// How an action ended.
struct End {
    state: &'static str,
    rule: &'static str,
    reason: String,
}

impl EmitKernel {
    /// One that has sent nothing.
    pub fn new(settings: Settings) -> EmitKernel {
        let said = Table::new(|row: &AssetSaid| (row.feeder_id.clone(), row.asset_id.clone()));
        EmitKernel { settings, said, memory: BTreeMap::new() }
    }

    /// Ends what telemetry confirms, what `newer` supersedes, what has had its time.
    fn end(
        &mut self,
        at: Timestamp,
        newer: &BTreeMap<InFeeder, Vec<Action>>,
        rows: &mut Vec<Action>,
    ) {
        let EmitKernel { settings, said, memory } = self;
        for (feeder_id, OfFeeder { open, paces }) in memory.iter_mut() {
            open.retain(|asset_id, sent| {
                let key = (feeder_id.clone(), asset_id.clone());
                let said = said.get(&key);
                let by = newer.get(&key).and_then(|actions| actions.first());
                let pace = paces.get(asset_id);
                let ticks =
                    pace.map_or(settings.confirm_ticks, |pace| pace.patience_ticks(settings));
                let Some(end) = ending(at, sent, said, by, ticks, settings) else { return true };
                rows.push(ended(at, &key, sent, end, said));
                false
            });
        }
        memory.retain(|_, of_feeder| *of_feeder != OfFeeder::default());
    }

    /// Learns from what devices say how long they take; forgets those that are no longer listed.
    fn hear(&mut self, at: Timestamp, touched: &BTreeSet<InFeeder>) {
        for key in touched {
            let Some(of_feeder) = self.memory.get_mut(&key.0) else { continue };
            let Some(row) = self.said.get(key) else {
                of_feeder.paces.remove(&key.1);
                continue;
            };
            let Some(pace) = of_feeder.paces.get_mut(&key.1) else { continue };
            if let Some((measured_at, kw)) = heard(row).filter(|(_, kw)| kw.is_finite()) {
                pace.hear((measured_at, at), kw, &self.settings);
            }
        }
    }

    /// Sends what was cleared. Of several for one device, each next one supersedes the one before.
    fn send(
        &mut self,
        at: Timestamp,
        key: &InFeeder,
        action: Action,
        rows: &mut Vec<Action>,
    ) -> Setpoint {
        let sent = Sent {
            action_id: action.action_id.clone(),
            actor: action.actor.clone(),
            kw: action.active_power_kw,
            valid_until_at: action.valid_until_at,
            sent_at: at,
        };
        let setpoint = Setpoint {
            action_id: action.action_id.clone(),
            asset_id: action.asset_id.clone(),
            tick_at: at,
            active_power_kw: action.active_power_kw,
            valid_until_at: action.valid_until_at,
        };
        let does_kw = self.said.get(key).and_then(heard).map(|(_, kw)| kw);
        let of_feeder = self.memory.entry(key.0.clone()).or_default();
        if does_kw.is_some() {
            let pace = of_feeder.paces.entry(key.1.clone()).or_default();
            pace.ask(at, action.active_power_kw, does_kw, &self.settings);
        }
        if let Some(before) = of_feeder.open.insert(key.1.clone(), sent) {
            rows.push(ended(at, key, &before, superseded(&action), None));
        }
        rows.push(Action {
            tick_at: at,
            state: "sent".to_owned(),
            rule: "emit".to_owned(),
            reason: "it was cleared at this tick".to_owned(),
            saw: format!("actions@{} state=cleared", at.0),
            ..action
        });
        setpoint
    }
}

/// When a device spoke last, and what it said it does in kW.
fn heard(row: &AssetSaid) -> Option<(Timestamp, f64)> {
    row.measured_at.zip(row.active_power_kw)
}

fn ending(
    at: Timestamp,
    sent: &Sent,
    said: Option<&AssetSaid>,
    newer: Option<&Action>,
    ticks: u64,
    settings: &Settings,
) -> Option<End> {
    let heard = said.and_then(heard);
    if let Some((_, kw)) = heard
        .filter(|(measured_at, _)| *measured_at >= sent.sent_at)
        .filter(|(_, kw)| (kw - sent.kw).abs() <= settings.confirm_kw)
    {
        let reason = format!("the device says {kw:.3} kW, asked for {:.3} kW", sent.kw);
        return Some(End { state: "confirmed", rule: "telemetry", reason });
    }
    if let Some(newer) = newer {
        return Some(superseded(newer));
    }
    if at.0 - sent.sent_at.0 >= ticks * settings.step_ms {
        let reason = match heard {
            Some((_, kw)) => format!("the device still says {kw:.3} kW after {ticks} ticks"),
            None => format!("the device has said nothing for {ticks} ticks"),
        };
        return Some(End { state: "failed", rule: "unconfirmed", reason });
    }
    None
}

fn superseded(newer: &Action) -> End {
    let reason = format!("{} was sent first", newer.action_id);
    End { state: "superseded", rule: "newer-action", reason }
}

fn ended(
    at: Timestamp,
    (feeder_id, asset_id): &InFeeder,
    sent: &Sent,
    end: End,
    said: Option<&AssetSaid>,
) -> Action {
    let measured_at = said.and_then(|row| row.measured_at);
    let kw = said.and_then(|row| row.active_power_kw);
    let saw = match measured_at.zip(kw) {
        Some((heard_at, kw)) => {
            format!("asset_state@{} power_kw={kw:.3} measured_at={heard_at}", at.0)
        }
        None => format!("asset_state@{} power_kw=NULL", at.0),
    };
    Action {
        action_id: sent.action_id.clone(),
        tick_at: at,
        asset_id: asset_id.clone(),
        feeder_id: feeder_id.clone(),
        actor: sent.actor.clone(),
        state: end.state.to_owned(),
        active_power_kw: sent.kw,
        valid_until_at: sent.valid_until_at,
        rule: end.rule.to_owned(),
        reason: end.reason,
        saw,
    }
}

impl Kernel for EmitKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![InputSpec::by_feeder::<Action>(), InputSpec::by_feeder::<AssetSaid>()]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<Action>(), OutputSpec::of::<Setpoint>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        let touched = self.said.apply_touched(&changes[1]);
        self.hear(at, &touched);
        let mut cleared: BTreeMap<InFeeder, Vec<Action>> = BTreeMap::new();
        for action in changes[0].events::<Action>().filter(|action| action.state == "cleared") {
            let key = (action.feeder_id.clone(), action.asset_id.clone());
            cleared.entry(key).or_default().push(action);
        }
        for actions in cleared.values_mut() {
            actions.sort_by(|a, b| a.action_id.cmp(&b.action_id));
        }
        let (mut rows, mut setpoints) = (Vec::new(), Vec::new());
        self.end(at, &cleared, &mut rows);
        for (key, actions) in cleared {
            for action in actions {
                setpoints.push(self.send(at, &key, action, &mut rows));
            }
        }
        vec![Action::to_batch(&rows), Setpoint::to_batch(&setpoints)]
    }

    fn needs_every_tick(&self) -> bool {
        true
    }

    fn save(&self) -> Memory {
        save_by_key(&self.memory)
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        restore_by_key(&mut self.memory, memory)
    }
}
