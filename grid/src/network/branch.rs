//! Branches: what connects two buses.
//!
//! A line is the π of its data sheet, with totals over its length. An [`Impedance`] is a π in per
//! unit with an ideal ratio at its from end, the form of MATPOWER's branch table (*MATPOWER User's
//! Manual*, section 3.2), and of whatever comes without a data sheet.
//!
//! ```text
//!            t:1      r + jx
//!   from ────)(────┬──[====]──┬──── to        t = tap_ratio · e^(j shift)
//!                  │          │
//!             (g+jb)/2   (g+jb)/2   (+ g_to + j b_to at the to end, g_from + j b_from at the from
//!                  ┴          ┴      end, outside the ratio)
//! ```

use crate::network::BusIndex;
use crate::network::Transformer;

/// A connection between two buses.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Its identifier.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// One end.
    pub from: BusIndex,
    /// The other end.
    pub to: BusIndex,
    /// What it is, for those who read.
    pub class: BranchClass,
    /// What it does to currents and voltages.
    pub parameters: Parameters,
    /// False if it is not there electrically.
    pub in_service: bool,
}

/// What a branch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BranchClass {
    /// An overhead line or cable.
    Line,
    /// A two-winding transformer.
    Transformer,
    /// Anything else: a reactor, an equivalent.
    Impedance,
}

/// How a branch is described.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameters {
    /// By ohms and siemens.
    Line(Line),
    /// By a name plate.
    Transformer(Box<Transformer>),
    /// In per unit.
    Impedance(Impedance),
}

/// A line or cable, whole length, all parallel systems together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Series resistance in ohm.
    pub r_ohm: f64,
    /// Series reactance in ohm.
    pub x_ohm: f64,
    /// Conductance to ground in siemens, both ends together.
    pub g_siemens: f64,
    /// Susceptance to ground in siemens, both ends together.
    pub b_siemens: f64,
    /// Rated current in kA, if it has one.
    pub rated_ka: Option<f64>,
}

/// A π in per unit of the network's power base and the nominal voltages of its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impedance {
    /// Series resistance.
    pub r_pu: f64,
    /// Series reactance.
    pub x_pu: f64,
    /// Conductance to ground, both halves together.
    pub g_pu: f64,
    /// Susceptance to ground, both halves together.
    pub b_pu: f64,
    /// The ideal ratio at the from end; 1 for none.
    pub tap_ratio: f64,
    /// The ideal shift at the from end in degrees: how far from leads to.
    pub shift_deg: f64,
    /// What else is at the from end to ground (conductance, susceptance).
    pub from_pu: (f64, f64),
    /// What else is at the to end to ground (conductance, susceptance).
    pub to_pu: (f64, f64),
    /// Rated current in kA at the to end, if it has one.
    pub rated_ka: Option<f64>,
}

impl Default for Impedance {
    fn default() -> Impedance {
        Impedance {
            r_pu: 0.0,
            x_pu: 0.0,
            g_pu: 0.0,
            b_pu: 0.0,
            tap_ratio: 1.0,
            shift_deg: 0.0,
            from_pu: (0.0, 0.0),
            to_pu: (0.0, 0.0),
            rated_ka: None,
        }
    }
}
