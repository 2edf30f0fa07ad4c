//! Rows: the equations of an estimation, each a function of the state with a value and a sigma.

/// What a row says of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Voltage magnitude of a node.
    Magnitude(usize),
    /// Voltage angle of a node in radians.
    Angle(usize),
    /// Active power into a node, everything that stands there.
    ActiveInjection(usize),
    /// Reactive power into a node, everything that stands there.
    ReactiveInjection(usize),
    /// Active power from the node into a terminal.
    ActiveFlow(usize),
    /// Reactive power from the node into a terminal.
    ReactiveFlow(usize),
    /// Magnitude of the current of a terminal.
    Current(usize),
    /// Angle of the current of a terminal in radians.
    CurrentAngle(usize),
    /// Nothing: that two meters of the same quantity agree. Its expected value is zero.
    Agreement,
}

impl What {
    /// True of angles, whose differences wrap around.
    pub fn is_angle(self) -> bool {
        matches!(self, What::Angle(_) | What::CurrentAngle(_))
    }
}

/// An equation of an estimation.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it says.
    pub what: What,
    /// The measurements it is made of, by position, each with its factor: one, as a rule; all
    /// meters of a node where its total is meant.
    pub members: Vec<(usize, f64)>,
    /// The measured value per unit.
    pub value: f64,
    /// Its standard deviation per unit.
    pub sigma: f64,
    /// False while it is left out.
    pub active: bool,
}

/// An angle difference brought into (-π, π].
pub(super) fn wrapped(difference: f64) -> f64 {
    use std::f64::consts::PI;
    if difference.abs() <= PI {
        return difference;
    }
    difference - 2.0 * PI * (difference / (2.0 * PI)).round()
}
