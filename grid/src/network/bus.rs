//! A bus: a node of the network with one voltage.

use crate::network::NetworkError;
use crate::network::check_value;

/// The position of a bus in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusIndex(pub usize);

/// A node of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Bus {
    /// Its name.
    pub id: String,
    /// Nominal line-to-line voltage in kV: the base of its per-unit voltage.
    pub nominal_kv: f64,
}

impl Bus {
    pub(super) fn check(&self) -> Result<(), NetworkError> {
        check_value(&self.id, "nominal_kv", self.nominal_kv, f64::MIN_POSITIVE)
    }
}
