//! Transformers by their name plates.
//!
//! With `s` the rated power and `s_base` the power base, on the base of the rated voltages:
//!
//! ```text
//! |z| = vk/100 · s_base/s       r = vkr/100 · s_base/s       x = √(|z|² - r²)
//! |y| = i0/100 · s/s_base       g = pfe/s_base               b = -√(|y|² - g²)
//! ```
//!
//! (IEC 60909-0, section 6.3, for z; the no-load test of IEC 60076-1 for y.) The ratio of rated to
//! nominal voltages, the taps, and the shift of the vector group make one complex ratio.

use crate::network::BusIndex;
use crate::network::Side;

/// The name plate of a two-winding transformer. The from end is its high-voltage winding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transformer {
    /// Rated power in MVA, of one unit.
    pub rated_mva: f64,
    /// Rated voltage of the winding at the from end in kV.
    pub from_kv: f64,
    /// Rated voltage of the winding at the to end in kV.
    pub to_kv: f64,
    /// Short-circuit voltage in percent.
    pub vk_percent: f64,
    /// Resistive part of the short-circuit voltage in percent.
    pub vkr_percent: f64,
    /// Iron losses in kW, of one unit.
    pub pfe_kw: f64,
    /// No-load current in percent of the rated current.
    pub i0_percent: f64,
    /// How far the to end lags the from end, in degrees: 30 times the clock number of its vector
    /// group (IEC 60076-1).
    pub shift_deg: f64,
    /// Its tap changers, if any.
    pub taps: Vec<Tap>,
    /// How many equal units stand side by side.
    pub parallel: u32,
    /// Where the magnetising branch stands.
    pub equivalent: Equivalent,
}

/// Where the magnetising branch stands in the equivalent circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Equivalent {
    /// At a star point between two halves of the series impedance.
    #[default]
    T,
    /// Half at each end.
    Pi,
}

/// A tap changer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tap {
    /// The winding it is in.
    pub side: Side,
    /// Where it stands.
    pub position: f64,
    /// Where it changes nothing.
    pub neutral: f64,
    /// The lowest position.
    pub lowest: f64,
    /// The highest position.
    pub highest: f64,
    /// What a step adds to the winding's voltage, in percent of the rated one.
    pub step_percent: f64,
    /// The angle of what a step adds, in degrees; of an ideal phase shifter, the angle of a step.
    pub step_deg: f64,
    /// True if a step turns the voltage and leaves its magnitude.
    pub ideal_shift: bool,
}

impl Tap {
    /// The factor on the winding's rated voltage, as magnitude and angle in degrees.
    ///
    /// A ratio changer adds `position - neutral` steps of `step_percent` at the angle `step_deg`.
    pub fn factor(&self) -> (f64, f64) {
        let steps = self.position - self.neutral;
        if self.ideal_shift {
            return (1.0, steps * self.step_deg);
        }
        let added = steps * self.step_percent / 100.0;
        let (sin, cos) = self.step_deg.to_radians().sin_cos();
        let (re, im) = (1.0 + added * cos, added * sin);
        (re.hypot(im), im.atan2(re).to_degrees())
    }
}

/// One winding of a three-winding transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct Winding {
    /// The bus it is at.
    pub bus: BusIndex,
    /// Rated voltage in kV.
    pub rated_kv: f64,
    /// Rated power in MVA.
    pub rated_mva: f64,
    /// How far it lags the first winding, in degrees.
    pub shift_deg: f64,
}

/// A transformer with three windings, as a star of three two-winding ones.
///
/// The short-circuit voltages are those of the tests between two windings, related to the smaller
/// of the two rated powers (IEC 60909-0, section 6.3.2): high-medium, medium-low, high-low.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreeWinding {
    /// Its identifier.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// High, medium, low voltage.
    pub windings: [Winding; 3],
    /// Short-circuit voltages in percent: between high and medium, medium and low, high and low.
    pub vk_percent: [f64; 3],
    /// Their resistive parts.
    pub vkr_percent: [f64; 3],
    /// Iron losses in kW.
    pub pfe_kw: f64,
    /// No-load current in percent of the rated current of the high-voltage winding.
    pub i0_percent: f64,
    /// Its tap changer, and the winding (0, 1, 2) it is in; at the terminal, not the star point.
    pub tap: Option<(usize, Tap)>,
    /// Where the iron losses stand: at winding 0, 1, 2, or at the star point (3).
    pub losses_at: usize,
    /// How the winding that carries the magnetising branch carries it.
    pub equivalent: Equivalent,
    /// False if it is not there electrically.
    pub in_service: bool,
}
