//! The judgement of [`dispatch`](super): one feeder at one tick, from load to wishes to commands.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use schemas::decision::Action;
use schemas::decision::Forecast;
use schemas::decision::action_id;
use schemas::relation;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::FeederNow;
use schemas::time::Step;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::device::Device;
use super::device::Mark;
use super::device::Reach;
use super::device::heard_at;
use super::device::reach;
use super::fill::Share;
use super::fill::fill;
use super::reserve::Fleet;
use super::reserve::Outlook;
use super::reserve::reserve_kwh;
use crate::error::RestoreError;
use crate::forecast::feeder::RULE_VERSION;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;
use crate::table::InFeeder;
use crate::table::Table;

relation! {
    /// What a quarter may reach: all of `short_forecasts` that is looked at.
    pub struct QuarterSaid in "short_forecasts" {
        /// `feeder`; others are not looked at.
        pub scope: String,
        /// The feeder.
        pub feeder_id: String,
        /// The tick that issued it.
        pub issued_at: Timestamp,
        /// Start of the quarter.
        pub target_at: Timestamp,
        /// Mean net load in kW that nine outcomes in ten lie below.
        pub p90_kw: f64,
    }
}

/// Who proposes.
pub const ACTOR: &str = "dispatch";

/// How fast what devices give less than asked is followed, a tick: over some four minutes.
const SHORT_RATE: f64 = 0.02;

/// Keeps feeders under their limits; see [`super`].
pub struct DispatchKernel {
    settings: Settings,
    step: Step,

    feeders: Table<String, FeederNow>,
    assets: Table<InFeeder, AssetState>,
    memory: BTreeMap<String, FeederMemory>,
}

/// What is remembered of a feeder: its load, its forecast, and a few ticks of each device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct FeederMemory {
    load: Option<Mark>,
    /// What devices give less than asked, in kW, over the last minutes; see
    /// [`Settings::short_share_max`].
    short_kw: f64,
    outlook: Outlook,
    devices: BTreeMap<String, Device>,
}

/// A battery that can be asked now.
struct Live<'a> {
    asset: &'a AssetState,
    heard: Timestamp,
    reach: Reach,
    /// What it is asked for at present, in kW; 0 if nothing.
    standing_kw: f64,
    /// For how long a command to it stands.
    valid_ticks: u64,
}

/// What the feeder as a whole should get from its batteries.
struct Target {
    total_kw: f64,
    rule: &'static str,
    reason: String,
    saw: String,
}

impl DispatchKernel {
    /// A dispatcher that knows nothing yet.
    pub fn new(settings: Settings) -> DispatchKernel {
        let step = Step::from_millis(settings.step_ms).expect("settings are checked before use");
        DispatchKernel {
            settings,
            step,
            feeders: Table::new(|row: &FeederNow| row.feeder_id.clone()),
            assets: Table::new(|row: &AssetState| (row.feeder_id.clone(), row.asset_id.clone())),
            memory: BTreeMap::new(),
        }
    }

    fn learn(&mut self, changes: &[Change]) {
        self.feeders.apply(&changes[0]);
        for key in self.assets.apply_touched(&changes[1]) {
            let Some(row) = self.assets.get(&key) else {
                if let Some(memory) = self.memory.get_mut(&key.0) {
                    memory.devices.remove(&key.1);
                }
                continue;
            };
            let (Some(at), Some(kw)) = (row.measured_at, row.active_power_kw) else { continue };
            if kw.is_finite() {
                let memory = self.memory.entry(key.0).or_default();
                let mark = Mark { tick: self.step.tick_of(at), kw };
                memory.devices.entry(key.1).or_default().hear(mark, &self.settings);
            }
        }
        let ours = |row: &Forecast| row.scope == "feeder" && row.p90_kw.is_finite();
        for row in changes[2].events::<Forecast>().filter(ours) {
            let outlook = &mut self.memory.entry(row.subject_id).or_default().outlook;
            if row.issued_at > outlook.issued_at {
                outlook.issued_at = row.issued_at;
                outlook.hours.clear();
            }
            let known = |hour_at| outlook.hours.binary_search_by_key(&hour_at, |(at, _)| *at);
            if let (true, Err(place)) = (row.issued_at == outlook.issued_at, known(row.target_at)) {
                // The rule's p90 claims a reserve nearly always; see [`super::reserve`].
                let ruled = row.model_version == RULE_VERSION;
                let kw = if ruled { row.p50_kw } else { row.p90_kw };
                outlook.hours.insert(place, (row.target_at, kw));
            }
        }
        let ours = |row: &QuarterSaid| row.scope == "feeder" && row.p90_kw.is_finite();
        for row in changes[3].events::<QuarterSaid>().filter(ours) {
            let outlook = &mut self.memory.entry(row.feeder_id).or_default().outlook;
            if row.issued_at > outlook.short_issued_at {
                outlook.short_issued_at = row.issued_at;
                outlook.quarters.clear();
            }
            let quarters = &mut outlook.quarters;
            let known = quarters.binary_search_by_key(&row.target_at, |(at, _)| *at);
            if let (true, Err(place)) = (row.issued_at == outlook.short_issued_at, known) {
                quarters.insert(place, (row.target_at, row.p90_kw));
            }
        }
    }

    fn feeder(&mut self, at: Timestamp, feeder_id: &str, actions: &mut Vec<Action>) {
        let settings = &self.settings;
        let feeder = self.feeders.get(&feeder_id.to_owned()).expect("its key was just listed");
        let memory = self.memory.entry(feeder_id.to_owned()).or_default();
        let measured = self.step.tick_of(feeder.measured_at);
        if feeder.head_kw.is_finite() && memory.load.is_none_or(|load| load.tick < measured) {
            let own_kw: f64 =
                memory.devices.values().map(|device| device.power_kw(measured, settings)).sum();
            memory.load = Some(Mark { tick: measured, kw: feeder.head_kw + own_kw });
            let most_kw = settings.short_share_max * feeder.limit_kw;
            let shorts = memory.devices.values().map(|device| device.short_kw(measured, settings));
            let now_kw = shorts.sum::<f64>();
            memory.short_kw += SHORT_RATE * (now_kw - memory.short_kw);
            memory.short_kw = memory.short_kw.clamp(0.0, most_kw);
        }
        let stale_ms = settings.stale_ticks * settings.step_ms;
        let fresh = memory.load.filter(|load| at.0.saturating_sub(load.tick.0) <= stale_ms);
        if let Some(load) = fresh {
            let rows = self.assets.of_feeder(feeder_id);
            let live: Vec<Live<'_>> =
                rows.filter_map(|row| live(at, row, &memory.devices, settings)).collect();
            let target = target(at, feeder, load, &live, memory, settings);
            let wishes = wishes(target.total_kw, &live, settings);
            for (battery, wish_kw) in live.iter().zip(wishes) {
                let device = memory.devices.entry(battery.asset.asset_id.clone()).or_default();
                if leaves(at, wish_kw, battery, device, settings) {
                    device.ask(Mark { tick: at, kw: wish_kw }, settings);
                    actions.push(proposal(at, battery, wish_kw, &target, settings));
                }
            }
        }
        memory.devices.values_mut().for_each(|device| device.forget(at, settings));
    }
}

fn live<'a>(
    at: Timestamp,
    asset: &'a AssetState,
    devices: &BTreeMap<String, Device>,
    settings: &Settings,
) -> Option<Live<'a>> {
    if asset.kind != "battery" {
        return None;
    }
    let heard = heard_at(at, asset, settings)?;
    let device = devices.get(&asset.asset_id)?;
    let standing_kw = device.standing(at, settings).map_or(0.0, |mark| mark.kw);
    let reach = reach(at, asset, heard, device, settings);
    let valid_ticks = device.valid_ticks(settings);
    Some(Live { asset, heard, reach, standing_kw, valid_ticks })
}

fn fleet(live: &[Live<'_>]) -> Fleet {
    let mut fleet = Fleet::default();
    let mut round_trips = 0.0;
    for Live { asset, reach, .. } in live {
        fleet.deliverable_kwh += reach.usable_kwh * asset.efficiency;
        fleet.deliverable_kwh_max += (reach.usable_kwh + reach.room_kwh) * asset.efficiency;
        fleet.charge_kw_max += (-asset.power_kw_min).max(0.0);
        round_trips += asset.efficiency * asset.efficiency;
    }
    fleet.round_trip = round_trips / live.len().max(1) as f64;
    fleet
}

fn target(
    at: Timestamp,
    feeder: &FeederNow,
    load: Mark,
    live: &[Live<'_>],
    memory: &FeederMemory,
    settings: &Settings,
) -> Target {
    let FeederMemory { outlook, short_kw, .. } = memory;
    let (limit_kw, load_kw) = (feeder.limit_kw, load.kw);
    let charge_kw = settings.charge_share * limit_kw;
    let fleet = fleet(live);
    let reserve_kwh = reserve_kwh(at, outlook, limit_kw, charge_kw, &fleet);
    let short = settings.reserve && fleet.deliverable_kwh < reserve_kwh;
    let share = if short { settings.limit_share_reserve } else { settings.limit_share };
    let hold_kw = share * limit_kw;
    let (total_kw, rule, reason) = if load_kw > hold_kw {
        let over_kw = load_kw - hold_kw;
        let rule = if short { "shave-from-reserve" } else { "shave" };
        let mut reason =
            format!("load {load_kw:.2} kW is {over_kw:.2} kW above {share} of the limit");
        if *short_kw >= 0.01 {
            reason += &format!("; devices give {short_kw:.2} kW less than asked");
        }
        (over_kw + short_kw, rule, reason)
    } else if load_kw < charge_kw {
        let room_kw = charge_kw - load_kw;
        let share = settings.charge_share;
        let reason =
            format!("load {load_kw:.2} kW leaves {room_kw:.2} kW under {share} of the limit");
        (-room_kw, "charge", reason)
    } else {
        (0.0, "rest", format!("load {load_kw:.2} kW asks for nothing"))
    };
    let mut saw = format!(
        "feeder_now@{} head_kw={:.3} limit_kw={limit_kw} measured_at={}; forecasts@{} \
         reserve_kwh={reserve_kwh:.2} stored_kwh={:.2}",
        at.0, feeder.head_kw, feeder.measured_at, outlook.issued_at.0, fleet.deliverable_kwh
    );
    if let Some((_, kw)) = outlook.quarters.first() {
        saw += &format!("; short_forecasts@{} p90_kw={kw:.3}", outlook.short_issued_at.0);
    }
    Target { total_kw, rule, reason, saw }
}

/// Splits a total: over few batteries where it is small, so that no share is too small to leave.
///
/// The fuller (or emptier, when charging) come first, by tenths of their energy; among equals those
/// that work already, so that the choice does not hop about with the noise.
fn wishes(total_kw: f64, live: &[Live<'_>], settings: &Settings) -> Vec<f64> {
    let gives = total_kw >= 0.0;
    let energy = |b: &Live<'_>| if gives { b.reach.usable_kwh } else { b.reach.room_kwh };
    let most =
        |b: &Live<'_>| if gives { b.reach.kw_max.max(0.0) } else { -b.reach.kw_min.min(0.0) };
    let works = |b: &Live<'_>| b.standing_kw != 0.0 && (b.standing_kw > 0.0) == gives;
    let tenth = |b: &Live<'_>| (10.0 * energy(b) / b.asset.energy_kwh_max.max(1e-9)) as u64;
    let mut order: Vec<usize> = (0..live.len()).collect();
    order.sort_by_key(|i| {
        let battery = &live[*i];
        (std::cmp::Reverse(tenth(battery)), !works(battery), *i)
    });
    let few = ((total_kw.abs() / settings.power_kw_min.max(1e-9)) as usize).max(1);
    let mut weights = vec![0.0; live.len()];
    let mut most_kw = 0.0;
    for (taken, i) in order.into_iter().enumerate() {
        if taken >= few && most_kw >= total_kw.abs() {
            break;
        }
        weights[i] = energy(&live[i]);
        most_kw += most(&live[i]);
    }
    let share = |(b, weight): (&Live<'_>, f64)| Share {
        kw_min: b.reach.kw_min,
        kw_max: b.reach.kw_max,
        weight,
    };
    let shares: Vec<Share> = live.iter().zip(weights).map(share).collect();
    // Whole watts, never more than may be; a billionth is rounding, not power.
    let watts = |kw: f64| (kw * 1_000.0 + 1e-6 * kw.signum()).trunc() / 1_000.0 + 0.0;
    fill(total_kw, &shares).into_iter().map(watts).collect()
}

fn leaves(
    at: Timestamp,
    wish_kw: f64,
    battery: &Live<'_>,
    device: &Device,
    settings: &Settings,
) -> bool {
    if (wish_kw - battery.standing_kw).abs() > settings.hysteresis_kw {
        return true;
    }
    let strays = device.strays_to_kw(at, settings);
    if strays.is_some_and(|kw| (wish_kw - kw).abs() > settings.hysteresis_kw) {
        return true;
    }
    let due = |last: Mark| at.0 - last.tick.0 >= settings.refresh_ticks * settings.step_ms;
    wish_kw != 0.0 && battery.standing_kw != 0.0 && device.standing(at, settings).is_some_and(due)
}

fn proposal(
    at: Timestamp,
    battery: &Live<'_>,
    wish_kw: f64,
    target: &Target,
    settings: &Settings,
) -> Action {
    let Live { asset, heard, .. } = battery;
    let saw = format!(
        "{}; asset_state@{} soc_kwh={:.3} power_kw={:.3} heard_at={}",
        target.saw,
        at.0,
        asset.state_of_charge_kwh.unwrap_or(0.0),
        asset.active_power_kw.unwrap_or(0.0),
        heard.0
    );
    Action {
        action_id: action_id(at, &asset.asset_id, 0),
        tick_at: at,
        asset_id: asset.asset_id.clone(),
        feeder_id: asset.feeder_id.clone(),
        actor: ACTOR.to_owned(),
        state: "proposed".to_owned(),
        active_power_kw: wish_kw,
        valid_until_at: at.plus(battery.valid_ticks * settings.step_ms),
        rule: target.rule.to_owned(),
        reason: target.reason.clone(),
        saw,
    }
}

impl Kernel for DispatchKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::by_feeder::<FeederNow>(),
            InputSpec::by_feeder::<AssetState>(),
            InputSpec::by_feeder::<Forecast>(),
            InputSpec::by_feeder::<QuarterSaid>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<Action>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        self.learn(changes);
        let feeders: Vec<String> = self.feeders.iter().map(|(id, _)| id.clone()).collect();
        let mut actions = Vec::new();
        for feeder_id in feeders {
            self.feeder(at, &feeder_id, &mut actions);
        }
        vec![Action::to_batch(&actions)]
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
