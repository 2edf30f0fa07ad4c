//! Slots: what the estimator is given, one measurement each, and what fills them at an instant.
//!
//! An injection has two slots, active and reactive, whoever measures it: so a meter that falls
//! silent gives way to a stand-in without a change of the equations.

use crate::estimation::tracker::Point;
use crate::estimation::tracker::Tracker;
use crate::measurement::Quantity;
use crate::measurement::Target;
use crate::model::Holds;
use crate::model::Model;

/// What a slot is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    /// One point alone.
    Point(usize),
    /// A power of an injection, measured by these points or stood in for.
    Injection {
        /// The injection.
        injection: usize,
        /// True for the reactive one.
        reactive: bool,
        /// Points that measure it.
        points: Vec<usize>,
    },
    /// The magnitude at a source's bus as the last tick left it.
    Prior(usize),
}

/// Where a slot's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From a point, of this instant.
    Point(usize, u64),
    /// From what stands in for an injection.
    StandIn(usize),
    /// From the state before.
    Prior,
}

impl Origin {
    /// When it was said, where it was.
    pub(super) fn said_at(self) -> Option<u64> {
        match self {
            Origin::Point(_, at_ms) => Some(at_ms),
            Origin::StandIn(_) | Origin::Prior => None,
        }
    }
}

/// What fills a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Filling {
    pub value: f64,
    pub sigma: f64,
    pub origin: Origin,
}

impl Slot {
    /// All slots of a model with its points.
    pub(super) fn all(model: &Model, points: &[Point]) -> Vec<Slot> {
        let mut slots = Vec::new();
        let measures = |injection: usize, quantity: Quantity| -> Vec<usize> {
            let all = points.iter().enumerate();
            let at =
                |point: &Point| matches!(point.target, Target::Injection(i) if i.0 == injection);
            let of = all.filter(|(_, point)| at(point) && point.quantity == quantity);
            of.map(|(number, _)| number).collect()
        };
        for (number, point) in points.iter().enumerate() {
            if !matches!(point.target, Target::Injection(_)) {
                slots.push(Slot::Point(number));
            }
        }
        for (injection, own) in model.injections.iter().enumerate() {
            for (quantity, reactive) in
                [(Quantity::ActivePower, false), (Quantity::ReactivePower, true)]
            {
                let points = measures(injection, quantity);
                let source = matches!(own.holds, Holds::Voltage(_));
                if !(source && points.is_empty()) {
                    slots.push(Slot::Injection { injection, reactive, points });
                }
            }
        }
        let mut buses: Vec<usize> = model
            .injections
            .iter()
            .filter(|i| i.in_service && matches!(i.holds, Holds::Voltage(_)))
            .map(|i| i.bus)
            .collect();
        buses.sort_unstable();
        buses.dedup();
        slots.extend(buses.into_iter().map(Slot::Prior));
        slots
    }
}

impl Point {
    /// The standard deviation at an instant of a value of `at_ms` that was `fresh` then; nothing
    /// where it is stale.
    pub(super) fn sigma_at(&self, fresh: f64, at_ms: u64, now_ms: u64) -> Option<f64> {
        let age_ms = now_ms.saturating_sub(at_ms);
        if age_ms > self.stale_after_ms {
            return None;
        }
        Some(aged(fresh, self.drift_per_s, age_ms, self.averaged_over_ms))
    }
}

/// The standard deviation at an age of a value that was `fresh`, and is the mean of so long.
pub(crate) fn aged(fresh: f64, drift_per_s: f64, age_ms: u64, averaged_over_ms: u64) -> f64 {
    let averaged_s = averaged_over_ms as f64 / 1e3;
    let drift = drift_per_s * (age_ms as f64 / 1e3 + averaged_s / 2.0);
    let within = drift_per_s * averaged_s;
    (fresh * fresh + drift * drift + within * within / 12.0).sqrt()
}

impl Tracker {
    /// What fills a slot at an instant; nothing where nobody says anything.
    pub(super) fn fill(&self, number: usize, slot: &Slot, now_ms: u64) -> Option<Filling> {
        match slot {
            Slot::Point(point) => self.hear(*point, now_ms),
            Slot::Injection { injection, reactive, points } => {
                let held = self.held_out.contains_key(&number);
                let heard = points.iter().filter_map(|&point| self.hear(point, now_ms));
                let surest = heard.min_by(|a, b| a.sigma.total_cmp(&b.sigma));
                let stand_in = self.stand_ins.get(injection).map(|stand_in| Filling {
                    value: if *reactive { stand_in.s.im } else { stand_in.s.re },
                    sigma: if *reactive { stand_in.sigma.im } else { stand_in.sigma.re },
                    origin: Origin::StandIn(*injection),
                });
                match (surest, stand_in) {
                    // What is not believed does not come back because nothing else is there.
                    (_, stand_in) if held => stand_in,
                    (Some(heard), Some(stand_in)) if stand_in.sigma < heard.sigma => Some(stand_in),
                    (heard, stand_in) => heard.or(stand_in),
                }
            }
            Slot::Prior(bus) => {
                let (at_ms, (value, variance)) =
                    self.sources.get(bus)?.at(now_ms.checked_sub(1)?)?;
                let passed_s = (now_ms - at_ms) as f64 / 1e3;
                let walk = self.settings.source_walk;
                let sigma = (variance + walk * walk * passed_s).sqrt();
                (walk > 0.0).then_some(Filling { value, sigma, origin: Origin::Prior })
            }
        }
    }

    /// The latest word of a point at an instant; nothing where it is stale.
    pub(super) fn hear(&self, point: usize, now_ms: u64) -> Option<Filling> {
        let (at_ms, (value, fresh)) = self.values[point].at(now_ms)?;
        let sigma = self.points[point].sigma_at(fresh, at_ms, now_ms)?;
        Some(Filling { value, sigma, origin: Origin::Point(point, at_ms) })
    }
}
