//! Switches that do not stand where they are said to: an alarm that names them.
//!
//! A wrong position is not a wrong value: it spoils many of them at once, or none. So it is looked
//! for when several points do not fit, when something reads voltage or power where the switches
//! leave none, when a live bus reads nothing, or when several who are measured fall silent together
//! ([`grid::estimation::topology_error`] has the tests). Evidence must stand for
//! `estimate_topology_ticks` ticks: a telemetered position may be seconds behind the power.
//!
//! # Bounds
//!
//! Each hypothesis is an estimate from flat, up to some hundred of them. They are asked when
//! evidence has stood for long enough, and every [`AGAIN`] ticks while it stands; of networks
//! beyond [`BUSES_MAX`] buses not at all.

use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::measurement::Target;
use grid::network::InjectionIndex;
use schemas::decision::Alarm;
use schemas::decision::TOPOLOGY_ERROR;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::Kept;
use super::Outs;
use super::Seen;
use super::StandIn;
use super::Tick;
use super::absurd;
use crate::estimate::adapter::Estimate;
use crate::estimate::adapter::WrongSwitches;

/// Ticks between two times that switches are asked while evidence stands.
const AGAIN: u64 = 12;

/// Buses up to which switches are asked: a hypothesis there is an estimate of a millisecond.
const BUSES_MAX: usize = 1_000;

/// Points that must not fit, or injections that must be silent, before a switch is asked: one alone
/// is an instrument.
const SEVERAL: usize = 2;

/// Sentences that an alarm has at most.
const SAID_MAX: usize = 4;

/// What is remembered of evidence against switches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Doubt {
    /// Ticks in a row at which there was some, and at which there was none.
    stands: u64,
    quiet: u64,
    /// The alarm that has been raised and not cleared.
    open: Option<Raised>,
}

/// An alarm about switches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Raised {
    subject: String,
    raised_at: Timestamp,
    better: f64,
    margin: f64,
}

impl Kept {
    /// Asks whether switches are wrong where there is reason to, and raises and clears the alarm.
    pub(super) fn ask_switches(
        &mut self,
        seen: &Seen<'_>,
        estimate: &Estimate,
        stand_ins: &[StandIn],
        tick: &Tick<'_>,
        out: &mut Outs,
    ) {
        let after = tick.settings.estimate_topology_ticks;
        if after == 0 || seen.plan.switches.is_empty() || seen.plan.buses.len() > BUSES_MAX {
            return;
        }
        let silent = silent(seen);
        if !evidence(seen, estimate) && silent.len() < SEVERAL {
            self.doubt.stands = 0;
            self.doubt.quiet += 1;
            if self.doubt.quiet >= tick.settings.estimate_clear_ticks {
                self.clear_switches(tick, out);
            }
            return;
        }
        self.doubt.quiet = 0;
        self.doubt.stands += 1;
        if self.doubt.stands < after || !(self.doubt.stands - after).is_multiple_of(AGAIN) {
            return;
        }
        let measurements = measurements(seen, stand_ins, tick);
        match seen.live.wrong_switches(seen.plan, tick.at.0, &measurements, &silent) {
            Some(wrong) => self.raise_switches(seen, &wrong, tick, out),
            None => self.clear_switches(tick, out),
        }
    }

    fn raise_switches(
        &mut self,
        seen: &Seen<'_>,
        wrong: &WrongSwitches,
        tick: &Tick<'_>,
        out: &mut Outs,
    ) {
        let names = wrong.switches.iter().map(|switch| seen.plan.switches[*switch].0.as_str());
        let names: Vec<&str> = names.collect();
        let subject = names.join(if wrong.named { ", " } else { " or " });
        if self.doubt.open.as_ref().is_some_and(|open| open.subject == subject) {
            return;
        }
        self.clear_switches(tick, out);
        let finite = |number: f64| if number.is_finite() { number } else { f64::MAX };
        let (raised_at, better, margin) = (tick.at, finite(wrong.better), wrong.margin);
        let raised = Raised { subject, raised_at, better, margin };
        let mut reason: Vec<&str> = wrong.words.iter().take(SAID_MAX).map(String::as_str).collect();
        if !wrong.named {
            reason.insert(0, "one of these, which nothing measured tells apart");
        }
        out.alarms.push(row(tick, &raised, "raised", reason.join("; ")));
        self.doubt.open = Some(raised);
    }

    /// Clears the alarm about switches, if there is one.
    pub(super) fn clear_switches(&mut self, tick: &Tick<'_>, out: &mut Outs) {
        if let Some(open) = self.doubt.open.take() {
            let reason = "what is measured fits the stated positions, or is silent".to_owned();
            out.alarms.push(row(tick, &open, "cleared", reason));
        }
    }
}

/// Whether what is said speaks against switches.
fn evidence(seen: &Seen<'_>, estimate: &Estimate) -> bool {
    let counts = |verdict: &str| {
        let of = estimate.suspects.iter().filter(|suspect| suspect.verdict == verdict);
        of.count()
    };
    let misfits = counts("bad") + counts("held-out") + counts("undecided");
    let nothing = estimate.suspects.iter().any(|suspect| {
        let said = seen.latest[suspect.point];
        let point = &seen.plan.points[suspect.point];
        suspect.verdict == absurd::VERDICT.0
            && said.is_some_and(|(_, value)| absurd::is_low_voltage(point, value))
    });
    let unexplained = estimate.solved && estimate.objective > estimate.chi_square_limit;
    misfits >= SEVERAL || counts("live-on-dead") > 0 || nothing || unexplained
}

/// Buses of injections that are measured and of which nothing is fresh, though they are alive.
fn silent(seen: &Seen<'_>) -> Vec<usize> {
    let injections = seen.plan.injections.iter();
    let mute = injections.filter(|injection| {
        let points = &injection.points;
        !points.is_empty() && points.iter().all(|point| !seen.fresh[*point])
    });
    let mut buses: Vec<usize> =
        mute.map(|injection| injection.bus).filter(|bus| seen.live.energised(*bus)).collect();
    buses.sort_unstable();
    buses.dedup();
    buses
}

/// Everything that is fresh, and what stands in for the rest, as measurements of this tick.
fn measurements(seen: &Seen<'_>, stand_ins: &[StandIn], tick: &Tick<'_>) -> Vec<Measurement> {
    let mut all = Vec::new();
    for (place, point) in seen.plan.points.iter().enumerate() {
        let Some((at, value)) = seen.latest[place].filter(|_| seen.fresh[place]) else { continue };
        let nothing = absurd::is_low_voltage(point, value);
        if !point.plausible(value) && !nothing {
            continue;
        }
        // Angles are left to the estimate: they say nothing about a switch that flows do not.
        if matches!(point.quantity, Quantity::VoltageAngle | Quantity::CurrentAngle) {
            continue;
        }
        let value_pu = value * point.scale * point.unit_pu;
        let of = point.tick_of(at, tick.settings.step_ms);
        let lost = point.drift_pu_per_s * tick.at.0.saturating_sub(of) as f64 / 1e3;
        all.push(Measurement {
            id: point.id.clone(),
            source: Source::Scada,
            quantity: point.quantity,
            target: point.target,
            value: value_pu,
            sigma: point.sigma_of(value_pu).hypot(lost),
        });
    }
    let kw = 1e-3 / seen.plan.base_mva;
    for (injection, stand_in) in seen.plan.injections.iter().zip(stand_ins) {
        let target = Target::Injection(InjectionIndex(injection.index));
        let mut stand = |quantity: Quantity, said: Option<(f64, f64)>| {
            let heard = all.iter().any(|m| m.target == target && m.quantity == quantity);
            if let Some((value, sigma)) = said.filter(|_| !heard) {
                let (value, sigma) = (-value * kw, sigma * kw);
                let (id, source) = (String::from("a stand-in"), Source::Pseudo);
                all.push(Measurement { id, source, quantity, target, value, sigma });
            }
        };
        stand(Quantity::ActivePower, stand_in.active_kw);
        stand(Quantity::ReactivePower, stand_in.reactive_kvar);
    }
    all
}

fn row(tick: &Tick<'_>, raised: &Raised, state: &str, reason: String) -> Alarm {
    let Raised { subject, raised_at, better, margin } = raised;
    Alarm {
        alarm_id: format!("{TOPOLOGY_ERROR}:{subject}:{}", raised_at.0),
        tick_at: tick.at,
        kind: TOPOLOGY_ERROR.to_owned(),
        subject: subject.clone(),
        feeder_id: tick.feeder_id.to_owned(),
        state: state.to_owned(),
        value: *better,
        limit_value: *margin,
        reason,
        saw: format!("point_values@{}; switch_state@{0}; estimates.buses@{0}", tick.at.0),
    }
}
