//! The reserve: how much stored energy the forecast will need above the limit.
//!
//! Backwards over the forecast's hours, with `R_j` the energy that must be deliverable when hour
//! `j` begins:
//!
//! ```text
//! R_j = max(0, min(R_{j+1}, C) + x_j − c_j)
//! ```
//!
//! where `x_j` is what the forecast puts above the limit in that hour, `c_j` what batteries can
//! take from the headroom of that hour (and give back later), and `C` what they hold at most. So a
//! peak behind a night in which everything can be charged again does not claim today's energy.
//!
//! The forecast's **p90** is used: energy that is kept for nothing costs little, a peak without any
//! costs the limit. On the test plant's day with batteries in 30 % of the homes the feeder is above
//! its limit for 109 minutes with the p50, 74 with the middle of both, 62 with the p90 (368 without
//! batteries); with batteries in all homes for none, whichever is used. Of the seasonal rule, which
//! answers for the first nine days, the **p50** is: with its p90 a reserve was seen nearly always,
//! the head then held at 0.99 of the limit, where lost messages pushed it over (101 minutes with
//! batteries in all homes).

use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

/// The latest forecast of a feeder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Start of each hour and what its mean may reach in kW, in time order.
    pub hours: Vec<(Timestamp, f64)>,
}

/// What the fleet behind a feeder can do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fleet {
    /// Energy that can be delivered now, in kWh.
    pub deliverable_kwh: f64,
    /// Energy that could be delivered if all were full, in kWh.
    pub deliverable_kwh_max: f64,
    /// Greatest charging power, in kW, as a positive number.
    pub charge_kw_max: f64,
    /// Share of energy taken from the grid that comes back.
    pub round_trip: f64,
}

/// Energy that should be deliverable at `at`, in kWh.
pub fn reserve_kwh(
    at: Timestamp,
    outlook: &Outlook,
    limit_kw: f64,
    charge_limit_kw: f64,
    fleet: &Fleet,
) -> f64 {
    outlook.hours.iter().rev().fold(0.0, |later: f64, (hour_at, kw)| {
        let left_ms = hour_at.plus(HOUR_MS).0.saturating_sub(at.0.max(hour_at.0));
        let hours = left_ms as f64 / HOUR_MS as f64;
        let over_kwh = (kw - limit_kw).max(0.0) * hours;
        let room_kw = (charge_limit_kw - kw).clamp(0.0, fleet.charge_kw_max);
        let charge_kwh = room_kw * fleet.round_trip * hours;
        (later.min(fleet.deliverable_kwh_max) + over_kwh - charge_kwh).max(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: Fleet = Fleet {
        deliverable_kwh: 0.0,
        deliverable_kwh_max: 100.0,
        charge_kw_max: 50.0,
        round_trip: 0.9,
    };

    #[track_caller]
    fn check(at_ms: u64, hours_kw: &[f64], expected_kwh: f64) {
        let hour = |i: usize| Timestamp(i as u64 * HOUR_MS);
        let hours = hours_kw.iter().enumerate().map(|(i, kw)| (hour(i), *kw)).collect();
        let outlook = Outlook { issued_at: Timestamp(0), hours };
        let got = reserve_kwh(Timestamp(at_ms), &outlook, 114.0, 104.0, &FLEET);
        assert!((got - expected_kwh).abs() < 1e-9, "{got} kWh");
    }

    #[test]
    fn a_peak_is_added_up() {
        check(0, &[110.0, 124.0, 134.0, 110.0], 30.0);
    }

    #[test]
    fn of_the_present_hour_only_the_rest_counts() {
        check(HOUR_MS / 2, &[124.0, 134.0], 25.0);
        check(2 * HOUR_MS, &[124.0, 134.0], 0.0);
    }

    #[test]
    fn headroom_before_a_peak_lowers_it() {
        check(0, &[94.0, 134.0], 20.0 - 9.0);
    }

    #[test]
    fn a_peak_behind_a_night_does_not_claim_todays_energy() {
        check(0, &[124.0, 44.0, 44.0, 44.0, 134.0], 10.0);
    }

    #[test]
    fn more_than_the_fleet_holds_is_not_asked_for_twice() {
        check(0, &[110.0, 214.0, 214.0], 100.0);
    }

    #[test]
    fn no_forecast_no_reserve() {
        check(0, &[], 0.0);
    }
}
