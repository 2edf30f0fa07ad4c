//! Measuring points that come with a network.

use crate::measurement::Quantity;
use crate::measurement::Target;

/// A measuring point: what it measures, how well, and perhaps its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// Its identifier.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// What it measures.
    pub quantity: Quantity,
    /// Where.
    pub target: Target,
    /// Its value per unit (angles in radians), if one came with it.
    pub value_pu: Option<f64>,
    /// Its standard deviation per unit (angles in radians).
    pub sigma_pu: f64,
}
