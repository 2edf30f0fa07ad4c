//! Measurements of an unbalanced network, in SI units: the voltage of a node, what is injected at
//! it, or what flows at one conductor of an element.

use crate::measurement::Quantity;
use crate::measurement::Source;

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
