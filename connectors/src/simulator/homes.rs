//! Homes: what each draws and generates at an instant.
//!
//! Homes 1 to 5 are measured, hour by hour. Each further home is a *copy* of one of them: its load
//! is moved in time by up to half an hour and scaled by 0.8 to 1.2, its PV is taken as it is (the
//! same sun). Between hours, means stand at the middle of their hour and are joined by straight
//! lines; on top lies first-order noise. **Everything below the hour is therefore synthetic**, and
//! the noise is added to the load without a floor, so a home that draws almost nothing may read
//! slightly negative.

use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use crate::simulator::noise::Draws;
use crate::simulator::noise::Purpose;

/// How much of the noise remains after one step of 5 s: a memory of about four minutes.
pub const NOISE_MEMORY: f64 = 0.98;

/// How far the load of a copy may be moved in time, either way, in milliseconds.
const SHIFT_MS_MAX: f64 = 1_800_000.0;

/// Reactive power of a load as a share of its active power (a power factor of 0.98). Assumed: the
/// data has none.
pub const LOAD_KVAR_PER_KW: f64 = 0.2;

/// Hourly means without a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Hourly {
    /// Start of the first hour.
    pub start_at: Timestamp,
    /// One mean an hour.
    pub means: Vec<f64>,
}

impl Hourly {
    /// The value at an instant: means stand at the middle of their hour, straight lines between,
    /// level before the first middle and after the last.
    pub fn at(&self, at_ms: f64) -> f64 {
        let last = self.means.len() - 1;
        let since_ms = at_ms - self.start_at.0 as f64 - HOUR_MS as f64 / 2.0;
        if since_ms <= 0.0 {
            return self.means[0];
        }
        let i = (since_ms / HOUR_MS as f64) as usize;
        if i >= last {
            return self.means[last];
        }
        // The same bits wherever the series begins: whole hours are taken off exactly.
        let f = (since_ms - (i as u64 * HOUR_MS) as f64) / HOUR_MS as f64;
        self.means[i] * (1.0 - f) + self.means[i + 1] * f
    }

    /// The end of the last hour.
    pub fn end_at(&self) -> Timestamp {
        self.start_at.plus(self.means.len() as u64 * HOUR_MS)
    }

    /// The mean of the hour that holds an instant; the nearest one outside of the data.
    pub fn mean_of_hour(&self, at: Timestamp) -> f64 {
        let hour = (at.0.saturating_sub(self.start_at.0) / HOUR_MS) as usize;
        self.means[hour.min(self.means.len() - 1)]
    }
}

/// Load and PV of one measured home.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredHome {
    /// Load in kW.
    pub load_kw: Hourly,
    /// PV generation in kW.
    pub pv_kw: Hourly,
}

/// One home of the village.
#[derive(Clone, Debug, PartialEq)]
pub struct Home {
    /// Its number, from 1.
    pub number: usize,
    /// The measured home it is or is copied from, from 0.
    pub source: usize,
    /// How much later in the source's day it stands, in milliseconds; 0 for a measured home.
    pub shift_ms: f64,
    /// What the source's load is multiplied by; 1 for a measured home.
    pub scale: f64,
}

/// What a home does at an instant, without its battery.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HomePower {
    /// Load in kW.
    pub load_kw: f64,
    /// PV generation in kW.
    pub pv_kw: f64,
}

impl Home {
    /// Home `number` (from 1) of a village with so many measured homes.
    pub fn new(seed: u64, number: usize, measured: usize) -> Home {
        let source = (number - 1) % measured;
        if number <= measured {
            return Home { number, source, shift_ms: 0.0, scale: 1.0 };
        }
        let mut draws = Draws::new(seed, Purpose::Copy, number as u64, 0);
        let shift_ms = draws.between(-SHIFT_MS_MAX, SHIFT_MS_MAX).round();
        Home { number, source, shift_ms, scale: draws.between(0.8, 1.2) }
    }

    /// `measured`, or `copy` where it is made from another home.
    pub fn origin(&self) -> &'static str {
        if self.number == self.source + 1 { "measured" } else { "copy" }
    }

    /// Load and PV at an instant, before noise.
    pub fn power(&self, measured: &[MeasuredHome], at_ms: f64) -> HomePower {
        let source = &measured[self.source];
        HomePower {
            load_kw: source.load_kw.at(at_ms + self.shift_ms) * self.scale,
            pv_kw: source.pv_kw.at(at_ms),
        }
    }

    /// Mean net load over the hour that starts at `hour_at`, in kW: exact for a measured home, for
    /// a copy the value at the middle of the hour.
    pub fn hour_net_kw(&self, measured: &[MeasuredHome], hour_at: Timestamp) -> f64 {
        let source = &measured[self.source];
        let middle_ms = (hour_at.0 + HOUR_MS / 2) as f64;
        source.load_kw.at(middle_ms + self.shift_ms) * self.scale
            - source.pv_kw.mean_of_hour(hour_at)
    }
}

/// First-order noise of one home's load: `n' = 0.98 n + e`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadNoise {
    /// Its present value in kW.
    pub kw: f64,
}

impl LoadNoise {
    /// Moves on by one step; `deviation_kw` is the standard deviation it settles at.
    pub fn step(&mut self, deviation_kw: f64, draws: &mut Draws) {
        // A deviation d in the long run needs steps of d·√(1 - 0.98²), which is 0.199 d.
        let kick = deviation_kw * (1.0 - NOISE_MEMORY * NOISE_MEMORY).sqrt();
        self.kw = NOISE_MEMORY * self.kw + kick * draws.normal();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hourly(means: &[f64]) -> Hourly {
        Hourly { start_at: Timestamp(0), means: means.to_vec() }
    }

    #[test]
    fn means_stand_at_the_middle_of_their_hour() {
        let series = hourly(&[1.0, 3.0]);
        let half = HOUR_MS as f64 / 2.0;
        let found = [0.0, half, 2.0 * half, 3.0 * half, 4.0 * half].map(|ms| series.at(ms));
        assert_eq!(found, [1.0, 1.0, 2.0, 3.0, 3.0]);
    }

    #[test]
    fn copies_keep_the_sun_and_move_the_load_within_bounds() {
        let homes: Vec<Home> = (1..=57).map(|number| Home::new(5, number, 5)).collect();
        for home in &homes[..5] {
            assert_eq!((home.shift_ms, home.scale, home.origin()), (0.0, 1.0, "measured"));
        }
        for home in &homes[5..] {
            assert!(home.shift_ms.abs() <= 1_800_000.0 && (0.8..1.2).contains(&home.scale));
            assert_eq!((home.source, home.origin()), ((home.number - 1) % 5, "copy"));
        }
        assert_ne!(homes[5].shift_ms, homes[10].shift_ms);
    }
}
