//! Many scenarios of one network: other loads and generation, the same switches.
//!
//! Scenarios go side by side in groups (structure of arrays, the scenario innermost), groups go to
//! threads. All start from the base solution. What a group cannot solve is solved on its own by
//! every means that [`PowerFlow`] has, and if that fails it is an outcome like any other.
//!
//! **Bounds:** results take 16 bytes a node and scenario; a thread works in about
//! `LANES · (32 · blocks + 100 · nodes)` bytes.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Mutex;

use crate::complex::Complex;
use crate::model::Holds;
use crate::network::Zip;
use crate::power_flow::Outcome;
use crate::power_flow::PowerFlow;
use crate::power_flow::Settings;
use crate::power_flow::Start;
use crate::power_flow::group::Group;
use crate::power_flow::newton::Newton;
use crate::power_flow::system::System;
use crate::power_flow::system::shares;

/// Scenarios side by side: eight doubles are one or two registers of today's processors.
const LANES: usize = 8;

/// What differs from scenario to scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenarios<'a> {
    /// The injections whose power differs.
    pub injections: &'a [usize],
    /// Their powers per unit, scenario by scenario: as many as injections times scenarios.
    pub powers: &'a [Complex],
}

impl<'a> Scenarios<'a> {
    /// How many there are.
    pub fn count(&self) -> usize {
        if self.injections.is_empty() { 0 } else { self.powers.len() / self.injections.len() }
    }

    fn powers_of(&self, scenario: usize) -> &'a [Complex] {
        let each = self.injections.len();
        &self.powers[scenario * each..(scenario + 1) * each]
    }
}

/// What came of a batch.
#[derive(Clone, Debug)]
pub struct Solutions {
    /// One a scenario.
    pub outcomes: Vec<Outcome>,
    place_of_bus: Vec<u32>,
    places: usize,
    v: Vec<Complex>,
}

impl Solutions {
    /// The voltage of a bus in a scenario, per unit: zero where dead, NaN where nothing is solved.
    pub fn voltage(&self, scenario: usize, bus: usize) -> Complex {
        self.v[scenario * self.places + self.place_of_bus[bus] as usize]
    }
}

/// A base to solve scenarios from.
#[derive(Clone, Debug)]
pub struct Batch {
    base: PowerFlow,
    settings: Settings,
    /// What came of the base itself.
    pub base_outcome: Outcome,
}

/// Where the power of an injection goes.
#[derive(Clone, Copy, Debug)]
struct Goes {
    place: usize,
    /// Its place in the list of what follows voltages.
    follows: Option<usize>,
    base: Complex,
    zip: Zip,
    /// False if only active power counts.
    reactive: bool,
}

impl Batch {
    /// A batch on the switches, taps and powers of a power flow, which is solved first.
    pub fn new(base: &PowerFlow, settings: Settings) -> Batch {
        let mut base = base.clone();
        let base_outcome = base.solve(Start::Warm, &settings);
        if base_outcome.solved() {
            base.newton.refactor(&mut base.system);
        }
        Batch { base, settings, base_outcome }
    }

    /// Solves scenarios on so many threads, this one among them.
    ///
    /// # Errors
    /// A thread cannot be started.
    ///
    /// # Panics
    /// An injection is not in the model, or there are not as many powers as injections times
    /// scenarios.
    pub fn solve(&self, scenarios: Scenarios<'_>, threads: NonZeroUsize) -> io::Result<Solutions> {
        let count = scenarios.count();
        let each = scenarios.injections.len();
        assert_eq!(scenarios.powers.len(), count * each, "one power an injection and scenario");
        let places = self.base.system.plan.pattern.rows();
        let buses = 0..self.base.model.bus_kv.len();
        let mut solutions = Solutions {
            outcomes: vec![Outcome::NoSource; count],
            place_of_bus: buses.map(|bus| self.base.place(bus) as u32).collect(),
            places,
            v: vec![Complex::ZERO; count * places],
        };
        if self.base_outcome == Outcome::NoSource || places == 0 {
            return Ok(solutions);
        }
        let outcomes = solutions.outcomes.chunks_mut(LANES);
        let work = solutions.v.chunks_mut(LANES * places).zip(outcomes).enumerate();
        let work = Mutex::new(work);
        let goes = self.goes(scenarios.injections);
        let run = || {
            let mut worker = Worker::new(self, scenarios, &goes);
            loop {
                let next = work.lock().expect("no holder of the lock panics").next();
                let Some((group, (v, outcomes))) = next else { return };
                worker.solve(group * LANES, v, outcomes);
            }
        };
        std::thread::scope(|scope| {
            for number in 1..threads.get().min(count.div_ceil(LANES)) {
                let name = format!("power-flow-{number}");
                std::thread::Builder::new().name(name).spawn_scoped(scope, run)?;
            }
            run();
            Ok::<(), io::Error>(())
        })?;
        Ok(solutions)
    }

    /// Where powers go; nothing for those that do not count.
    fn goes(&self, injections: &[usize]) -> Vec<Option<Goes>> {
        let model = &self.base.model;
        let mut follows = vec![None; model.injections.len()];
        let mut next = 0;
        for (i, injection) in model.injections.iter().enumerate() {
            let there = injection.in_service && model.bus_in_service[injection.bus];
            if there && injection.holds == Holds::Power && injection.zip != Zip::POWER {
                follows[i] = Some(next);
                next += 1;
            }
        }
        let one = |&i: &usize| {
            let injection = &model.injections[i];
            let there = injection.in_service && model.bus_in_service[injection.bus];
            let counts = there && !matches!(injection.holds, Holds::Voltage(_));
            counts.then(|| Goes {
                place: self.base.place(injection.bus),
                follows: follows[i],
                base: injection.s,
                zip: injection.zip,
                reactive: injection.holds == Holds::Power,
            })
        };
        injections.iter().map(one).collect()
    }
}

/// What a thread works with.
struct Worker<'a> {
    batch: &'a Batch,
    scenarios: Scenarios<'a>,
    goes: &'a [Option<Goes>],
    group: Group<LANES>,
    /// For what the group cannot solve; made when it is first needed.
    alone: Option<PowerFlow>,
}

impl<'a> Worker<'a> {
    fn new(batch: &'a Batch, scenarios: Scenarios<'a>, goes: &'a [Option<Goes>]) -> Worker<'a> {
        let group = Group::new(&batch.base.system);
        Worker { batch, scenarios, goes, group, alone: None }
    }

    /// Solves as many scenarios as there are outcomes.
    fn solve(&mut self, first: usize, v: &mut [Complex], outcomes: &mut [Outcome]) {
        let Batch { base, settings, base_outcome } = self.batch;
        let PowerFlow { system, newton, .. } = base;
        let together = base_outcome.solved() && newton.factored && !settings.q_limits;
        let done = if together {
            self.together(first, outcomes.len(), system, newton)
        } else {
            [false; LANES]
        };
        let places = system.plan.pattern.rows();
        for (lane, (v, outcome)) in v.chunks_mut(places).zip(outcomes).enumerate() {
            if done[lane] {
                *outcome = Outcome::Solved {
                    iterations: self.group.iterations[lane],
                    mismatch_pu: self.group.largest.0[lane],
                };
                for (v, lanes) in v.iter_mut().zip(&self.group.v) {
                    *v = Complex::new(lanes[0].0[lane], lanes[1].0[lane]);
                }
            } else {
                *outcome = self.alone(first + lane, v);
            }
        }
    }

    fn together(
        &mut self,
        first: usize,
        count: usize,
        system: &System,
        newton: &Newton,
    ) -> [bool; LANES] {
        self.group.reset(system, &newton.v);
        let goes = self.goes;
        for lane in 0..count {
            let powers = self.scenarios.powers_of(first + lane);
            for (goes, &s) in goes.iter().zip(powers) {
                let Some(goes) = goes else { continue };
                let more = s - goes.base;
                let more = if goes.reactive { more } else { Complex::new(more.re, 0.0) };
                self.add(goes, lane, more);
            }
        }
        let Settings { tolerance_pu, iterations_max, .. } = self.batch.settings;
        let mut done = self.group.solve(system, &newton.blocks, tolerance_pu, iterations_max);
        for (lane, done) in done.iter_mut().enumerate() {
            *done &= !self.suspect(lane, system);
        }
        done
    }

    fn add(&mut self, goes: &Goes, lane: usize, more: Complex) {
        let mut constant = more;
        if let Some(follows) = goes.follows {
            let [share, current, impedance] = shares(more, goes.zip);
            constant = share;
            let of = &mut self.group.follows[follows];
            for (part, share) in of.iter_mut().zip([current, impedance]) {
                part[0].0[lane] += share.re;
                part[1].0[lane] += share.im;
            }
        }
        let own = &mut self.group.constant[goes.place];
        own[0].0[lane] += constant.re;
        own[1].0[lane] += constant.im;
    }

    fn suspect(&self, lane: usize, system: &System) -> bool {
        let live = self.group.v.iter().zip(&system.kind);
        let vm_sqr = live.map(|(v, kind)| (v[0].0[lane].powi(2) + v[1].0[lane].powi(2), kind));
        crate::power_flow::rescue::lowest(vm_sqr) < crate::power_flow::rescue::LOW_VM_PU
    }

    fn alone(&mut self, scenario: usize, v: &mut [Complex]) -> Outcome {
        let flow = self.alone.get_or_insert_with(|| self.batch.base.clone());
        let powers = self.scenarios.powers_of(scenario);
        for (&injection, &s) in self.scenarios.injections.iter().zip(powers) {
            flow.set_power(injection, s);
        }
        let outcome = flow.solve(Start::Flat, &self.batch.settings);
        v.copy_from_slice(&flow.newton.v);
        outcome
    }
}
