//! Whole columns of measurements in another unit: kilowatts for megawatts, volts for kilovolts.
//!
//! One value that is out by 1000 is found among its neighbours (see
//! [`bad_data`](crate::estimation::bad_data)). Where all powers are, they agree with each other,
//! and what they contradict are the switches: no residual says that it is the unit. What does is
//! that the ratios to what was to be expected all lie at one power of 1000, while what is measured
//! on a grid that is only loaded otherwise has ratios about some factor of two or three.
//!
//! What is to be expected is rough: nominal voltages, the powers a network states for its loads,
//! and the flows they lead to. It need not be the hour that was measured.

use std::collections::BTreeMap;

use crate::measurement::Quantity;

/// A measured value beside what was to be expected, both in one unit; signs do not matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// What is measured.
    pub quantity: Quantity,
    /// What it reads.
    pub measured: f64,
    /// What was to be expected; where that is zero the value says nothing.
    pub expected: f64,
}

/// Values that look as if they were in another unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    /// What they measure.
    pub quantity: Quantity,
    /// About how many times too large they are: 1000, 1/1000, 1e6, 1e-6; of voltages also √3 and
    /// 1/√3.
    pub factor: f64,
    /// How many values lie at that factor.
    pub count: usize,
    /// How many values of that quantity could be compared.
    pub of: usize,
}

/// Factors that come of units.
const THOUSANDS: [f64; 4] = [1e3, 1e-3, 1e6, 1e-6];

/// Most loads are within this factor of what a network states; at a thousandth times this factor,
/// below one percent, none is but by its unit.
const LOADS_WITHIN: f64 = 8.0;

/// Voltages are within 20 percent of nominal.
const VOLTAGES_WITHIN: f64 = 1.2;

/// The share of values that must lie at the factor.
const SHARE: f64 = 0.75;

/// Powers and currents are compared from so many on: two may be out by chance.
const COMPARED_MIN: usize = 3;

/// Finds the quantities whose values look as if they were in another unit, in the order of
/// quantities. Angles have none that could be taken for another and pass.
pub fn suspect(values: &[Compared]) -> Vec<Doubt> {
    let mut ratios: BTreeMap<Quantity, Vec<f64>> = BTreeMap::new();
    for value in values {
        let ratio = (value.measured / value.expected).abs();
        if ratio.is_finite() && ratio > 0.0 {
            ratios.entry(value.quantity).or_default().push(ratio);
        }
    }
    ratios.iter().filter_map(|(&quantity, ratios)| doubt(quantity, ratios)).collect()
}

fn doubt(quantity: Quantity, ratios: &[f64]) -> Option<Doubt> {
    let root = 3.0_f64.sqrt();
    let (within, factors, least) = match quantity {
        Quantity::VoltageMagnitude => {
            (VOLTAGES_WITHIN, [THOUSANDS.as_slice(), &[root, 1.0 / root]].concat(), 1)
        }
        Quantity::VoltageAngle | Quantity::CurrentAngle => return None,
        _ => (LOADS_WITHIN, THOUSANDS.to_vec(), COMPARED_MIN),
    };
    if ratios.len() < least {
        return None;
    }
    let at = |factor: f64| {
        let near = |ratio: &&f64| (*ratio / factor).max(factor / *ratio) <= within;
        ratios.iter().filter(near).count()
    };
    let enough = |count: usize| count as f64 >= SHARE * ratios.len() as f64;
    factors
        .into_iter()
        .map(|factor| (factor, at(factor)))
        .find(|&(_, count)| enough(count))
        .map(|(factor, count)| Doubt { quantity, factor, count, of: ratios.len() })
}
