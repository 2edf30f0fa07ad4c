//! A tick: fill, solve, doubt, settle.
//!
//! Doubt is one row at a time, the most contradicted first, each time from a new estimate. What is
//! left out stays so, as a slot, until it has agreed for some ticks; a prior or a forecast that is
//! contradicted is left out for the tick alone.

use crate::estimation::bad_data::ChiSquare;
use crate::estimation::estimator::Outcome;
use crate::estimation::row::Row;
use crate::estimation::row::wrapped;
use crate::estimation::tracker::Report;
use crate::estimation::tracker::Suspect;
use crate::estimation::tracker::Tracker;
use crate::estimation::tracker::Verdict;
use crate::estimation::tracker::engine::Engine;
use crate::estimation::tracker::engine::bus_of;
use crate::estimation::tracker::engine::vanishes_when_dead;
use crate::estimation::tracker::slot::Filling;
use crate::estimation::tracker::slot::Origin;
use crate::estimation::tracker::slot::Slot;

/// Most rows that are left out in one tick; where more are bad, nothing can be said of any.
const LEFT_OUT_MAX: usize = 12;

/// Standard deviations within which a value that was left out agrees again.
const AGREES: f64 = 2.0;

/// Ticks in a row for which it must agree before it counts again.
const AGREES_FOR: u32 = 3;

/// How much more a row must lower the sum of squares than another to be told apart from it: the
/// 99 % quantile of chi-square with one degree.
const TOLD_APART: f64 = 6.63;

/// How sure one is of bad data where the sum of squares is called too large.
const CONFIDENCE: f64 = 0.99;

impl Tracker {
    /// Runs a tick on an engine. Only a live one moves what is remembered.
    pub(super) fn run(&mut self, engine: &mut Engine, at_ms: u64, live: bool) -> Report {
        let mut fillings = self.fillings(engine, at_ms);
        let mut suspects = self.implausible(engine, &fillings);
        suspects.extend(self.live_on_dead(engine, &fillings, at_ms));
        if live && engine.started {
            suspects.extend(self.innovations(engine, &fillings, at_ms));
        }
        engine.put(&fillings);
        let mut outcome = engine.solve(&self.settings);
        for _ in 0..LEFT_OUT_MAX {
            if !outcome.is_solved() || !self.doubt(engine, &mut fillings, at_ms, &mut suspects) {
                break;
            }
            outcome = engine.solve(&self.settings);
        }
        let refreshed = !is_chord(&outcome) || !suspects.is_empty() || engine.settled;
        if refreshed && !engine.settled {
            engine.settle();
        }
        if live {
            self.remember(engine, &outcome, at_ms);
        }
        suspects.extend(self.still_held_out(engine, &fillings, at_ms, &suspects));
        suspects.sort_by_key(|suspect| (suspect.point, suspect.verdict));
        suspects.dedup_by_key(|suspect| (suspect.point, suspect.verdict));
        self.report(engine, at_ms, outcome, suspects, &fillings, refreshed)
    }

    fn report(
        &self,
        engine: &mut Engine,
        at_ms: u64,
        outcome: Outcome,
        suspects: Vec<Suspect>,
        fillings: &[Option<Filling>],
        refreshed: bool,
    ) -> Report {
        let solved = outcome.is_solved();
        let mut stood_in: Vec<usize> = fillings
            .iter()
            .flatten()
            .filter_map(|filling| match filling.origin {
                Origin::StandIn(injection) => Some(injection),
                _ => None,
            })
            .collect();
        stood_in.dedup();
        let unobservable = (0..self.model.bus_kv.len())
            .filter(|&bus| engine.energised(bus) && engine.voltage(bus).is_none())
            .collect();
        let estimator = engine.estimator.as_mut().filter(|_| solved);
        let test = estimator.map(|estimator| ChiSquare::of(estimator, CONFIDENCE));
        Report {
            at_ms,
            outcome,
            moved: Vec::new(),
            voltages: Vec::new(),
            objective: test.map_or(f64::NAN, |test| test.objective),
            degrees_of_freedom: test.map_or(0, |test| test.freedom),
            objective_limit: test.map_or(0.0, |test| test.limit),
            suspects,
            unobservable,
            stood_in,
            refreshed,
        }
    }

    fn fillings(&self, engine: &Engine, at_ms: u64) -> Vec<Option<Filling>> {
        let slots = engine.slots.iter().enumerate();
        slots
            .map(|(number, slot)| match slot {
                Slot::Point(_) if self.held_out.contains_key(&number) => None,
                _ => self.fill(number, slot, at_ms),
            })
            .collect()
    }

    /// Leaves out the row that is contradicted most; false if none is beyond the threshold.
    fn doubt(
        &mut self,
        engine: &mut Engine,
        fillings: &mut [Option<Filling>],
        at_ms: u64,
        suspects: &mut Vec<Suspect>,
    ) -> bool {
        let Some((row, limit, mut normalised)) = self.worst(engine) else { return false };
        let (mut row, mut limit) = (row, limit);
        if !engine.settled {
            // Denominators of a factor from before are good enough to see that all is well, not to
            // accuse: those of a small current turn with its angle.
            engine.settle();
            let Some(again) = self.worst(engine) else { return false };
            (row, limit, normalised) = again;
        }
        let deviations = normalised[row].abs();
        let alike = self.alike(engine, row, &normalised, limit);
        if let Some(prior) = prior_among(engine, &alike) {
            // Memory against what is measured now: nobody is accused.
            fillings[prior] = None;
            engine.put(fillings);
            return true;
        }
        if !alike.is_empty() {
            suspects.extend(undecided(engine, fillings, &alike, &normalised));
            return false;
        }
        let Some(estimator) = &mut engine.estimator else { return false };
        let residual = estimator.residuals()[row];
        let members = estimator.rows()[row].members.clone();
        // Of several meters that make one total, the least certain one is the likeliest.
        let least = |slot: &usize| fillings[*slot].map_or(0.0, |filling| filling.sigma);
        let slot = members.iter().map(|&(slot, _)| slot);
        let slot = slot.max_by(|a, b| least(a).total_cmp(&least(b)));
        let Some(slot) = slot else { return false };
        match fillings[slot].map(|filling| (filling, filling.origin)) {
            Some((filling, Origin::Point(point, _))) => {
                let expected = filling.value - residual;
                let (value, verdict) = (filling.value, Verdict::Residual);
                suspects.push(Suspect { point, verdict, value, expected, deviations });
                self.held_out.insert(slot, 0);
                fillings[slot] = match &engine.slots[slot] {
                    Slot::Point(_) => None,
                    other => self.fill(slot, other, at_ms).filter(|f| f.origin != filling.origin),
                };
            }
            // A prior or a forecast that is contradicted is wrong: it is left out for this tick.
            _ => fillings[slot] = None,
        }
        engine.put(fillings);
        true
    }

    /// The row with the largest normalised residual, the limit, and all of them; nothing where
    /// none is beyond the limit.
    fn worst(&self, engine: &mut Engine) -> Option<(usize, f64, Vec<f64>)> {
        let estimator = engine.estimator.as_mut()?;
        let normalised = estimator.normalised_residuals();
        let active = estimator.rows().iter().filter(|row| row.active).count();
        let limit = estimator.limits.residual(active, self.settings.false_alarms);
        let sizes = normalised.iter().map(|n| n.abs()).enumerate();
        let (row, _) = sizes.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|&(_, n)| n > limit)?;
        Some((row, limit, normalised))
    }

    /// Rows that explain what contradicts as well as the worst row does, and that row: what leaving
    /// it out lowers the sum of squares by is the square of its normalised residual, so a rival is
    /// within [`TOLD_APART`] of it, and fits once the worst is left out. None where it is alone.
    fn alike(&self, engine: &mut Engine, row: usize, normalised: &[f64], limit: f64) -> Vec<usize> {
        let worst = normalised[row].powi(2);
        let near = |n: f64| n.abs() > limit && worst - n * n < TOLD_APART;
        let rivals = normalised.iter().enumerate().filter(|&(at, &n)| at != row && near(n));
        let mut rivals: Vec<usize> = rivals.map(|(at, _)| at).collect();
        let Some(estimator) = engine.estimator.as_mut().filter(|_| !rivals.is_empty()) else {
            return Vec::new();
        };
        engine.settled = false;
        let state = estimator.state();
        estimator.set_active(row, false);
        if estimator.track(&self.settings.solver).is_solved() {
            let without = estimator.normalised_residuals();
            rivals.retain(|&rival| without[rival].abs() < limit);
        } else {
            rivals.clear();
        }
        estimator.set_active(row, true);
        estimator.set_state(&state);
        if rivals.is_empty() {
            return rivals;
        }
        rivals.push(row);
        rivals.sort_unstable();
        rivals
    }

    /// Values that their elements cannot have.
    fn implausible(&self, engine: &Engine, fillings: &[Option<Filling>]) -> Vec<Suspect> {
        let heard = heard(engine, fillings);
        heard
            .filter_map(|(_, point, filling)| {
                let (least, greatest) = self.points[point].range;
                let expected = filling.value.clamp(least, greatest);
                let deviations = (filling.value - expected).abs() / filling.sigma;
                let (value, verdict) = (filling.value, Verdict::Implausible);
                let suspect = Suspect { point, verdict, value, expected, deviations };
                (deviations > self.settings.innovation).then_some(suspect)
            })
            .collect()
    }

    /// Voltage, current or power where the switches leave none.
    fn live_on_dead(
        &self,
        engine: &Engine,
        fillings: &[Option<Filling>],
        at_ms: u64,
    ) -> Vec<Suspect> {
        let heard = heard(engine, fillings);
        let switched_at = self.switched_at(at_ms);
        heard
            .filter(|(_, _, filling)| filling.origin.said_at() >= Some(switched_at))
            .filter_map(|(_, point, filling)| {
                let of = &self.points[point];
                let dead = !engine.energised(bus_of(&self.model, of.target));
                let deviations = filling.value.abs() / filling.sigma;
                let speaks = dead && vanishes_when_dead(of.quantity);
                let (value, verdict) = (filling.value, Verdict::DeadButLive);
                let suspect = Suspect { point, verdict, value, expected: 0.0, deviations };
                (speaks && deviations > self.settings.innovation).then_some(suspect)
            })
            .collect()
    }

    /// Fresh values that are far from what the state before, or a forecast, lets expect.
    fn innovations(
        &self,
        engine: &mut Engine,
        fillings: &[Option<Filling>],
        at_ms: u64,
    ) -> Vec<Suspect> {
        let Some(last_at) = self.last_at else { return Vec::new() };
        let Some(estimator) = &mut engine.estimator else { return Vec::new() };
        let before = estimator.values();
        let variances = estimator.residual_variances().to_vec();
        let passed_s = at_ms.saturating_sub(last_at) as f64 / 1e3;
        let mut suspects = Vec::new();
        for (number, row) in estimator.rows().iter().enumerate() {
            let &[(slot, factor)] = row.members.as_slice() else { continue };
            let Some(filling) = fillings[slot] else { continue };
            let Origin::Point(point, said_at) = filling.origin else { continue };
            // An angle turns with the frequency, all of them together: that is no news of a point.
            if said_at <= last_at || !row.active || row.what.is_angle() {
                continue;
            }
            let mut expected = before[number] * factor;
            let drift = self.points[point].drift_per_s * passed_s;
            // The estimate's own variance is what the residual's lacks of the row's.
            let estimated = engine.factor_sigma[number].powi(2) - variances[number];
            let mut variance = filling.sigma.powi(2) + drift * drift + estimated.max(0.0);
            if let Slot::Injection { injection, reactive, .. } = &engine.slots[slot]
                && let Some(stand_in) = self.stand_ins.get(injection)
            {
                let (s, sigma) = (stand_in.s, stand_in.sigma);
                expected = if *reactive { s.im } else { s.re };
                let sigma = if *reactive { sigma.im } else { sigma.re };
                variance = filling.sigma.powi(2) + sigma * sigma;
            }
            let off = filling.value - expected;
            let deviations = off.abs() / variance.sqrt();
            if deviations > self.settings.innovation {
                let (value, verdict) = (filling.value, Verdict::Innovation);
                suspects.push(Suspect { point, verdict, value, expected, deviations });
            }
        }
        suspects
    }

    /// Points that are left out: those that agree again are let back.
    fn still_held_out(
        &mut self,
        engine: &mut Engine,
        fillings: &[Option<Filling>],
        at_ms: u64,
        new: &[Suspect],
    ) -> Vec<Suspect> {
        let Some(estimator) = engine.estimator.as_mut().filter(|_| engine.started) else {
            return Vec::new();
        };
        if self.held_out.is_empty() {
            return Vec::new();
        }
        let values = estimator.values();
        let variances = estimator.residual_variances().to_vec();
        let mut suspects = Vec::new();
        for (number, row) in estimator.rows().iter().enumerate() {
            // The variance of the estimate is what the residual's has more or less than the row's.
            let estimated = (engine.factor_sigma[number].powi(2) - variances[number]).abs();
            for &(slot, factor) in &row.members {
                let Some(&agreed) = self.held_out.get(&slot) else { continue };
                let points: &[usize] = match &engine.slots[slot] {
                    Slot::Point(point) => std::slice::from_ref(point),
                    Slot::Injection { points, .. } => points,
                    Slot::Prior(_) => continue,
                };
                let heard =
                    points.iter().filter_map(|&point| Some((point, self.hear(point, at_ms)?)));
                let Some((point, filling)) = heard.min_by(|a, b| a.1.sigma.total_cmp(&b.1.sigma))
                else {
                    continue;
                };
                let Some((rest, spread)) = rest_of(row, slot, fillings) else { continue };
                let expected = (values[number] - rest) / factor;
                let mut off = filling.value - expected;
                if row.what.is_angle() {
                    off = wrapped(off);
                }
                let variance = filling.sigma.powi(2) + (estimated + spread) / (factor * factor);
                let deviations = off.abs() / variance.sqrt();
                let agreed = if deviations < AGREES { agreed + 1 } else { 0 };
                if agreed >= AGREES_FOR {
                    self.held_out.remove(&slot);
                } else {
                    self.held_out.insert(slot, agreed);
                }
                if !new.iter().any(|s| s.point == point && s.verdict == Verdict::Residual) {
                    let (value, verdict) = (filling.value, Verdict::HeldOut);
                    suspects.push(Suspect { point, verdict, value, expected, deviations });
                }
            }
        }
        suspects
    }

    /// What later ticks start from.
    fn remember(&mut self, engine: &mut Engine, outcome: &Outcome, at_ms: u64) {
        if !outcome.is_solved() {
            return;
        }
        for at in 0..engine.slots.len() {
            let Slot::Prior(bus) = engine.slots[at] else { continue };
            let deviation = engine.deviation(bus).0;
            if let Some(v) = engine.voltage(bus)
                && engine.energised(bus)
                && deviation.is_finite()
            {
                let history = self.sources.entry(bus).or_default();
                history.put(at_ms, (v.abs(), deviation * deviation));
            }
        }
    }
}

/// What the other members of a row add up to, and the variance of that; nothing where one of them
/// is silent.
fn rest_of(row: &Row, slot: usize, fillings: &[Option<Filling>]) -> Option<(f64, f64)> {
    let mut others = row.members.iter().filter(|&&(other, _)| other != slot);
    others.try_fold((0.0, 0.0), |(sum, variance), &(other, factor)| {
        let filling = fillings[other]?;
        let sigma = factor * filling.sigma;
        Some((sum + factor * filling.value, variance + sigma * sigma))
    })
}

/// The slot of a prior that is among rows.
fn prior_among(engine: &Engine, rows: &[usize]) -> Option<usize> {
    let estimator = engine.estimator.as_ref()?;
    let mut slots = rows.iter().flat_map(|&row| &estimator.rows()[row].members);
    let prior = slots.find(|&&(slot, _)| matches!(engine.slots[slot], Slot::Prior(_)));
    prior.map(|&(slot, _)| slot)
}

/// The points of rows that cannot be told apart.
fn undecided(
    engine: &mut Engine,
    fillings: &[Option<Filling>],
    alike: &[usize],
    normalised: &[f64],
) -> Vec<Suspect> {
    let Some(estimator) = &mut engine.estimator else { return Vec::new() };
    let residuals = estimator.residuals();
    let mut suspects = Vec::new();
    for &row in alike {
        for &(slot, _) in &estimator.rows()[row].members {
            let Some(filling) = fillings[slot] else { continue };
            let Origin::Point(point, _) = filling.origin else { continue };
            let (value, expected) = (filling.value, filling.value - residuals[row]);
            let (verdict, deviations) = (Verdict::Undecided, normalised[row].abs());
            suspects.push(Suspect { point, verdict, value, expected, deviations });
        }
    }
    suspects
}

/// Slots that are filled by a point.
fn heard<'a>(
    engine: &'a Engine,
    fillings: &'a [Option<Filling>],
) -> impl Iterator<Item = (usize, usize, Filling)> + 'a {
    engine.slots.iter().enumerate().filter_map(|(slot, _)| {
        let filling = fillings[slot]?;
        match filling.origin {
            Origin::Point(point, _) => Some((slot, point, filling)),
            _ => None,
        }
    })
}

/// True if a solution needed no new factor.
fn is_chord(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Solved { factorisations: 0, .. })
}
