//! What a load is thought to be while nothing fresh measures it.
//!
//! Its forecast, where there is one for the hour; else a share of what the head measures above
//! everything that is known: an equal one or, in a network from a file, by what is planned there,
//! and then of its loads alone. Each has a standard deviation of its own, as a rule wide against
//! that of a fresh measurement. The estimator takes the surer of the two: a measurement that has
//! aged until it is the less certain one gives way to the stand-in before it is stale, and so does
//! a fresh one whose point is worse than the stand-in. Reactive power is measured at the head
//! alone, as a rule: there each load has an equal share of it; in a file each has the power factor
//! that is planned.
//!
//! Where neither is known there is no stand-in, and what depends on it is not observable: nothing
//! is guessed from nothing. A conductor of an unbalanced file has what the file plans there,
//! because every load of such a file is a planned one, within as much as it is.

use std::collections::BTreeMap;

use schemas::time::HOUR_MS;
use serde::Deserialize;
use serde::Serialize;

use super::plan::Plan;
use super::plan::PlannedInjection;
use super::plan::Share;
use crate::settings::Settings;

/// The quantiles of a forecast lie so many standard deviations apart: twice the 90 % quantile of
/// the normal distribution.
const DEVIATIONS_P10_P90: f64 = 2.563;
/// The least standard deviation of a forecast in kW: hourly means say little of an instant.
const FORECAST_SIGMA_KW_MIN: f64 = 0.5;
/// The standard deviation of an allocated power as a share of it, and the least in kW.
const ALLOCATED_SIGMA_SHARE: f64 = 1.0;
const ALLOCATED_SIGMA_KW_MIN: f64 = 1.0;
/// The same of reactive power.
const KVAR_SIGMA_SHARE: f64 = 0.5;
const KVAR_SIGMA_MIN: f64 = 0.1;
/// The least share of what all draw that is left when it is summed with its signs: below,
/// generation about balances load, and the plan says nothing of who makes up a difference.
const SHARED_MIN: f64 = 0.1;
/// The least standard deviation of what falls to one as a share of the mean of all, and of a
/// reactive power as a share of the active one.
const LEAST_SHARE: f64 = 0.1;

/// The least power factor at which a conductor's active power says how much is drawn there, and the
/// most that it is said to be, as a multiple of what is planned.
const SCALES_MIN: f64 = 0.3;
const SCALES_MAX: f64 = 3.0;

/// What is forecast of a bus for an hour: net load without what batteries do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    /// The tick that issued it, in milliseconds.
    pub issued_at: u64,
    /// The middle of the outcomes in kW.
    pub p50_kw: f64,
    /// Between p10 and p90, in kW.
    pub spread_kw: f64,
}

/// Forecasts by bus and start of the hour.
pub type Forecasts = BTreeMap<String, BTreeMap<u64, Ahead>>;

/// What an injection is thought to be; import is positive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StandIn {
    /// Active power in kW and its standard deviation, whatever its own meter says; nothing where
    /// nothing is known.
    pub active_kw: Option<(f64, f64)>,
    /// Reactive power in kvar and its standard deviation.
    pub reactive_kvar: Option<(f64, f64)>,
    /// Whether a measurement of active power is fresh, so that this is needed only if that is not
    /// believed, or has become the less certain of the two.
    pub measured: bool,
}

/// The stand-ins of all injections, in their order; `latest` is what each point said last, with its
/// event time, as of the tick `tick_ms`.
pub fn stand_ins(
    plan: &Plan,
    latest: &[Option<(u64, f64)>],
    forecasts: &Forecasts,
    tick_ms: u64,
    settings: &Settings,
) -> Vec<StandIn> {
    let fresh = |point: usize| {
        let (measured_at, value) = latest[point]?;
        let counts = plan.points[point].fresh(measured_at, tick_ms, settings.step_ms);
        counts.then_some(value)
    };
    let head = |which: usize| {
        let points = &plan.head[which];
        let add = |sum: f64, (point, factor): &(usize, f64)| Some(sum + fresh(*point)? * factor);
        points.iter().try_fold(0.0, add).filter(|_| !points.is_empty())
    };
    let (mut unknown, mut known_kw) = (Vec::new(), 0.0);
    let mut measured = Vec::with_capacity(plan.injections.len());
    let mut all: Vec<StandIn> = Vec::with_capacity(plan.injections.len());
    for injection in &plan.injections {
        // An injection is positive, an import here.
        let measured_kw = injection.points.iter().find_map(|&point| {
            let value = fresh(point)?;
            Some(-value * plan.points[point].scale)
        });
        let active_kw = forecast(plan, injection, forecasts, tick_ms);
        match measured_kw.or(active_kw.map(|(kw, _)| kw)) {
            Some(kw) => known_kw += kw,
            None => unknown.extend(drawn(injection)),
        }
        all.push(StandIn { active_kw, reactive_kvar: None, measured: measured_kw.is_some() });
        measured.push(measured_kw);
    }
    let all_kw = Shares::of(&plan.injections.iter().filter_map(drawn).collect::<Vec<f64>>());
    let unknown = Shares::of(&unknown);
    let (head_kw, head_kvar) = (head(0), head(1));
    let count = all.len();
    for (at, (stand_in, injection)) in all.iter_mut().zip(&plan.injections).enumerate() {
        let Some(own) = drawn(injection) else { continue };
        stand_in.active_kw = stand_in.active_kw.or_else(|| {
            let Some(head_kw) = head_kw else { return stated(injection) };
            let (total, shares) =
                if stand_in.measured { (head_kw, &all_kw) } else { (head_kw - known_kw, &unknown) };
            let (kw, least) = (shares.give(total, own), shares.least(total));
            let sigma = (ALLOCATED_SIGMA_SHARE * kw.abs()).max(ALLOCATED_SIGMA_KW_MIN);
            Some((kw, sigma.max(least)))
        });
        let kw = measured[at].or(stand_in.active_kw.map(|(kw, _)| kw));
        stand_in.reactive_kvar = match injection.share {
            // Of a file, whose capacitors and machines are what the head's reactive power is of,
            // too: by the power factor that is planned.
            Share::Planned(_, kvar_planned) | Share::Stated(_, kvar_planned) => kw.map(|kw| {
                let kvar = scale(injection, kw) * kvar_planned;
                let least = KVAR_SIGMA_MIN.max(LEAST_SHARE * kw.abs());
                (kvar, KVAR_SIGMA_SHARE * kvar.abs() + least)
            }),
            _ => {
                let mean = head_kvar.map(|kvar| kvar / count.max(1) as f64);
                let of_load = |(kw, _): (f64, f64)| settings.estimate_kvar_per_kw * kw.abs();
                let kvar = mean.or_else(|| stand_in.active_kw.map(of_load));
                kvar.map(|kvar| (kvar, KVAR_SIGMA_SHARE * kvar.abs() + KVAR_SIGMA_MIN))
            }
        };
    }
    all
}

/// What an injection draws against the others; nothing where it has no share.
fn drawn(injection: &PlannedInjection) -> Option<f64> {
    match injection.share {
        Share::Equal => Some(1.0),
        Share::Planned(kw, _) | Share::Stated(kw, _) => Some(kw),
        Share::Nothing => None,
    }
}

/// What is planned of an injection, where that stands in by itself.
fn stated(injection: &PlannedInjection) -> Option<(f64, f64)> {
    let Share::Stated(kw, _) = injection.share else { return None };
    Some((kw, (ALLOCATED_SIGMA_SHARE * kw.abs()).max(ALLOCATED_SIGMA_KW_MIN)))
}

/// What an injection draws as a multiple of what is planned. At a conductor between two phases the
/// active power may be next to nothing beside the reactive one, and says nothing of how much.
fn scale(injection: &PlannedInjection, kw: f64) -> f64 {
    match injection.share {
        Share::Planned(planned, _) if planned != 0.0 => kw / planned,
        Share::Stated(planned, kvar) if planned.abs() >= SCALES_MIN * planned.hypot(kvar) => {
            if planned == 0.0 {
                1.0
            } else {
                (kw / planned).clamp(0.0, SCALES_MAX)
            }
        }
        _ => 1.0,
    }
}

/// Who shares what the head measures.
struct Shares {
    /// The sum of the shares with their signs; nothing where it says too little.
    sum: Option<f64>,
    count: usize,
}

impl Shares {
    fn of(shares: &[f64]) -> Shares {
        let sum: f64 = shares.iter().sum();
        let size: f64 = shares.iter().map(|share| share.abs()).sum();
        let sum = (sum > 0.0 && sum >= SHARED_MIN * size).then_some(sum);
        Shares { sum, count: shares.len() }
    }

    /// What falls to one of them: by its share, or an equal part.
    fn give(&self, total: f64, own: f64) -> f64 {
        self.sum.map_or(total / self.count.max(1) as f64, |sum| total * own / sum)
    }

    /// The least standard deviation of what falls to one: who draws nothing as planned may draw.
    fn least(&self, total: f64) -> f64 {
        LEAST_SHARE * (total / self.count.max(1) as f64).abs()
    }
}

fn forecast(
    plan: &Plan,
    injection: &PlannedInjection,
    forecasts: &Forecasts,
    tick_ms: u64,
) -> Option<(f64, f64)> {
    let of_bus = forecasts.get(&plan.buses[injection.bus])?;
    // The step that ends on the hour is of the hour before.
    let ahead = of_bus.get(&(tick_ms.saturating_sub(1) / HOUR_MS * HOUR_MS))?;
    let shared = injection.at_bus.max(1) as f64;
    let sigma = (ahead.spread_kw / DEVIATIONS_P10_P90).max(FORECAST_SIGMA_KW_MIN) / shared;
    // A battery does anything between its limits: the deviation of an even distribution.
    Some((ahead.p50_kw / shared, sigma.hypot(injection.battery_kw / 3.0_f64.sqrt())))
}
