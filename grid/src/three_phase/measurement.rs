//! Measurements of an unbalanced network, in SI units: the voltage of a node, what is injected at
//! it, or what flows at one conductor of an element.

use crate::measurement::Quantity;
use crate::measurement::Source;
use crate::three_phase::Network;
use crate::three_phase::estimate::base_of;

/// Where it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// At a node: its voltage to ground, or everything that is injected at it.
    Node(usize),
    /// At the conductor of an element that is at a node.
    Conductor {
        /// The element.
        element: usize,
        /// The terminal, from 0.
        terminal: usize,
        /// The node.
        node: usize,
    },
}

/// One measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Its identifier.
    pub id: String,
    /// Where it comes from.
    pub source: Source,
    /// What is measured.
    pub quantity: Quantity,
    /// Where.
    pub target: Target,
    /// The value in volts, radians, watts, var or amperes; power is positive into the node or
    /// from the node into the element.
    pub value: f64,
    /// Its standard deviation in the same unit; above zero.
    pub sigma: f64,
}

impl Measurement {
    /// One per unit, with a standard deviation per unit, before anything is measured.
    pub(super) fn of_unit(
        network: &Network,
        base_va: f64,
        quantity: Quantity,
        target: Target,
        sigma: f64,
    ) -> Measurement {
        let node = match target {
            Target::Node(node) | Target::Conductor { node, .. } => node,
        };
        let base = base_of(network, base_va, quantity, node);
        let (id, source) = (String::new(), Source::Meter);
        Measurement { id, source, quantity, target, value: base, sigma: sigma * base }
    }
}
