//! The network as plain data: what stands where, in the units of a data sheet.
//!
//! Elements refer to each other by position, because solvers index arrays; text identifiers are
//! kept beside them for those who read the results. Building a network checks each element on its
//! own; whether the whole can be solved (radial, connected) is the solver's question.
//!
//! **Invariant:** every [`BusIndex`] in a [`Network`] is below the number of its buses.
//!
//! What it does not hold: switches (a solver is told which branches are open), loads and generators
//! (they are injections, given with each solve), tap positions other than neutral.

pub mod branch;
pub mod bus;
pub mod transformer;

pub use self::branch::Branch;
pub use self::bus::Bus;
pub use self::bus::BusIndex;
pub use self::transformer::Transformer;

/// Buses, what connects them, and where the network is fed from.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    buses: Vec<Bus>,
    branches: Vec<Branch>,
    transformers: Vec<Transformer>,
    source: BusIndex,
    frequency_hz: f64,
}

/// Why a network cannot be built or solved.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// An element refers to a bus that does not exist.
    #[error("{element} refers to bus number {bus}, but there are only {buses}")]
    UnknownBus {
        /// The element.
        element: String,
        /// The number it refers to.
        bus: usize,
        /// How many there are.
        buses: usize,
    },
    /// A number on the data sheet cannot be.
    #[error("{element} has {quantity} = {value}")]
    BadValue {
        /// The element.
        element: String,
        /// Which quantity, unit last.
        quantity: &'static str,
        /// What was given.
        value: f64,
    },
    /// A winding's rated voltage is not its bus's nominal voltage.
    #[error("{element} has a {side} winding of {winding_kv} kV at a bus of {nominal_kv} kV")]
    OffNominalRatio {
        /// The transformer.
        element: String,
        /// `hv` or `lv`.
        side: &'static str,
        /// The winding's rated voltage.
        winding_kv: f64,
        /// The bus's nominal voltage.
        nominal_kv: f64,
    },
    /// A branch joins buses of different nominal voltage.
    #[error("{element} joins {from_kv} kV and {to_kv} kV")]
    VoltageMismatch {
        /// The branch.
        element: String,
        /// Nominal voltage at its from end.
        from_kv: f64,
        /// Nominal voltage at its to end.
        to_kv: f64,
    },
    /// There is a second way to a bus.
    #[error("{element} closes a loop at {bus_id}; a sweep needs a radial network")]
    NotRadial {
        /// The element that closes the loop.
        element: String,
        /// The bus that is reached twice.
        bus_id: String,
    },
    /// No way leads from the source to a bus.
    #[error("{bus_id} is not connected to the source")]
    Disconnected {
        /// The bus.
        bus_id: String,
    },
}

impl Network {
    /// A network of these elements, fed at `source`.
    ///
    /// # Errors
    /// An element refers to a bus that does not exist, or has a value that cannot be.
    pub fn new(
        buses: Vec<Bus>,
        branches: Vec<Branch>,
        transformers: Vec<Transformer>,
        source: BusIndex,
        frequency_hz: f64,
    ) -> Result<Network, NetworkError> {
        let network = Network { buses, branches, transformers, source, frequency_hz };
        network.check_bus("source", source)?;
        for bus in &network.buses {
            bus.check()?;
        }
        for branch in &network.branches {
            let from = network.check_bus(&branch.id, branch.from)?;
            let to = network.check_bus(&branch.id, branch.to)?;
            branch.check(from.nominal_kv, to.nominal_kv)?;
        }
        for transformer in &network.transformers {
            let hv = network.check_bus(&transformer.id, transformer.hv)?;
            let lv = network.check_bus(&transformer.id, transformer.lv)?;
            transformer.check(hv.nominal_kv, lv.nominal_kv)?;
        }
        Ok(network)
    }

    /// All buses; [`BusIndex`] is the position here.
    pub fn buses(&self) -> &[Bus] {
        &self.buses
    }

    /// All lines and cables.
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// All transformers.
    pub fn transformers(&self) -> &[Transformer] {
        &self.transformers
    }

    /// The bus the network is fed at; its voltage is given, its power is the answer.
    pub fn source(&self) -> BusIndex {
        self.source
    }

    /// Nominal frequency in Hz.
    pub fn frequency_hz(&self) -> f64 {
        self.frequency_hz
    }

    /// The position of a bus by its identifier.
    pub fn bus_index(&self, id: &str) -> Option<BusIndex> {
        self.buses.iter().position(|bus| bus.id == id).map(BusIndex)
    }

    fn check_bus(&self, element: &str, bus: BusIndex) -> Result<&Bus, NetworkError> {
        self.buses.get(bus.0).ok_or_else(|| NetworkError::UnknownBus {
            element: element.to_owned(),
            bus: bus.0,
            buses: self.buses.len(),
        })
    }
}

/// Refuses a value that is not finite or lies below `least`.
fn check_value(
    element: &str,
    quantity: &'static str,
    value: f64,
    least: f64,
) -> Result<(), NetworkError> {
    if value.is_finite() && value >= least {
        return Ok(());
    }
    Err(NetworkError::BadValue { element: element.to_owned(), quantity, value })
}
