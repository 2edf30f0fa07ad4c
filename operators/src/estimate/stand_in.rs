//! What a load is thought to be while nothing fresh measures it.
//!
//! Its forecast, where there is one for the hour; else an equal share of what the head measures
//! above everything that is known. Each has a standard deviation of its own, as a rule wide against
//! that of a fresh measurement. The estimator takes the surer of the two: a measurement that has
//! aged until it is the less certain one gives way to the stand-in before it is stale, and so does
//! a fresh one whose point is worse than the stand-in. Reactive power is measured at the head
//! alone, as a rule: there each load has an equal share of it.
//!
//! Where neither is known there is no stand-in, and what depends on it is not observable: nothing
//! is guessed from nothing.

use std::collections::BTreeMap;

use schemas::time::HOUR_MS;
use serde::Deserialize;
use serde::Serialize;

use super::plan::Plan;
use super::plan::PlannedInjection;
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
        let (point, factor) = plan.head[which]?;
        Some(fresh(point)? * factor)
    };
    let (mut unknown, mut known_kw) = (0_usize, 0.0);
    let mut all: Vec<StandIn> = Vec::with_capacity(plan.injections.len());
    for injection in &plan.injections {
        // An injection is positive, an import here.
        let measured = injection.points.iter().find_map(|&point| {
            let value = fresh(point)?;
            Some(-value * plan.points[point].scale)
        });
        let active_kw = forecast(plan, injection, forecasts, tick_ms);
        match measured.or(active_kw.map(|(kw, _)| kw)) {
            Some(kw) => known_kw += kw,
            None => unknown += 1,
        }
        all.push(StandIn { active_kw, reactive_kvar: None, measured: measured.is_some() });
    }
    let share = |total: f64, of: usize| total / of.max(1) as f64;
    let rest_kw = head(0).map(|head_kw| share(head_kw - known_kw, unknown));
    let mean_kw = head(0).map(|head_kw| share(head_kw, all.len()));
    let mean_kvar = head(1).map(|kvar| share(kvar, all.len()));
    for stand_in in &mut all {
        let allocated_kw = if stand_in.measured { mean_kw } else { rest_kw };
        stand_in.active_kw = stand_in.active_kw.or_else(|| {
            let kw = allocated_kw?;
            Some((kw, (ALLOCATED_SIGMA_SHARE * kw.abs()).max(ALLOCATED_SIGMA_KW_MIN)))
        });
        let of_load = |(kw, _): (f64, f64)| settings.estimate_kvar_per_kw * kw.abs();
        let kvar = mean_kvar.or_else(|| stand_in.active_kw.map(of_load));
        stand_in.reactive_kvar =
            kvar.map(|kvar| (kvar, KVAR_SIGMA_SHARE * kvar.abs() + KVAR_SIGMA_MIN));
    }
    all
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
