//! The network as its owner describes it: what stands where, in the units of a data sheet.
//!
//! This is the side that importers write and people read: every element has an identifier and a
//! name, a transformer is its name plate and not an admittance, switches stand where they are
//! drawn. [`Model`](crate::model::Model) turns it into per unit, once; solvers see only that.
//!
//! Elements refer to each other by position, because solvers index arrays. A [`Network`] is plain
//! data and may be wrong; [`check`](crate::network::check) says everything that is, by name.
//!
//! # Units
//!
//! kV (line to line), kA, MW, Mvar, MVA, ohm, siemens, degrees; `_pu` is per unit of the network's
//! power base and the nominal voltage of the side it is said of. The sign convention is the
//! crate's: an injection into a bus is positive, so that a load has a negative `p_mw`.

pub mod branch;
pub mod check;
pub mod injection;
pub mod lookup;
pub mod sensor;
pub mod switch;
pub mod transformer;

pub use self::branch::Branch;
pub use self::branch::BranchClass;
pub use self::branch::Impedance;
pub use self::branch::Line;
pub use self::branch::Parameters;
pub use self::check::Fault;
pub use self::check::Severity;
pub use self::injection::Control;
pub use self::injection::Injection;
pub use self::injection::InjectionClass;
pub use self::injection::Zip;
pub use self::lookup::Element;
pub use self::lookup::Lookup;
pub use self::sensor::Sensor;
pub use self::switch::Connection;
pub use self::switch::Switch;
pub use self::transformer::Equivalent;
pub use self::transformer::Tap;
pub use self::transformer::ThreeWinding;
pub use self::transformer::Transformer;
pub use self::transformer::Winding;

/// The position of a bus in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusIndex(pub usize);

/// The position of a branch in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchIndex(pub usize);

/// The position of an injection in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InjectionIndex(pub usize);

/// An end of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Where it comes from; of a transformer the high-voltage winding, as a rule.
    From,
    /// Where it goes to.
    To,
}

/// A node of the network: a busbar section, at node-breaker level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bus {
    /// Its identifier.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// Nominal line-to-line voltage in kV: the base of its per-unit voltage.
    pub nominal_kv: f64,
    /// False if it is not there electrically.
    pub in_service: bool,
}

/// An admittance from a bus to ground.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shunt {
    /// Its identifier.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// The bus.
    pub bus: usize,
    /// Power it *consumes* at nominal voltage, in MW, all steps together.
    pub p_mw_at_1pu: f64,
    /// Reactive power it *consumes* at nominal voltage, in Mvar; a capacitor's is negative.
    pub q_mvar_at_1pu: f64,
    /// False if it is switched off.
    pub in_service: bool,
}

/// Buses, what connects them, and what is connected to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// What it is called.
    pub name: String,
    /// Nominal frequency in Hz.
    pub frequency_hz: f64,
    /// The power base of everything in per unit, in MVA.
    pub base_mva: f64,
    /// All buses; [`BusIndex`] is the position here.
    pub buses: Vec<Bus>,
    /// Lines, cables, two-winding transformers, impedances; [`BranchIndex`] is the position here.
    pub branches: Vec<Branch>,
    /// Transformers with three windings.
    pub three_winding: Vec<ThreeWinding>,
    /// Capacitors, reactors, and other fixed admittances.
    pub shunts: Vec<Shunt>,
    /// Switches and breakers, with their normal positions.
    pub switches: Vec<Switch>,
    /// Loads, generators, sources; [`InjectionIndex`] is the position here.
    pub injections: Vec<Injection>,
    /// Measuring points that came with the network, some with a value.
    pub sensors: Vec<Sensor>,
}

impl Network {
    /// The position of a bus by its identifier. Takes time in proportion to the buses: see
    /// [`Lookup`] for many.
    pub fn bus_index(&self, id: &str) -> Option<BusIndex> {
        self.buses.iter().position(|bus| bus.id == id).map(BusIndex)
    }
}
