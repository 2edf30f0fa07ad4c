//! Injections: what brings power into a bus or takes it out.

use crate::network::BusIndex;

/// A load, generator, storage or source at a bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Injection {
    /// Its identifier.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// What it is, for those who read.
    pub class: InjectionClass,
    /// The bus.
    pub bus: BusIndex,
    /// What it holds.
    pub control: Control,
    /// Active power into the bus in MW; a load's is negative.
    pub p_mw: f64,
    /// Reactive power into the bus in Mvar.
    pub q_mvar: f64,
    /// How its power follows the voltage.
    pub zip: Zip,
    /// Least and greatest reactive power into the bus in Mvar, where it holds a voltage.
    pub q_limits_mvar: Option<(f64, f64)>,
    /// False if it is switched off.
    pub in_service: bool,
}

/// What an injection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InjectionClass {
    /// A consumer.
    Load,
    /// A generator that holds its voltage.
    Generator,
    /// A generator that does not: wind, small hydro, anything without a name.
    StaticGenerator,
    /// A photovoltaic plant.
    Photovoltaic,
    /// A battery.
    Storage,
    /// The grid beyond: it closes the balance.
    Source,
}

/// What an injection holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// Active and reactive power.
    Power,
    /// Active power and the voltage at its bus, per unit; reactive power is an answer.
    Voltage {
        /// The voltage it holds.
        vm_pu: f64,
    },
    /// Voltage and angle; both powers are answers.
    Slack {
        /// The voltage it holds, behind its impedance.
        vm_pu: f64,
        /// The angle it holds in degrees.
        va_deg: f64,
        /// The impedance between the voltage and the bus, per unit; nothing where stiff.
        impedance_pu: Option<(f64, f64)>,
    },
}

/// How a power follows the voltage: `p = p0 (z v² + i v + (1 - z - i))`, v per unit of nominal
/// (IEEE Task Force on Load Representation, *Load Representation for Dynamic Performance Analysis*,
/// 1993).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Zip {
    /// Share of constant impedance in active power.
    pub p_impedance: f64,
    /// Share of constant current in active power.
    pub p_current: f64,
    /// Share of constant impedance in reactive power.
    pub q_impedance: f64,
    /// Share of constant current in reactive power.
    pub q_current: f64,
}

impl Zip {
    /// All of it constant power.
    pub const POWER: Zip =
        Zip { p_impedance: 0.0, p_current: 0.0, q_impedance: 0.0, q_current: 0.0 };
}
