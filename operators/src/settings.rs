//! Every number the agents decide by, each with what breaks if it changes.
//!
//! They are read once at start; a change of one is a change of answers, so whoever loads them
//! records them.

use forecast::calendar::Holidays;
use forecast::calendar::utc_offset_ms;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::estimate::networks::Networks;

/// How far back late values correct estimates unless told otherwise: a quarter of an hour, what a
/// meter that missed one poll is late.
pub const REACH_MS: u64 = HOUR_MS / 4;

/// The most ticks that may still be corrected: the estimator keeps so many words of a point and no
/// more, with some to spare for those that are not of this tick yet.
pub const REACH_TICKS_MAX: u64 = 4_000;

const _: () = assert!(REACH_TICKS_MAX < grid::estimation::tracker::WORDS_MAX as u64);

/// The settings of all agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Length of a tick in milliseconds; must be the instance's.
    pub step_ms: u64,

    /// Share of a feeder's limit that `dispatch` holds the head under. The rest is for what changes
    /// between a measurement and the next: one tick of control delay, noise, lost commands.
    pub limit_share: f64,
    /// The same while stored energy is short of the reserve: nearer to the limit, so that energy
    /// lasts.
    pub limit_share_reserve: f64,
    /// Share of the limit up to which batteries may charge. Below `limit_share`, so that charging
    /// never makes the excess that discharging then removes.
    pub charge_share: f64,
    /// The most that is asked for beyond the excess, as a share of the limit, because devices gave
    /// less than asked of late: lost commands are a steady share, and would eat the margin. 0
    /// leaves the excess as it is.
    pub short_share_max: f64,
    /// Whether stored energy is kept for the peak that the forecast sees.
    pub reserve: bool,

    /// A command leaves when the wish moved by more than this, in kW. Smaller: more traffic;
    /// greater: the sum over a feeder's devices is further off for a refresh.
    pub hysteresis_kw: f64,
    /// The power that is worth waking a battery for, in kW: a total is split over no more batteries
    /// than get so much each, where they can give it. Smaller: more commands for the same energy,
    /// down to shares below `hysteresis_kw`, which would never leave; greater: a lost command costs
    /// more.
    pub power_kw_min: f64,
    /// Ticks for which a command stands unless refreshed. A device that hears nothing for so long
    /// goes to 0.
    pub valid_ticks: u64,
    /// Ticks after which a command that still holds is sent again; less than `valid_ticks`.
    pub refresh_ticks: u64,
    /// Ticks of age beyond which what a device or a feeder's head said is not decided on.
    pub stale_ticks: u64,
    /// Share of a battery's energy that is never discharged.
    pub soc_share_min: f64,
    /// Share of a battery's energy above which it is not charged; the last percent takes no steady
    /// power.
    pub soc_share_max: f64,

    /// How near telemetry must be to a setpoint to confirm it, in kW.
    pub confirm_kw: f64,
    /// Ticks within which it must be, of a device that is not known to be slower.
    pub confirm_ticks: u64,
    /// The most ticks that a device is given which is known to be slower; see [`crate::pace`].
    /// Greater: who never obeys is told later, once others that were as slow have been seen.
    pub confirm_ticks_max: u64,

    /// How far inside its band a voltage must return before its alarm clears, per unit.
    pub voltage_hysteresis_pu: f64,
    /// How far below its limit a feeder must return before its alarm clears, as a share of the
    /// limit.
    pub overload_hysteresis_share: f64,

    /// Event time between two forecasts, in milliseconds.
    pub issue_every_ms: u64,
    /// How far a node's past hour must move, in kW, for its feeder's forecasts to be issued anew at
    /// that tick. Smaller: seconds that come late issue them anew at each tick; greater: what was
    /// corrected counts from the next quarter of an hour on.
    pub forecast_restate_kw: f64,
    /// The days off that models of loads know: at most one region and dates, as in
    /// `GB, 2026-05-04`; `none` for none. Another setting changes the days ahead, and what is
    /// learned from then on.
    pub forecast_holidays: String,
    /// The clock by which days, and with them holidays and weekends, begin for models of loads:
    /// what it is ahead of UTC, as in `+10:00`, without summer time. A part of an hour is rounded.
    pub forecast_utc_offset: String,

    /// Nominal frequency of the network in Hz: what capacitances become susceptances by.
    pub frequency_hz: f64,
    /// How far back a late value still corrects what was estimated, in milliseconds: values of a
    /// point, voltages of a bus and rows of the view `point_values` are kept for as long. Greater:
    /// more memory, in proportion; at most [`REACH_TICKS_MAX`] ticks.
    pub estimate_reach_ms: u64,
    /// Past ticks of a feeder that are estimated anew at one tick, the oldest first; the others
    /// wait. It bounds what a burst of late values costs a tick.
    pub estimate_late_ticks: u64,
    /// How far a voltage must move, per unit, for its row to change. Smaller: more rows that say
    /// nothing but noise; greater: the collection is off by as much. An angle, in radians.
    pub estimate_move_pu: f64,
    /// The same for a flow, in kW and kvar.
    pub estimate_move_kw: f64,
    /// Ticks after which an alarm about a point clears that is believed again; for that it must
    /// have agreed for some ticks.
    pub estimate_clear_ticks: u64,
    /// Ticks for which evidence against a switch must stand before switches are asked: telemetry
    /// may be seconds behind the power. 0 never asks.
    pub estimate_topology_ticks: u64,
    /// Reactive power of a load as a share of its active power, where nothing measures either.
    pub estimate_kvar_per_kw: f64,

    /// Networks that came from a file, by the feeder they stand for. No number, but a change of one
    /// is a change of answers like any other; it is not said among the settings.
    #[serde(skip_serializing_if = "Networks::is_empty")]
    pub networks: Networks,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            step_ms: 5_000,
            limit_share: 0.96,
            limit_share_reserve: 0.99,
            charge_share: 0.92,
            short_share_max: 0.02,
            reserve: true,
            hysteresis_kw: 0.1,
            power_kw_min: 1.0,
            valid_ticks: 3,
            refresh_ticks: 2,
            stale_ticks: 3,
            soc_share_min: 0.02,
            soc_share_max: 0.99,
            confirm_kw: 0.2,
            confirm_ticks: 2,
            confirm_ticks_max: 12,
            voltage_hysteresis_pu: 0.005,
            overload_hysteresis_share: 0.02,
            issue_every_ms: HOUR_MS / 4,
            forecast_restate_kw: 0.2,
            forecast_holidays: "none".to_owned(),
            forecast_utc_offset: "+00:00".to_owned(),
            frequency_hz: 50.0,
            estimate_reach_ms: REACH_MS,
            estimate_late_ticks: 4,
            estimate_move_pu: 2e-4,
            estimate_move_kw: 0.2,
            estimate_clear_ticks: 1,
            estimate_topology_ticks: 2,
            estimate_kvar_per_kw: 0.2,
            networks: Networks::default(),
        }
    }
}

impl Settings {
    /// The defaults for a tick of this length.
    pub fn of_step(step_ms: u64) -> Settings {
        let estimate_reach_ms = REACH_MS.min(step_ms.saturating_mul(REACH_TICKS_MAX));
        Settings { step_ms, estimate_reach_ms, ..Settings::default() }
    }

    /// Whether forecasts are issued at a tick: the first at or after each quarter of an hour, or
    /// whatever [`Settings::issue_every_ms`] says, whatever the step.
    pub fn issues_at(&self, at: Timestamp) -> bool {
        at.0 % self.issue_every_ms < self.step_ms
    }

    /// The days off of [`Settings::forecast_holidays`], on the clock of
    /// [`Settings::forecast_utc_offset`]; none where [`Settings::problems`] says that
    /// they cannot be read.
    pub fn holidays(&self) -> Holidays {
        let holidays = Holidays::of_list(&self.forecast_holidays).unwrap_or_default();
        holidays.on_clock(utc_offset_ms(&self.forecast_utc_offset).unwrap_or_default())
    }

    /// Past ticks whose estimate a late value still corrects.
    pub fn reach_ticks(&self) -> u64 {
        self.estimate_reach_ms / self.step_ms.max(1)
    }

    /// What contradicts itself, all at once; empty if nothing does.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut need = |holds: bool, text: &str| {
            if !holds {
                problems.push(text.to_owned());
            }
        };
        let rising = |a: f64, b: f64| a.is_finite() && b.is_finite() && a <= b;
        need(self.step_ms > 0, "step_ms must be positive");
        need(
            rising(0.0, self.charge_share)
                && rising(self.charge_share, self.limit_share)
                && rising(self.limit_share, self.limit_share_reserve)
                && rising(self.limit_share_reserve, 1.0),
            "0 <= charge_share <= limit_share <= limit_share_reserve <= 1 must hold",
        );
        need(
            rising(0.0, self.hysteresis_kw) && rising(self.hysteresis_kw, self.power_kw_min),
            "0 <= hysteresis_kw <= power_kw_min must hold",
        );
        need(
            0 < self.refresh_ticks && self.refresh_ticks < self.valid_ticks,
            "0 < refresh_ticks < valid_ticks must hold, or commands run out before their refresh",
        );
        need(
            rising(0.0, self.soc_share_min)
                && rising(self.soc_share_min, self.soc_share_max)
                && rising(self.soc_share_max, 1.0),
            "0 <= soc_share_min <= soc_share_max <= 1 must hold",
        );
        need(self.confirm_ticks > 0, "confirm_ticks must be positive");
        need(
            self.confirm_ticks <= self.confirm_ticks_max && self.confirm_ticks_max < 255,
            "confirm_ticks <= confirm_ticks_max < 255 must hold",
        );
        need(
            self.issue_every_ms > 0 && self.issue_every_ms <= HOUR_MS,
            "issue_every_ms must lie between 1 and an hour: the forecast's points are hourly",
        );
        need(self.forecast_restate_kw > 0.0, "forecast_restate_kw must be positive");
        if let Err(error) = Holidays::of_list(&self.forecast_holidays) {
            need(false, &format!("forecast_holidays: {error}"));
        }
        let offset = &self.forecast_utc_offset;
        need(
            utc_offset_ms(offset).is_some(),
            &format!("forecast_utc_offset: {offset:?} is not what a clock is ahead of UTC"),
        );
        need(self.frequency_hz.is_finite() && self.frequency_hz > 0.0, "frequency_hz is positive");
        let reach = format!(
            "estimate_reach_ms must be at most {REACH_TICKS_MAX} ticks of the step: each \
             point keeps as many values"
        );
        need(self.reach_ticks() <= REACH_TICKS_MAX, &reach);
        need(
            self.estimate_late_ticks > 0 && self.estimate_clear_ticks > 0,
            "estimate_late_ticks and estimate_clear_ticks must be positive",
        );
        need(
            rising(0.0, self.estimate_move_pu) && rising(0.0, self.estimate_move_kw),
            "estimate_move_pu and estimate_move_kw must not be negative",
        );
        need(rising(0.0, self.estimate_kvar_per_kw), "estimate_kvar_per_kw must not be negative");
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_do_not_contradict_themselves() {
        assert_eq!(Settings::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn all_contradictions_are_told_at_once() {
        let wrong = Settings {
            refresh_ticks: 3,
            charge_share: f64::NAN,
            soc_share_min: 1.5,
            ..Settings::default()
        };
        assert_eq!(wrong.problems().len(), 3);
    }
}
