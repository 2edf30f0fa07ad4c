//! Slots: what the estimator is given, one measurement each, and what fills them at an instant.
//!
//! What is injected at a node has two slots, active and reactive, whoever measures it: so a meter
//! that falls silent gives way to a stand-in without a change of the equations.

use std::collections::BTreeSet;

use crate::estimation::tracker::aged;
use crate::measurement::Quantity;
use crate::three_phase::Estimate;
use crate::three_phase::Network;
use crate::three_phase::estimate::SOURCE_ANGLE_RAD;
use crate::three_phase::measurement::Target;
use crate::three_phase::tracker::Point;
use crate::three_phase::tracker::Tracker;

/// The standard deviation of a slot that no point fills, before anything does, per unit.
const USUAL: f64 = 0.01;

/// What a slot is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    /// One point alone.
    Point(usize),
    /// A power that is injected at a node, measured by these points or stood in for.
    Injection {
        /// The node.
        node: usize,
        /// True for the reactive one.
        reactive: bool,
        /// Points that measure it.
        points: Vec<usize>,
    },
    /// The angle of a source's node without load.
    Source(usize),
}

/// Where a slot's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From a point, of this instant.
    Point(usize, u64),
    /// From what stands in at a node.
    StandIn(usize),
    /// From the network as it is without load.
    Network,
}

impl Origin {
    /// The node that something stood in at.
    pub(super) fn stand_in(self) -> Option<usize> {
        match self {
            Origin::StandIn(node) => Some(node),
            Origin::Point(..) | Origin::Network => None,
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
    /// All slots of a network with its points.
    pub(super) fn all(network: &Network, points: &[Point]) -> Vec<Slot> {
        let power = |point: &Point| {
            matches!(point.quantity, Quantity::ActivePower | Quantity::ReactivePower)
                && matches!(point.target, Target::Node(_))
        };
        let alone = (0..points.len()).filter(|&point| !power(&points[point]));
        let mut slots: Vec<Slot> = alone.map(Slot::Point).collect();
        let idle: BTreeSet<usize> = network.zero_injection_nodes().into_iter().collect();
        let sources: BTreeSet<usize> = network.source_nodes().into_iter().collect();
        for node in (0..network.nodes.len()).filter(|node| !idle.contains(node)) {
            for (quantity, reactive) in
                [(Quantity::ActivePower, false), (Quantity::ReactivePower, true)]
            {
                let measures = |point: &Point| {
                    point.target == Target::Node(node) && point.quantity == quantity
                };
                let points: Vec<usize> =
                    (0..points.len()).filter(|&point| measures(&points[point])).collect();
                if !(sources.contains(&node) && points.is_empty()) {
                    slots.push(Slot::Injection { node, reactive, points });
                }
            }
        }
        slots.extend(sources.into_iter().map(Slot::Source));
        slots
    }

    /// What is measured, where, and how well as a rule, per unit or radians.
    pub(super) fn measures(&self, points: &[Point]) -> (Quantity, Target, f64) {
        match self {
            Slot::Point(point) => {
                let point = &points[*point];
                (point.quantity, point.target, point.sigma)
            }
            Slot::Injection { node, reactive, points: of } => {
                let quantity =
                    if *reactive { Quantity::ReactivePower } else { Quantity::ActivePower };
                let sigma = of.first().map_or(USUAL, |&point| points[point].sigma);
                (quantity, Target::Node(*node), sigma)
            }
            Slot::Source(node) => (Quantity::VoltageAngle, Target::Node(*node), SOURCE_ANGLE_RAD),
        }
    }
}

impl Tracker {
    /// What fills every slot at an instant; nothing where nobody says anything.
    pub(super) fn fillings(
        &self,
        estimate: &Estimate,
        angles: &[f64],
        now_ms: u64,
    ) -> Vec<Option<Filling>> {
        let mut fillings: Vec<Option<Filling>> =
            self.slots.iter().map(|slot| self.fill(slot, angles, now_ms)).collect();
        let turned: BTreeSet<usize> = (self.slots.iter().zip(&fillings))
            .filter_map(|(slot, filling)| {
                let (Slot::Point(point), true) = (slot, filling.is_some()) else { return None };
                let of = &self.points[*point];
                let angle = matches!(of.quantity, Quantity::VoltageAngle | Quantity::CurrentAngle);
                estimate.island(of.node()).filter(|_| angle)
            })
            .collect();
        for (slot, filling) in self.slots.iter().zip(&mut fillings) {
            let Slot::Source(node) = slot else { continue };
            if estimate.island(*node).is_none_or(|island| turned.contains(&island)) {
                *filling = None;
            }
        }
        fillings
    }

    fn fill(&self, slot: &Slot, angles: &[f64], now_ms: u64) -> Option<Filling> {
        match slot {
            Slot::Point(point) => self.hear(*point, now_ms),
            Slot::Injection { node, reactive, points } => {
                let heard = points.iter().filter_map(|&point| self.hear(point, now_ms));
                let surest = heard.min_by(|a, b| a.sigma.total_cmp(&b.sigma));
                let stand_in = self.stand_ins.get(node).map(|stand_in| Filling {
                    value: if *reactive { stand_in.s.im } else { stand_in.s.re },
                    sigma: if *reactive { stand_in.sigma.im } else { stand_in.sigma.re },
                    origin: Origin::StandIn(*node),
                });
                match (surest, stand_in) {
                    (Some(heard), Some(stand_in)) if stand_in.sigma < heard.sigma => Some(stand_in),
                    (heard, stand_in) => heard.or(stand_in),
                }
            }
            Slot::Source(node) => Some(Filling {
                value: angles[*node],
                sigma: SOURCE_ANGLE_RAD,
                origin: Origin::Network,
            }),
        }
    }

    /// The latest word of a point at an instant; nothing where it is stale.
    fn hear(&self, point: usize, now_ms: u64) -> Option<Filling> {
        let (at_ms, (value, fresh)) = self.values[point].at(now_ms)?;
        let of = &self.points[point];
        let age_ms = now_ms.saturating_sub(at_ms);
        let sigma = aged(fresh, of.drift_per_s, age_ms, of.averaged_over_ms);
        let heard = Filling { value, sigma, origin: Origin::Point(point, at_ms) };
        (age_ms <= of.stale_after_ms).then_some(heard)
    }
}
