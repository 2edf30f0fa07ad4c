//! A home battery and the controller in it: what it does with setpoints, energy and time.
//!
//! Power is positive when it discharges into the grid. With `η` the share of energy that survives
//! one way and `h` the length of a step in hours, at the terminals:
//!
//! ```text
//! discharge p > 0   p ≤ e η / h              e' = e - p h / η
//! charge    p < 0   -p ≤ (E - e) / (η h)     e' = e - p h η
//! ```
//!
//! A setpoint holds until it runs out or a newer one takes its place; then the battery rests at 0
//! kW. It is cut to the box and to the energy there is, in silence, as devices do.
//!
//! **Invariant:** `0 ≤ energy_kwh ≤ ENERGY_KWH_MAX`.
//!
//! The radio between sender and battery is part of it: seeded shares of setpoints are refused,
//! lost, or come late. What becomes of a setpoint depends on the seed and its action id alone.

use schemas::event::Setpoint;
use schemas::time::Timestamp;

use crate::simulator::noise::Draws;
use crate::simulator::noise::Purpose;
use crate::simulator::noise::subject_of;

/// Energy a battery can hold in kWh.
pub const ENERGY_KWH_MAX: f64 = 6.4;
/// Greatest power either way in kW.
pub const POWER_KW_MAX: f64 = 5.0;
/// Share of energy that survives one way.
pub const EFFICIENCY: f64 = 0.95;
/// Steps by which a late setpoint is late at most. At three it finds its validity just over.
pub const LATE_STEPS_MAX: u64 = 3;

/// Shares of setpoints that do not do what they should.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetpointFaults {
    /// Arrive and are not obeyed.
    pub refused_share: f64,
    /// Never arrive.
    pub lost_share: f64,
    /// Arrive one to three steps late.
    pub late_share: f64,
}

/// What becomes of a setpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetpointFate {
    /// It holds from the next step on.
    Obeyed,
    /// It arrives and is not obeyed.
    Refused,
    /// It never arrives.
    Lost,
    /// It arrives so many steps late.
    Late(u64),
}

impl SetpointFaults {
    /// What becomes of a setpoint, by its action id.
    pub fn fate(&self, seed: u64, setpoint: &Setpoint) -> SetpointFate {
        let subject = subject_of(&setpoint.action_id);
        let mut draws = Draws::new(seed, Purpose::Setpoint, subject, 0);
        let x = draws.fraction();
        if !setpoint.active_power_kw.is_finite() || x < self.refused_share {
            SetpointFate::Refused
        } else if x < self.refused_share + self.lost_share {
            SetpointFate::Lost
        } else if x < self.refused_share + self.lost_share + self.late_share {
            SetpointFate::Late(draws.count(LATE_STEPS_MAX))
        } else {
            SetpointFate::Obeyed
        }
    }
}

/// A battery with its controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Battery {
    energy_kwh: f64,
    power_kw: f64,
    holding: Option<Setpoint>,
}

impl Battery {
    /// A battery at rest that holds this share of its energy.
    pub fn new(soc: f64) -> Battery {
        let energy_kwh = soc.clamp(0.0, 1.0) * ENERGY_KWH_MAX;
        Battery { energy_kwh, power_kw: 0.0, holding: None }
    }

    /// Energy stored in kWh.
    pub fn energy_kwh(&self) -> f64 {
        self.energy_kwh
    }

    /// Power over the last step in kW; discharge is positive.
    pub fn power_kw(&self) -> f64 {
        self.power_kw
    }

    /// Takes a setpoint; one that was decided earlier than what is held, or at the same tick under
    /// the same id, changes nothing.
    pub fn receive(&mut self, setpoint: &Setpoint) {
        let newer = match &self.holding {
            None => true,
            Some(held) => setpoint.tick_at >= held.tick_at && setpoint.action_id != held.action_id,
        };
        if newer {
            self.holding = Some(setpoint.clone());
        }
    }

    /// Lives through one step that starts at `from_at`; without power at its terminals it rests.
    pub fn step(&mut self, from_at: Timestamp, step_ms: u64, energised: bool) {
        let hours = step_ms as f64 / 3_600_000.0;
        let wished_kw = match &self.holding {
            Some(setpoint) if energised && from_at < setpoint.valid_until_at => {
                setpoint.active_power_kw.clamp(-POWER_KW_MAX, POWER_KW_MAX)
            }
            _ => 0.0,
        };
        if wished_kw > 0.0 {
            self.power_kw = wished_kw.min(self.energy_kwh * EFFICIENCY / hours);
            self.energy_kwh -= self.power_kw * hours / EFFICIENCY;
        } else {
            let room_kwh = ENERGY_KWH_MAX - self.energy_kwh;
            self.power_kw = wished_kw.max(-room_kwh / (EFFICIENCY * hours));
            self.energy_kwh -= self.power_kw * hours * EFFICIENCY;
        }
        // Rounding may leave the box by a part in 10^16.
        self.energy_kwh = self.energy_kwh.clamp(0.0, ENERGY_KWH_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_MS: u64 = 5_000;

    fn setpoint(id: &str, tick: u64, kw: f64) -> Setpoint {
        Setpoint {
            action_id: id.to_owned(),
            asset_id: "battery-01".to_owned(),
            tick_at: Timestamp(tick),
            active_power_kw: kw,
            valid_until_at: Timestamp(tick + 3 * STEP_MS),
        }
    }

    /// Powers over six steps from time zero after receiving one setpoint decided at zero.
    fn powers(battery: &mut Battery, kw: f64) -> Vec<f64> {
        battery.receive(&setpoint("a", 0, kw));
        (0..6)
            .map(|i| {
                battery.step(Timestamp(i * STEP_MS), STEP_MS, true);
                battery.power_kw()
            })
            .collect()
    }

    #[test]
    fn a_setpoint_holds_for_its_three_steps_then_the_battery_rests() {
        let found = powers(&mut Battery::new(0.5), 2.0);
        assert_eq!(found, [2.0, 2.0, 2.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_round_trip_keeps_95_percent_each_way() {
        let mut battery = Battery::new(0.5);
        powers(&mut battery, -4.0);
        let stored = 4.0 * 15.0 / 3600.0 * 0.95;
        assert!((battery.energy_kwh() - 3.2 - stored).abs() < 1e-12);
        powers(&mut Battery::new(0.5), 4.0);
    }

    #[test]
    fn an_empty_battery_gives_nothing_and_a_full_one_takes_nothing() {
        assert_eq!(powers(&mut Battery::new(0.0), 3.0), [0.0; 6]);
        assert_eq!(powers(&mut Battery::new(1.0), -3.0), [0.0; 6]);
    }

    #[test]
    fn nine_kilowatts_are_cut_to_the_box() {
        assert_eq!(powers(&mut Battery::new(0.5), 9.0)[0], 5.0);
    }

    #[test]
    fn an_older_setpoint_that_comes_late_changes_nothing() {
        let mut battery = Battery::new(0.5);
        battery.receive(&setpoint("new", STEP_MS, 1.0));
        battery.receive(&setpoint("old", 0, 4.0));
        battery.step(Timestamp(STEP_MS), STEP_MS, true);
        assert_eq!(battery.power_kw(), 1.0);
    }

    #[test]
    fn without_power_at_its_terminals_it_rests() {
        let mut battery = Battery::new(0.5);
        battery.receive(&setpoint("a", 0, 2.0));
        battery.step(Timestamp(0), STEP_MS, false);
        assert_eq!((battery.power_kw(), battery.energy_kwh()), (0.0, 3.2));
    }

    #[test]
    fn shares_of_setpoints_go_astray_over_20000() {
        let faults = SetpointFaults { refused_share: 0.1, lost_share: 0.2, late_share: 0.3 };
        let mut counts = [0_i32; 3];
        for i in 0..20_000 {
            match faults.fate(9, &setpoint(&format!("{i}:battery-01:0"), 0, 1.0)) {
                SetpointFate::Refused => counts[0] += 1,
                SetpointFate::Lost => counts[1] += 1,
                SetpointFate::Late(steps) => {
                    assert!((1..=3).contains(&steps));
                    counts[2] += 1;
                }
                SetpointFate::Obeyed => {}
            }
        }
        for (count, expected) in counts.into_iter().zip([2_000, 4_000, 6_000]) {
            assert!((count - expected).abs() < 250, "{counts:?}");
        }
    }
}
