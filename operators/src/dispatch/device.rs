//! One battery as dispatch knows it: what it said, what it was asked, and what it may be asked
//! next.
//!
//! What a device did in a past step is taken from its telemetry of that step. Where that was lost
//! or is late, the command that stood then is the better guess than older telemetry: a device does
//! what it was asked, mostly, and a guess that ignores our own commands would be answered by a
//! second, opposite command: a limit cycle.
//!
//! A device may take longer than a tick to obey. How many it usually takes is learned ([`Pace`]):
//! what it does answers the command of so many ticks ago, and a command stands so much longer, or
//! it would run out before the next is obeyed.
//!
//! # Bounds
//!
//! As many ticks of either history as [`Settings`] lets matter: `valid_ticks + stale_ticks`, and
//! twice what the device takes, which is at most `confirm_ticks_max`.

use schemas::state::AssetState;
use schemas::time::HOUR_MS;
use schemas::time::Step;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::pace::Pace;
use crate::settings::Settings;

/// A power and the tick it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// For telemetry, the tick that holds its instant; for a command, the tick that decided it.
    pub tick: Timestamp,
    /// Injection into the grid is positive.
    pub kw: f64,
}

/// The short past of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Telemetry, by tick.
    said: Vec<Mark>,
    /// Commands, by tick.
    asked: Vec<Mark>,
    /// How long it takes to obey.
    pace: Pace,
}

impl Device {
    /// Notes telemetry; a correction of a tick replaces it.
    pub fn hear(&mut self, mark: Mark, settings: &Settings) {
        self.pace.hear((mark.tick, mark.tick), mark.kw, settings);
        match self.said.binary_search_by_key(&mark.tick, |m| m.tick) {
            Ok(at) => self.said[at] = mark,
            Err(at) => self.said.insert(at, mark),
        }
    }

    /// Notes a command.
    pub fn ask(&mut self, mark: Mark, settings: &Settings) {
        self.pace.ask(mark.tick, mark.kw, self.said.last().map(|said| said.kw), settings);
        self.asked.push(mark);
    }

    /// Forgets what no longer matters at `at`.
    pub fn forget(&mut self, at: Timestamp, settings: &Settings) {
        let ticks = self.valid_ticks(settings) + settings.stale_ticks + self.pace.usual_ticks() - 1;
        let from = at.minus(ticks * settings.step_ms);
        self.said.retain(|m| m.tick >= from);
        self.asked.retain(|m| m.tick >= from);
    }

    /// Ticks for which a command to it stands: those between its being sent and obeyed count on
    /// top.
    pub fn valid_ticks(&self, settings: &Settings) -> u64 {
        settings.valid_ticks + self.pace.usual_ticks() - 1
    }

    /// When the command was sent that it obeys in the step that ends at `tick`, at the latest.
    fn obeyed_at(&self, tick: Timestamp, settings: &Settings) -> Timestamp {
        tick.minus(self.pace.usual_ticks() * settings.step_ms)
    }

    /// The command that stands at `at`, unless it has run out.
    pub fn standing(&self, at: Timestamp, settings: &Settings) -> Option<Mark> {
        let last = self.asked.iter().rev().find(|m| m.tick <= at)?;
        let until = last.tick.plus(self.valid_ticks(settings) * settings.step_ms);
        (at < until).then_some(*last)
    }

    /// What it said of the step that ends at `tick`, in kW.
    pub fn said_kw(&self, tick: Timestamp) -> Option<f64> {
        self.said.iter().find(|m| m.tick == tick).map(|m| m.kw)
    }

    /// What it says it does at `at` instead of what it should by now; `None` if it obeys, or was
    /// not heard.
    pub fn strays_to_kw(&self, at: Timestamp, settings: &Settings) -> Option<f64> {
        let asked = self.standing(self.obeyed_at(at, settings), settings)?;
        self.said_kw(at).filter(|said| (said - asked.kw).abs() > settings.confirm_kw)
    }

    /// How much less it gave than it was asked for, in the step that ends at `tick`, in kW; 0 if it
    /// was not heard or not asked to give.
    pub fn short_kw(&self, tick: Timestamp, settings: &Settings) -> f64 {
        let asked = self.standing(self.obeyed_at(tick, settings), settings);
        let gives = asked.filter(|asked| asked.kw > 0.0).zip(self.said_kw(tick));
        gives.map_or(0.0, |(asked, said)| asked.kw - said)
    }

    /// Power during the step that ends at `tick`, in kW: as said, else as asked, else as last said.
    pub fn power_kw(&self, tick: Timestamp, settings: &Settings) -> f64 {
        if let Some(kw) = self.said_kw(tick) {
            return kw;
        }
        let obeyed_at = self.obeyed_at(tick, settings);
        if self.asked.iter().any(|m| m.tick <= obeyed_at) {
            return self.standing(obeyed_at, settings).map_or(0.0, |m| m.kw);
        }
        self.said.iter().rev().find(|m| m.tick < tick).map_or(0.0, |m| m.kw)
    }
}

/// What a battery can do at a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Least power in kW (charging is negative): box, room for energy, ramp.
    pub kw_min: f64,
    /// Greatest power in kW: box, energy, ramp.
    pub kw_max: f64,
    /// Energy above the floor, as stored, in kWh.
    pub usable_kwh: f64,
    /// Room below the ceiling, in kWh.
    pub room_kwh: f64,
}

/// The tick that holds what the asset said last, if it said all that is needed, in numbers, and not
/// too long ago.
pub fn heard_at(at: Timestamp, asset: &AssetState, settings: &Settings) -> Option<Timestamp> {
    let step = Step::from_millis(settings.step_ms)?;
    let tick = step.tick_of(asset.measured_at?);
    let finite = |x: Option<f64>| x.is_some_and(f64::is_finite);
    let whole = finite(asset.active_power_kw) && finite(asset.state_of_charge_kwh);
    let fresh = at.0.saturating_sub(tick.0) <= settings.stale_ticks * settings.step_ms;
    (whole && fresh).then_some(tick)
}

/// What the battery can be asked at `at`, heard at tick `heard`.
///
/// The command must be good until it runs out, and the state of charge is as old as it is: both are
/// covered by the energy.
pub fn reach(
    at: Timestamp,
    asset: &AssetState,
    heard: Timestamp,
    device: &Device,
    settings: &Settings,
) -> Reach {
    let age_ms = at.0.saturating_sub(heard.0);
    let valid_ms = device.valid_ticks(settings) * settings.step_ms;
    let hours = (valid_ms + age_ms) as f64 / HOUR_MS as f64;
    let stored_kwh = asset.state_of_charge_kwh.unwrap_or(0.0);
    let floor_kwh = settings.soc_share_min * asset.energy_kwh_max;
    let ceiling_kwh = settings.soc_share_max * asset.energy_kwh_max;
    let usable_kwh = (stored_kwh - floor_kwh).max(0.0);
    let room_kwh = (ceiling_kwh - stored_kwh).max(0.0);
    let efficiency = asset.efficiency.clamp(0.01, 1.0);

    let said_kw = asset.active_power_kw.unwrap_or(0.0);
    let does_kw = device.power_kw(at, settings);
    let mut ramp_min = said_kw.max(does_kw) - asset.ramp_kw_max;
    let mut ramp_max = said_kw.min(does_kw) + asset.ramp_kw_max;
    if ramp_min > ramp_max {
        (ramp_min, ramp_max) = (said_kw - asset.ramp_kw_max, said_kw + asset.ramp_kw_max);
    }
    let give_kw = asset.power_kw_max.max(0.0).min(usable_kwh * efficiency / hours);
    let take_kw = (-asset.power_kw_min).max(0.0).min(room_kwh / efficiency / hours);
    let kw_max = ramp_max.max(-take_kw).min(give_kw);
    let kw_min = ramp_min.min(give_kw).max(-take_kw).min(kw_max);
    Reach { kw_min, kw_max, usable_kwh, room_kwh }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(said: &[(u64, f64)], asked: &[(u64, f64)]) -> Device {
        let mark = |&(tick, kw): &(u64, f64)| Mark { tick: Timestamp(tick * 5_000), kw };
        let [said, asked] = [said, asked].map(|marks| marks.iter().map(mark).collect());
        Device { said, asked, pace: Pace::default() }
    }

    #[track_caller]
    fn power(device: &Device, tick: u64, expected_kw: f64) {
        let at = Timestamp(tick * 5_000);
        assert_eq!(device.power_kw(at, &Settings::default()), expected_kw, "tick {tick}");
    }

    #[test]
    fn telemetry_is_believed_before_commands() {
        power(&device(&[(7, 1.5)], &[(6, 2.0)]), 7, 1.5);
    }

    #[test]
    fn lost_telemetry_is_replaced_by_the_command_that_stood() {
        let device = device(&[(6, 0.0)], &[(6, 2.0)]);
        power(&device, 6, 0.0);
        power(&device, 7, 2.0);
        power(&device, 9, 2.0);
        power(&device, 10, 0.0);
    }

    #[test]
    fn a_device_never_asked_does_what_it_did() {
        power(&device(&[(6, -1.0)], &[]), 8, -1.0);
        power(&device(&[], &[]), 8, 0.0);
    }

    #[test]
    fn a_device_that_does_something_else_strays() {
        let strays = |device: &Device| device.strays_to_kw(Timestamp(35_000), &Settings::default());
        assert_eq!(strays(&device(&[(7, 0.0)], &[(6, 2.0)])), Some(0.0));
        assert_eq!(strays(&device(&[(7, 1.9)], &[(6, 2.0)])), None);
        assert_eq!(strays(&device(&[(6, 0.0)], &[(6, 2.0)])), None);
        assert_eq!(strays(&device(&[(7, 3.0)], &[])), None);
    }

    #[test]
    fn what_takes_its_usual_time_does_not_stray() {
        let (mut slow, settings) = (Device::default(), Settings::default());
        let mark = |tick: u64, kw| Mark { tick: Timestamp(tick * 5_000), kw };
        // Of the first nobody knows what it did before.
        for n in 0..9 {
            let (tick, kw) = (10 + 10 * n, if n % 2 == 0 { 4.0 } else { -4.0 });
            slow.ask(mark(tick, kw), &settings);
            slow.hear(mark(tick + 1, -kw), &settings);
            slow.hear(mark(tick + 2, 0.0), &settings);
            slow.hear(mark(tick + 3, kw), &settings);
            slow.forget(Timestamp((tick + 3) * 5_000), &settings);
        }
        assert_eq!(slow.valid_ticks(&settings), 5);
        slow.ask(mark(100, -4.0), &settings);
        let strays =
            |device: &Device, tick: u64| device.strays_to_kw(Timestamp(tick * 5_000), &settings);
        for (tick, kw) in [(101, 4.0), (102, 0.0), (103, 0.0)] {
            slow.hear(mark(tick, kw), &settings);
        }
        assert_eq!([101, 102, 103].map(|tick| strays(&slow, tick)), [None, None, Some(0.0)]);
    }

    #[test]
    fn what_it_gives_less_than_asked_is_counted_only_while_it_is_asked_to_give() {
        let short = |device: &Device| device.short_kw(Timestamp(35_000), &Settings::default());
        assert_eq!(short(&device(&[(7, 0.5)], &[(6, 2.0)])), 1.5);
        assert_eq!(short(&device(&[(7, 0.0)], &[(6, -2.0)])), 0.0);
        assert_eq!(short(&device(&[(6, 0.0)], &[(6, 2.0)])), 0.0);
        assert_eq!(short(&device(&[(7, 0.0)], &[(3, 2.0)])), 0.0);
    }

    fn battery(soc_kwh: f64, power_kw: f64, ramp_kw_max: f64) -> AssetState {
        AssetState {
            asset_id: "b1".to_owned(),
            feeder_id: "f".to_owned(),
            kind: "battery".to_owned(),
            power_kw_min: -5.0,
            power_kw_max: 5.0,
            ramp_kw_max,
            energy_kwh_max: 6.4,
            efficiency: 0.95,
            measured_at: Some(Timestamp(49_000)),
            active_power_kw: Some(power_kw),
            state_of_charge_kwh: Some(soc_kwh),
        }
    }

    #[track_caller]
    fn check(asset: &AssetState, at: u64, kw_min: f64, kw_max: f64) {
        let settings = Settings::default();
        let at = Timestamp(at * 5_000);
        let heard = heard_at(at, asset, &settings).unwrap();
        let reach = reach(at, asset, heard, &Device::default(), &settings);
        assert!((reach.kw_min - kw_min).abs() < 1e-9, "{reach:?}");
        assert!((reach.kw_max - kw_max).abs() < 1e-9, "{reach:?}");
    }

    #[test]
    fn half_full_it_can_do_what_its_box_says() {
        check(&battery(3.2, 0.0, 10.0), 10, -5.0, 5.0);
    }

    #[test]
    fn its_ramp_holds_it_near_what_it_does() {
        check(&battery(3.2, 3.0, 1.0), 10, 2.0, 4.0);
    }

    #[test]
    fn nearly_empty_it_gives_what_lasts_until_the_command_runs_out() {
        // 0.128 kWh is the floor; 0.01 kWh above it for 15 s at 95 %.
        check(&battery(0.138, 0.0, 10.0), 10, -5.0, 0.01 * 0.95 * 240.0);
        // Two ticks later, unheard since, it must last for 25 s.
        check(&battery(0.138, 0.0, 10.0), 12, -5.0, 0.01 * 0.95 * 144.0);
    }

    #[test]
    fn energy_goes_before_ramp() {
        check(&battery(0.128, 5.0, 1.0), 10, 0.0, 0.0);
        check(&battery(6.4, -5.0, 1.0), 10, 0.0, 0.0);
    }

    #[test]
    fn silent_for_more_than_three_ticks_it_is_stale() {
        let settings = Settings::default();
        let mut asset = battery(3.2, 0.0, 10.0);
        assert!(heard_at(Timestamp(65_000), &asset, &settings).is_some());
        assert!(heard_at(Timestamp(70_000), &asset, &settings).is_none());
        asset.state_of_charge_kwh = None;
        assert!(heard_at(Timestamp(50_000), &asset, &settings).is_none());
    }
}
