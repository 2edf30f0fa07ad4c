//! The rules that look at one device, each a question with a yes or a reason.
//!
//! They are written from the device's side and share nothing with dispatch's own arithmetic: a
//! mistake there is not repeated here.

use schemas::decision::Action;
use schemas::state::AssetState;
use schemas::time::HOUR_MS;
use schemas::time::Step;
use schemas::time::Timestamp;

use crate::settings::Settings;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The rule's name.
    pub rule: &'static str,
    /// In words.
    pub reason: String,
    /// The bound that was crossed, in the rule's unit; 0 where there is none.
    pub limit: f64,
}

impl Refusal {
    /// A refusal by `rule`.
    pub fn new(rule: &'static str, limit: f64, reason: String) -> Refusal {
        Refusal { rule, reason, limit }
    }
}

/// Rounding that is forgiven: a milliwatt, in kW or kWh.
pub(super) const FORGIVEN: f64 = 1e-6;

/// Whether what was measured then may still be decided on at `at`.
pub fn fresh(at: Timestamp, measured_at: Timestamp, settings: &Settings) -> bool {
    let Some(step) = Step::from_millis(settings.step_ms) else { return false };
    at.0.saturating_sub(step.tick_of(measured_at).0) <= settings.stale_ticks * settings.step_ms
}

/// The first rule of the device's own that the action breaks.
///
/// # Errors
/// That rule.
pub fn judge(
    at: Timestamp,
    action: &Action,
    asset: Option<&AssetState>,
    settings: &Settings,
) -> Result<(), Refusal> {
    let kw = action.active_power_kw;
    let Some(asset) = asset else {
        let reason = format!("{} is not known here", action.asset_id);
        return Err(Refusal::new("unknown-asset", 0.0, reason));
    };
    if !kw.is_finite() {
        return Err(Refusal::new("not-a-number", 0.0, format!("{kw} is no power")));
    }
    if action.valid_until_at <= at {
        let reason = format!("it ran out at {}", action.valid_until_at);
        return Err(Refusal::new("expired", 0.0, reason));
    }
    in_box(kw, asset)?;
    let (said_kw, stored_kwh) = heard(at, asset, settings)?;
    let hours = (action.valid_until_at.0 - at.0) as f64 / HOUR_MS as f64;
    energy(kw, stored_kwh, hours, asset, settings)?;
    ramp(kw, said_kw, asset)
}

fn in_box(kw: f64, asset: &AssetState) -> Result<(), Refusal> {
    let AssetState { power_kw_min, power_kw_max, .. } = *asset;
    if kw > power_kw_max + FORGIVEN {
        let reason = format!("{kw:.3} kW is above {power_kw_max} kW");
        return Err(Refusal::new("box", power_kw_max, reason));
    }
    if kw < power_kw_min - FORGIVEN {
        let reason = format!("{kw:.3} kW is below {power_kw_min} kW");
        return Err(Refusal::new("box", power_kw_min, reason));
    }
    Ok(())
}

/// Power and stored energy as last said, if that is fresh. What stores nothing needs to say nothing
/// of it.
fn heard(at: Timestamp, asset: &AssetState, settings: &Settings) -> Result<(f64, f64), Refusal> {
    let ticks = settings.stale_ticks;
    let refusal = |reason: String| Refusal::new("age", ticks as f64, reason);
    let Some(measured_at) = asset.measured_at else {
        return Err(refusal("it has said nothing yet".to_owned()));
    };
    if !fresh(at, measured_at, settings) {
        return Err(refusal(format!("it spoke last at {measured_at}, over {ticks} ticks ago")));
    }
    let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
    let stored = finite(asset.state_of_charge_kwh);
    let stored = if asset.energy_kwh_max > 0.0 { stored } else { Some(0.0) };
    finite(asset.active_power_kw)
        .zip(stored)
        .ok_or_else(|| refusal("it does not say its power and energy".to_owned()))
}

fn energy(
    kw: f64,
    stored_kwh: f64,
    hours: f64,
    asset: &AssetState,
    settings: &Settings,
) -> Result<(), Refusal> {
    if asset.energy_kwh_max <= 0.0 {
        return Ok(());
    }
    let efficiency = asset.efficiency.clamp(0.01, 1.0);
    let drawn_kwh = if kw > 0.0 { kw / efficiency } else { kw * efficiency } * hours;
    let left_kwh = stored_kwh - drawn_kwh;
    let floor_kwh = settings.soc_share_min * asset.energy_kwh_max;
    if kw > 0.0 && left_kwh < floor_kwh - FORGIVEN {
        let reason = format!("{kw:.3} kW would leave {left_kwh:.3} kWh, below {floor_kwh:.3}");
        return Err(Refusal::new("soc", floor_kwh, reason));
    }
    if kw < 0.0 && left_kwh > asset.energy_kwh_max + FORGIVEN {
        let most_kwh = asset.energy_kwh_max;
        let reason = format!("{kw:.3} kW would store {left_kwh:.3} kWh, above {most_kwh}");
        return Err(Refusal::new("soc", most_kwh, reason));
    }
    Ok(())
}

fn ramp(kw: f64, said_kw: f64, asset: &AssetState) -> Result<(), Refusal> {
    let most_kw = asset.ramp_kw_max;
    if (kw - said_kw).abs() > most_kw + FORGIVEN {
        let reason = format!("from {said_kw:.3} to {kw:.3} kW is more than {most_kw} kW a tick");
        return Err(Refusal::new("ramp", most_kw, reason));
    }
    Ok(())
}
