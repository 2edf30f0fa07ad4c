//! The judgement of [`guard`](super): each action by the rules of its device, then all of a feeder
//! together.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::COMMAND_REFUSED;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::FeederNow;
use schemas::time::Timestamp;

use super::rules::FORGIVEN;
use super::rules::Refusal;
use super::rules::fresh;
use super::rules::judge;
use crate::dispatch::kernel::ACTOR as DISPATCH;
use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::request::kernel::RULE as COMMANDED;
use crate::settings::Settings;
use crate::table::InFeeder;
use crate::table::Table;

/// Clears or refuses; see [`super`].
pub struct GuardKernel {
    settings: Settings,

    feeders: Table<String, FeederNow>,
    assets: Table<InFeeder, AssetState>,
}

/// An action under judgement.
struct Case {
    action: Action,
    /// How much more the feeder's head would draw, in kW.
    adds_kw: f64,
    refusal: Option<Refusal>,
    saw: String,
}

impl GuardKernel {
    /// A guard that knows no device yet, and so refuses everything.
    pub fn new(settings: Settings) -> GuardKernel {
        GuardKernel {
            settings,
            feeders: Table::new(|row: &FeederNow| row.feeder_id.clone()),
            assets: Table::new(|row: &AssetState| (row.feeder_id.clone(), row.asset_id.clone())),
        }
    }

    /// Judges all that is proposed behind one feeder, dispatch's first.
    fn feeder(&self, at: Timestamp, feeder_id: &str, mut actions: Vec<Action>) -> Vec<Case> {
        actions.sort_by(|a, b| (!ours(a), &a.action_id).cmp(&(!ours(b), &b.action_id)));
        let feeder = self.feeders.get(&feeder_id.to_owned());
        let mut taken = BTreeSet::new();
        let mut cases: Vec<Case> = Vec::with_capacity(actions.len());
        for action in actions {
            let mut case = self.case(at, action, feeder);
            let second = case.refusal.is_none() && !taken.insert(case.action.asset_id.clone());
            if second {
                let reason = format!("{} has an action at this tick", case.action.asset_id);
                case.refusal = Some(Refusal::new("one-per-tick", 0.0, reason));
            }
            cases.push(case);
        }
        if let Some(feeder) = feeder {
            self.sum(feeder, &mut cases);
        }
        cases
    }

    fn case(&self, at: Timestamp, action: Action, feeder: Option<&FeederNow>) -> Case {
        let key = (action.feeder_id.clone(), action.asset_id.clone());
        let asset = self.assets.get(&key);
        let said_kw = asset.and_then(|asset| asset.active_power_kw).unwrap_or(0.0);
        let adds_kw = said_kw - action.active_power_kw;
        let mut refusal = judge(at, &action, asset, &self.settings).err();
        let head = feeder.filter(|f| fresh(at, f.measured_at, &self.settings));
        if refusal.is_none() && adds_kw > 0.0 && head.is_none() {
            let reason = "what its feeder draws is not known lately".to_owned();
            refusal = Some(Refusal::new("age", self.settings.stale_ticks as f64, reason));
        }
        Case { saw: saw(at, asset, feeder), action, adds_kw, refusal }
    }

    /// Refuses what adds to an excess, last in order first.
    ///
    /// A command of another may add only as far as the sum stays under the limit. What dispatch
    /// asks belongs together: above the limit its sum must add nothing to what the head draws.
    fn sum(&self, feeder: &FeederNow, cases: &mut [Case]) {
        let left = cases.iter().filter(|case| case.refusal.is_none());
        let mut after_kw = feeder.head_kw + left.map(|case| case.adds_kw).sum::<f64>();
        for case in cases.iter_mut().rev() {
            let ours = ours(&case.action);
            let most_kw = if ours { feeder.limit_kw.max(feeder.head_kw) } else { feeder.limit_kw };
            if after_kw <= most_kw + FORGIVEN {
                continue;
            }
            let adds = case.refusal.is_none() && case.adds_kw > 0.0;
            if adds && !(ours && self.renews(case)) {
                let (adds_kw, limit_kw) = (case.adds_kw, feeder.limit_kw);
                let reason = format!(
                    "it adds {adds_kw:.3} kW to {:.3} kW at the head; the limit is {limit_kw} kW",
                    after_kw - adds_kw
                );
                case.refusal = Some(Refusal::new("feeder-limit", limit_kw, reason));
                after_kw -= adds_kw;
            }
        }
    }

    /// Whether a device that injects is told to go on as it does, as near as telemetry can tell.
    ///
    /// Such a command of dispatch is never refused for the sum. Telemetry does not agree with the
    /// command to the watt, so at times a renewal seems to add a few; but refusing it would let the
    /// command run out and the device go to 0, and that adds all that it injects. Letting it pass
    /// cannot be worse.
    fn renews(&self, case: &Case) -> bool {
        case.action.active_power_kw > 0.0 && case.adds_kw <= self.settings.hysteresis_kw
    }
}

/// Whether dispatch wishes it, and not somebody who calls himself so.
fn ours(action: &Action) -> bool {
    action.actor == DISPATCH && action.rule != COMMANDED
}

fn saw(at: Timestamp, asset: Option<&AssetState>, feeder: Option<&FeederNow>) -> String {
    let asset = asset.map_or("no row".to_owned(), |asset| {
        let said = |x: Option<f64>| x.map_or("NULL".to_owned(), |x| format!("{x:.3}"));
        let heard = asset.measured_at.map_or("NULL".to_owned(), |at| at.to_string());
        let (kw, kwh) = (said(asset.active_power_kw), said(asset.state_of_charge_kwh));
        format!("power_kw={kw} soc_kwh={kwh} measured_at={heard}")
    });
    let feeder = feeder.map_or("no row".to_owned(), |feeder| {
        format!("head_kw={:.3} limit_kw={}", feeder.head_kw, feeder.limit_kw)
    });
    format!("asset_state@{} {asset}; feeder_now@{} {feeder}", at.0, at.0)
}

fn alarm(at: Timestamp, case: &Case, refusal: &Refusal) -> Alarm {
    let (action, kind) = (&case.action, COMMAND_REFUSED);
    Alarm {
        alarm_id: format!("{kind}:{}:{}", action.action_id, at.0),
        tick_at: at,
        kind: kind.to_owned(),
        subject: action.action_id.clone(),
        feeder_id: action.feeder_id.clone(),
        state: "raised".to_owned(),
        value: action.active_power_kw,
        limit_value: refusal.limit,
        reason: format!("{}: {}; {}", refusal.rule, refusal.reason, action.reason),
        saw: case.saw.clone(),
    }
}

fn verdict(at: Timestamp, case: Case) -> Action {
    let (state, rule, reason) = match case.refusal {
        None => ("cleared", "guard", "it breaks no rule".to_owned()),
        Some(refusal) => ("refused", refusal.rule, refusal.reason),
    };
    Action {
        tick_at: at,
        state: state.to_owned(),
        rule: rule.to_owned(),
        reason,
        saw: case.saw,
        ..case.action
    }
}

impl Kernel for GuardKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::by_feeder::<Action>(),
            InputSpec::by_feeder::<FeederNow>(),
            InputSpec::by_feeder::<AssetState>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<Action>(), OutputSpec::of::<Alarm>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        self.feeders.apply(&changes[1]);
        self.assets.apply(&changes[2]);
        let mut proposed: BTreeMap<String, Vec<Action>> = BTreeMap::new();
        for action in changes[0].events::<Action>().filter(|a| a.state == "proposed") {
            proposed.entry(action.feeder_id.clone()).or_default().push(action);
        }
        let (mut actions, mut alarms) = (Vec::new(), Vec::new());
        for (feeder_id, proposals) in proposed {
            for case in self.feeder(at, &feeder_id, proposals) {
                if let Some(refusal) = case.refusal.as_ref().filter(|_| !ours(&case.action)) {
                    alarms.push(alarm(at, &case, refusal));
                }
                actions.push(verdict(at, case));
            }
        }
        vec![Action::to_batch(&actions), Alarm::to_batch(&alarms)]
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
