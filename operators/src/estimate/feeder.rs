//! One feeder, tick by tick: what is known, what is estimated of it, what is said.
//!
//! The estimator goes on from tick to tick, and is asked for past ticks anew where something came
//! late. It is made once, and again only when a reference table changes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use grid::Complex;
use schemas::decision::Forecast;
use schemas::estimate::EstimateCorrection;
use schemas::estimate::EstimateObservability;
use schemas::state::PointValue;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::adapter::Estimate;
use super::adapter::Estimator;
use super::adapter::Memory;
use super::history::History;
use super::history::Said;
use super::history::Span;
use super::plan::Plan;
use super::plan::Tables;
use super::plan::Turn;
use super::shown::Outs;
use super::shown::Shown;
use super::shown::apart;
use super::stand_in::Ahead;
use super::stand_in::Forecasts;
use super::stand_in::StandIn;
use super::stand_in::stand_ins;
use crate::settings::Settings;

mod absurd;
mod alarm;
mod element;
mod switches;
mod taps;

use self::alarm::Open;
use self::switches::Doubt;

/// What a feeder is stepped with.
pub struct Tick<'a> {
    /// The tick.
    pub at: Timestamp,
    /// The feeder.
    pub feeder_id: &'a str,
    /// The reference tables.
    pub tables: &'a Tables,
    /// The agents' settings.
    pub settings: &'a Settings,
}

/// A feeder.
#[derive(Default)]
pub struct FeederState {
    /// Nothing until it is built, and again when a table has changed.
    engine: Option<Engine>,
    kept: Kept,
    /// What the estimator has not been told yet: of which points and switches, of when.
    news: Vec<(String, u64)>,
    moves: Vec<(String, u64, bool)>,
    /// The estimator's memory, between a restart and the first tick.
    restored: Option<Memory>,
}

/// An estimator on a plan, or why there is no plan.
enum Engine {
    Running(Box<Running>),
    None(Vec<String>),
}

/// A plan and its estimator.
struct Running {
    plan: Plan,
    live: Estimator,
}

/// A voltage that was said: magnitude per unit and angle in degrees.
type Given = Option<(f64, f64)>;

/// What is kept from tick to tick, and over a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    history: History,
    forecasts: Forecasts,
    /// What was said of the buses at the ticks that may still be corrected.
    given: BTreeMap<u64, Vec<Given>>,
    /// Those that must be estimated anew.
    dirty: BTreeSet<u64>,
    shown: Shown,
    /// Alarms that have been raised and not cleared, by point.
    open: BTreeMap<String, Open>,
    /// Whether switches stand where they are said to.
    doubt: Doubt,
}

/// What is saved of a feeder.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    kept: Kept,
    live: Option<Memory>,
}

impl FeederState {
    /// A table has changed.
    pub fn rebuild(&mut self) {
        self.engine = None;
    }

    /// Whether the plan has this switch at this branch.
    pub fn has_switch(&self, switch_id: &str, branch_id: &str) -> bool {
        let Some(Engine::Running(running)) = &self.engine else { return false };
        running.plan.switches.iter().any(|(id, branch)| id == switch_id && branch == branch_id)
    }

    /// Takes a value, whose last millisecond is so long after its event time.
    pub fn value(&mut self, at: Timestamp, row: &PointValue, lasts_ms: u64, step_ms: u64) {
        let said =
            Said { value: row.value, revision: row.revision, frequency_hz: row.frequency_hz };
        let span = self.kept.history.value(&row.point_id, row.measured_at.0, said);
        if span.is_some() {
            self.news.push((row.point_id.clone(), row.measured_at.0));
        }
        // It counts, and so does the next one, once its interval has ended.
        let ended = |at_ms: u64| at_ms.saturating_add(lasts_ms);
        let counts = span.map(|(from, next)| (ended(from), next.map(ended)));
        self.mark(at, counts, step_ms);
    }

    /// Takes where a switch stands, and since when.
    pub fn position(
        &mut self,
        at: Timestamp,
        switch: &str,
        (closed, since_ms): (bool, u64),
        step_ms: u64,
    ) {
        let span = self.kept.history.position(switch, since_ms, closed);
        if span.is_some() {
            self.moves.push((switch.to_owned(), since_ms, closed));
            // What it said next may have been no news so far.
            let next = self.kept.history.next_position(switch, since_ms);
            self.moves.extend(next.map(|(at, closed)| (switch.to_owned(), at, closed)));
        }
        self.mark(at, span, step_ms);
    }

    /// Takes a forecast of a bus.
    pub fn forecast(&mut self, row: &Forecast) {
        let ahead = Ahead {
            issued_at: row.issued_at.0,
            p50_kw: row.p50_kw,
            spread_kw: row.p90_kw - row.p10_kw,
        };
        let of_bus = self.kept.forecasts.entry(row.subject_id.clone()).or_default();
        let known = of_bus.entry(row.target_at.0).or_insert(ahead);
        if known.issued_at <= ahead.issued_at {
            *known = ahead;
        }
    }

    /// Marks the past ticks that see something new as to be estimated anew.
    fn mark(&mut self, at: Timestamp, span: Option<Span>, step_ms: u64) {
        let Some((from, next)) = span else { return };
        let first = (from / step_ms + 1).saturating_mul(step_ms);
        // A tick sees what was said before it; the next word counts for those after it.
        let end = next.map_or(at.0, |next| next.saturating_add(1).min(at.0));
        if first < end {
            self.kept.dirty.extend(self.kept.given.range(first..end).map(|(tick, _)| *tick));
        }
    }

    /// Estimates the tick, and past ones that something came late for.
    pub fn step(&mut self, tick: &Tick<'_>, out: &mut Outs) {
        if !tick.tables.has_points(tick.feeder_id) {
            self.leave(tick, out);
            return;
        }
        let FeederState { engine, kept, news, moves, restored } = self;
        let (news, moves) = (std::mem::take(news), std::mem::take(moves));
        let engine = engine.get_or_insert_with(|| kept.build(tick, restored, out));
        let running = match engine {
            Engine::Running(running) => running,
            Engine::None(problems) => {
                let row = nothing(tick, "no-model", problems);
                kept.shown.clear(out);
                let shown = &mut kept.shown.observability;
                out.observability.set(shown, tick.feeder_id.to_owned(), Some(row));
                kept.clear(|_| false, tick, out);
                kept.clear_switches(tick, out);
                kept.forget(tick, out);
                return;
            }
        };
        running.tell(&kept.history, &news, &moves, tick.settings.step_ms);
        kept.correct(running, tick, out);
        let latest = kept.latest(&running.plan, tick.at.0);
        let believed = believed(&running.plan, &latest);
        let stand_ins =
            stand_ins(&running.plan, &believed, &kept.forecasts, tick.at.0, tick.settings);
        hand(&running.plan, &mut running.live, &stand_ins);
        let mut estimate = running.live.estimate(tick.at.0);
        absurd::find(running, &latest, tick, &mut estimate);
        let sigmas = running.live.sigmas(running.plan.buses.len());
        let Running { plan, live } = &**running;
        let fresh: Vec<bool> = (plan.points.iter().zip(&latest))
            .map(|(point, said)| {
                let counts = |at| point.fresh(at, tick.at.0, tick.settings.step_ms);
                said.is_some_and(|(at, _)| counts(at))
            })
            .collect();
        let (latest, believed, fresh) = (&latest[..], &believed[..], &fresh[..]);
        let seen = Seen { plan, live, sigmas: &sigmas, latest, believed, fresh };
        kept.show(&seen, &estimate, &stand_ins, tick, out);
        kept.alarm(&seen, &estimate, tick, out);
        kept.ask_switches(&seen, &estimate, &stand_ins, tick, out);
        kept.forget(tick, out);
    }

    /// Without points nothing is said of a feeder. What is heard of it is in the history, from
    /// which an estimator is told.
    fn leave(&mut self, tick: &Tick<'_>, out: &mut Outs) {
        self.news.clear();
        self.moves.clear();
        self.kept.clear(|_| false, tick, out);
        self.kept.clear_switches(tick, out);
        self.kept.forget(tick, out);
        let shown = &mut self.kept.shown;
        shown.clear(out);
        shown.forget_corrections(u64::MAX, out);
        out.observability.gone(std::mem::take(&mut shown.observability).into_values());
        self.kept.given.clear();
        self.kept.dirty.clear();
    }

    /// What a restart needs.
    pub fn save(&self) -> Saved {
        let live = match &self.engine {
            Some(Engine::Running(running)) => Some(running.live.save()),
            _ => self.restored.clone(),
        };
        Saved { kept: self.kept.clone(), live }
    }

    /// The reverse of [`FeederState::save`].
    pub fn restored(saved: Saved) -> FeederState {
        FeederState { kept: saved.kept, restored: saved.live, ..FeederState::default() }
    }
}

/// An estimate's surroundings: what it was made of.
struct Seen<'a> {
    plan: &'a Plan,
    live: &'a Estimator,
    sigmas: &'a [f64],
    /// What each point said last, with its event time.
    latest: &'a [Option<(u64, f64)>],
    /// The same without what cannot be.
    believed: &'a [Option<(u64, f64)>],
    /// Whether what each point said last, whatever it is, is of this tick or not stale yet.
    fresh: &'a [bool],
}

impl Running {
    /// Tells the estimator what is new.
    fn tell(
        &mut self,
        history: &History,
        news: &[(String, u64)],
        moves: &[(String, u64, bool)],
        step_ms: u64,
    ) {
        let Running { plan, live } = self;
        for (id, at_ms) in news {
            let point = plan.points.binary_search_by(|point| point.id.as_str().cmp(id));
            let Ok(place) = point else {
                taps::tell(live, plan, id, history, *at_ms, step_ms);
                continue;
            };
            // Of several values of a tick the last one counts, whichever came last.
            let point = &plan.points[place];
            let end = point.tick_of(*at_ms, step_ms).saturating_sub(point.lasts_ms());
            if let Some(said) = history.latest(id, end) {
                observe(live, plan, place, said, step_ms);
            }
        }
        for (id, since_ms, closed) in moves {
            let switch = plan.switches.iter().position(|(switch, _)| switch == id);
            if let Some(switch) = switch {
                // Of several moves before a tick the last one counts, too.
                let tick = first_tick(*since_ms, step_ms);
                let before =
                    history.positions(id).filter(|(at, _)| first_tick(*at, step_ms) == tick);
                let stands = before.last().map_or(*closed, |(_, closed)| closed);
                live.set_switch(switch, stands, tick);
            }
        }
    }

    /// Tells the estimator everything that is known.
    fn tell_all(&mut self, history: &History, step_ms: u64) {
        let Running { plan, live } = self;
        for (place, point) in plan.points.iter().enumerate() {
            for said in history.values(&point.id) {
                observe(live, plan, place, said, step_ms);
            }
        }
        for tap in &plan.taps {
            history.values(&tap.id).for_each(|(at_ms, _)| {
                taps::tell(live, plan, &tap.id, history, at_ms, step_ms);
            });
        }
        for (switch, (id, _)) in plan.switches.iter().enumerate() {
            for (since_ms, closed) in history.positions(id) {
                live.set_switch(switch, closed, first_tick(since_ms, step_ms));
            }
        }
    }
}

/// Tells an estimator what a point said at an instant, in its own unit, if that can be.
fn observe(live: &mut Estimator, plan: &Plan, place: usize, (at, said): (u64, Said), step_ms: u64) {
    let point = &plan.points[place];
    if point.plausible(said.value) {
        let turn = Turn { step_ms, nominal_hz: plan.nominal_hz };
        let value_pu = point.value_pu(&said, at, turn);
        live.observe(place, (value_pu, point.sigma_of(value_pu)), point.tick_of(at, step_ms));
    }
}

/// What each point said last, where that can be.
fn believed(plan: &Plan, latest: &[Option<(u64, f64)>]) -> Vec<Option<(u64, f64)>> {
    let points = plan.points.iter().zip(latest);
    points.map(|(point, said)| said.filter(|(_, value)| point.plausible(*value))).collect()
}

/// The first tick at which something is so that is so from an instant on.
fn first_tick(since_ms: u64, step_ms: u64) -> u64 {
    if since_ms == 0 { 0 } else { (since_ms / step_ms + 1) * step_ms }
}

/// Hands stand-ins to an estimator.
fn hand(plan: &Plan, estimator: &mut Estimator, stand_ins: &[StandIn]) {
    /// A deviation that says nothing, per unit: where one of the two powers is not known.
    const NOTHING: f64 = 1e3;
    let kw = 1e-3 / plan.base_mva;
    for (injection, stand_in) in plan.injections.iter().zip(stand_ins) {
        let (active, reactive) = (stand_in.active_kw, stand_in.reactive_kvar);
        if active.is_none() && reactive.is_none() {
            estimator.stand_in(injection.index, None);
            continue;
        }
        let (p, sigma_p) = active.map_or((0.0, NOTHING), |(p, sigma)| (-p * kw, sigma * kw));
        let (q, sigma_q) = reactive.map_or((0.0, NOTHING), |(q, sigma)| (-q * kw, sigma * kw));
        let (s, sigma) = (Complex::new(p, q), Complex::new(sigma_p, sigma_q));
        estimator.stand_in(injection.index, Some((s, sigma)));
    }
}

impl Kept {
    /// Plans the feeder and makes its estimator.
    fn build(&mut self, tick: &Tick<'_>, restored: &mut Option<Memory>, out: &mut Outs) -> Engine {
        let Settings { frequency_hz, step_ms, .. } = *tick.settings;
        let file = tick.settings.networks.get(tick.feeder_id);
        let plan = match tick.tables.plan(tick.feeder_id, file, frequency_hz) {
            Ok(plan) => plan,
            Err(problems) => return Engine::None(problems),
        };
        let history_ms = (tick.settings.reach_ticks() + 1) * step_ms;
        let live = match Estimator::new(&plan, history_ms) {
            Ok(live) => live,
            Err(problems) => return Engine::None(problems),
        };
        let mut running = Running { plan, live };
        let goes_on = restored.take().is_some_and(|memory| running.live.restore(&memory));
        if !goes_on {
            // What was said of another network is not corrected.
            self.given.clear();
            self.dirty.clear();
        }
        // Also what was restored: something may have been heard while there was no estimator.
        running.tell_all(&self.history, step_ms);
        let plan = &running.plan;
        self.shown.keep(&plan.buses[..plan.own_buses], &plan.branches, out);
        Engine::Running(Box::new(running))
    }

    /// What each point said last, of an interval that had ended before an instant.
    fn latest(&self, plan: &Plan, before_ms: u64) -> Vec<Option<(u64, f64)>> {
        let before = |lasts_ms| before_ms.saturating_sub(lasts_ms);
        let latest = plan.points.iter().map(|point| {
            let (at, said) = self.history.latest(&point.id, before(point.lasts_ms()))?;
            Some((at, said.value))
        });
        latest.collect()
    }

    /// Estimates past ticks anew, the oldest first.
    fn correct(&mut self, running: &mut Running, tick: &Tick<'_>, out: &mut Outs) {
        for _ in 0..tick.settings.estimate_late_ticks {
            let Some(of) = self.dirty.pop_first() else { break };
            let latest = believed(&running.plan, &self.latest(&running.plan, of));
            let Running { plan, live } = &mut *running;
            let stand_ins = stand_ins(plan, &latest, &self.forecasts, of, tick.settings);
            hand(plan, live, &stand_ins);
            let (estimate, voltages) = live.revise(of);
            if estimate.solved {
                let now: Vec<Given> = voltages.into_iter().map(given).collect();
                self.say_corrected(of, &plan.buses, &now, tick, out);
            }
        }
    }

    /// Says where a past tick is now known to have been otherwise.
    fn say_corrected(
        &mut self,
        of: u64,
        buses: &[String],
        now: &[Given],
        tick: &Tick<'_>,
        out: &mut Outs,
    ) {
        let Some(given) = self.given.get(&of) else { return };
        let shown = self.shown.corrections.entry(of).or_default();
        for ((bus, was), now) in buses.iter().zip(given).zip(now) {
            let row = was.zip(*now).and_then(|((was_vm_pu, _), (vm_pu, va_deg))| {
                let moved = (vm_pu - was_vm_pu).abs() > tick.settings.estimate_move_pu;
                moved.then(|| EstimateCorrection {
                    feeder_id: tick.feeder_id.to_owned(),
                    bus_id: bus.clone(),
                    of_tick_at: Timestamp(of),
                    tick_at: tick.at,
                    was_vm_pu,
                    vm_pu,
                    va_deg,
                })
            });
            let same = |row: &EstimateCorrection| {
                let before = shown.get(bus).map(|before| before.vm_pu);
                !apart(before, Some(row.vm_pu), tick.settings.estimate_move_pu)
            };
            if !row.as_ref().is_some_and(same) {
                out.corrections.set(shown, bus.clone(), row);
            }
        }
    }

    /// Forgets what can no longer be corrected.
    fn forget(&mut self, tick: &Tick<'_>, out: &mut Outs) {
        let back_ms = tick.settings.reach_ticks() * tick.settings.step_ms;
        let first = tick.at.0.saturating_sub(back_ms);
        self.given = self.given.split_off(&first);
        self.dirty = self.dirty.split_off(&first);
        self.shown.forget_corrections(first, out);
        self.history.forget(first.saturating_sub(tick.settings.step_ms));
        for of_bus in self.forecasts.values_mut() {
            while of_bus.first_key_value().is_some_and(|(hour, _)| hour + 2 * HOUR_MS <= first) {
                of_bus.pop_first();
            }
        }
    }
}

/// A voltage as it is said, of a bus that is alive and observable.
fn given(voltage: Option<Complex>) -> Given {
    let known = voltage.filter(|v| *v != Complex::ZERO && v.is_finite());
    known.map(|v| (v.abs(), v.arg().to_degrees()))
}

/// The row of a feeder of which nothing is estimated.
fn nothing(tick: &Tick<'_>, status: &str, problems: &[String]) -> EstimateObservability {
    EstimateObservability {
        feeder_id: tick.feeder_id.to_owned(),
        tick_at: tick.at,
        status: status.to_owned(),
        observable_buses: 0,
        unobservable_buses: 0,
        unobservable: String::new(),
        dead_buses: 0,
        fresh_points: 0,
        stale_points: 0,
        objective: 0.0,
        degrees_of_freedom: 0,
        chi_square_limit: 0.0,
        problems: problems.join("; "),
    }
}
