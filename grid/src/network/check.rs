//! What is wrong with a network, all of it at once and by name.
//!
//! Three questions in order, each asked only where the one before leaves it sensible: does
//! everything refer to something that is there, are the numbers possible, and does what they
//! describe look like a grid. The first two find what is [`Severity::Fatal`]: then no solver can
//! live with it and [`Model::new`](crate::model::Model::new) refuses. The third finds what can be
//! solved and is probably not what is meant: islands without a source, contradictions between
//! machines, and numbers that are a thousand times too large or too small, because somebody took
//! volts for kilovolts or kilowatts for megawatts.
//!
//! # Where the limits come from
//!
//! The limits of the third kind stand as constants beside the checks. They lie between the range
//! of built equipment (IEC 60038 for voltages; IEC 60076 for transformers; manufacturers' tables
//! for lines and cables) and a thousand times that range, nearer to the latter: what is unusual
//! passes, what is out by 1000 does not.

mod branches;
mod injections;
mod islands;
mod lines;
mod references;
mod sensors;
mod transformers;
mod twice;

use std::collections::BTreeSet;
use std::fmt;

use crate::network::Branch;
use crate::network::BranchClass;
use crate::network::Injection;
use crate::network::InjectionClass;
use crate::network::Network;
use crate::network::Parameters;

pub(crate) use self::branches::NEGLIGIBLE_PU;
pub(crate) use self::injections::LOAD_KA_MAX;
pub(crate) use self::injections::LOAD_OVER_RATING_MAX;
pub use self::sensors::check_measurements;
pub(crate) use self::transformers::RATED_KA_MAX;
pub(crate) use self::transformers::RATED_MVA_MIN;
pub use self::twice::twice;

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No solver can live with it, or its answer would be of nothing or name nothing.
    Fatal,
    /// It can be solved and is probably not what is meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something that is wrong with an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// The element, by kind, identifier and name.
    pub element: String,
    /// What is wrong with it.
    pub problem: String,
    /// How to mend it; may be empty.
    pub hint: String,
}

impl Fault {
    /// True if the network cannot be used with it.
    pub fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.element, self.problem)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a network, the worst first, then in the order of its elements.
///
/// Two are fatal that [`Model::new`](crate::model::Model::new) can live with and whoever asked
/// cannot: identifiers that stand twice, and that nothing is fed at all.
pub fn check(network: &Network) -> Vec<Fault> {
    check_but_for(network, &BTreeSet::new())
}

/// As [`check`], but judges nothing by the nominal voltages of the buses at these positions: they
/// are placeholders, and so are the ohms and amperes that follow from them.
pub fn check_but_for(network: &Network, placeholders: &BTreeSet<usize>) -> Vec<Fault> {
    let mut found = Faults::default();
    references::check(network, &mut found);
    values(network, &mut found);
    let sound = !found.0.iter().any(Fault::is_fatal);
    twice::check(network, &mut found);
    if placeholders.is_empty() {
        looks(network, &mut found);
    } else {
        // No comparison with what is not a number finds anything.
        let mut judged = network.clone();
        for (_, bus) in
            judged.buses.iter_mut().enumerate().filter(|(at, _)| placeholders.contains(at))
        {
            bus.nominal_kv = f64::NAN;
        }
        looks(&judged, &mut found);
    }
    sensors::check(network, &mut found);
    if sound {
        islands::check(network, &mut found);
    }
    found.0.sort_by_key(|fault| fault.severity);
    found.0
}

/// Whether the numbers look like those of a grid.
fn looks(network: &Network, found: &mut Faults) {
    lines::check(network, found);
    transformers::check_looks(network, found);
    injections::check_looks(network, found);
}

/// What no solver can live with: references to what is not there, and impossible numbers.
///
/// This is the part of [`check`] that takes time in proportion to the elements and builds nothing.
pub fn fatal(network: &Network) -> Vec<Fault> {
    let mut found = Faults::default();
    references::check(network, &mut found);
    values(network, &mut found);
    found.0.retain(Fault::is_fatal);
    found.0
}

/// Whether the numbers are possible at all.
fn values(network: &Network, found: &mut Faults) {
    let base = network.base_mva;
    if !above_zero(base) {
        let hint = "a power base in MVA is needed, as in 1 or 100";
        found.fatal("network", format!("has a power base of {base} MVA"), hint);
    }
    let frequency = network.frequency_hz;
    if !above_zero(frequency) {
        found.warn("network", format!("has a frequency of {frequency} Hz"), "50 or 60");
    }
    for bus in &network.buses {
        let element = named("bus", &bus.id, &bus.name);
        let kv = bus.nominal_kv;
        if !above_zero(kv) {
            let hint = "every bus needs its nominal line-to-line voltage in kV";
            found.fatal(&element, format!("has a nominal voltage of {kv} kV"), hint);
        } else if kv > NOMINAL_KV_MAX {
            let hint = "nominal voltages are in kV; this looks like volts";
            found.warn(&element, format!("has a nominal voltage of {kv} kV"), hint);
        } else if kv < NOMINAL_KV_MIN {
            let hint = "nominal voltages are in kV; this looks like megavolts";
            found.warn(&element, format!("has a nominal voltage of {kv} kV"), hint);
        }
    }
    branches::check(network, found);
    transformers::check_values(network, found);
    injections::check_values(network, found);
}

/// The highest transmission voltage is 1,200 kV (IEC 60038); 400 V are 400,000 in millivolts.
const NOMINAL_KV_MAX: f64 = 1_500.0;

/// The lowest distribution voltage is 0.1 kV (IEC 60038); 20 kV are 0.02 in megavolts.
const NOMINAL_KV_MIN: f64 = 0.05;

/// Faults as they are found.
#[derive(Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    fn add(&mut self, severity: Severity, element: &str, problem: String, hint: &str) {
        let (element, hint) = (element.to_owned(), hint.to_owned());
        self.0.push(Fault { severity, element, problem, hint });
    }

    pub(crate) fn fatal(&mut self, element: &str, problem: String, hint: &str) {
        self.add(Severity::Fatal, element, problem, hint);
    }

    pub(crate) fn warn(&mut self, element: &str, problem: String, hint: &str) {
        self.add(Severity::Warning, element, problem, hint);
    }

    pub(crate) fn note(&mut self, element: &str, problem: String, hint: &str) {
        self.add(Severity::Note, element, problem, hint);
    }

    /// Says if any of some numbers is not finite; true if all are.
    pub(crate) fn finite(&mut self, element: &str, numbers: &[(&str, f64)]) -> bool {
        let broken: Vec<&str> =
            numbers.iter().filter(|(_, x)| !x.is_finite()).map(|(name, _)| *name).collect();
        if !broken.is_empty() {
            let problem = format!("has no finite number for {}", broken.join(", "));
            self.fatal(element, problem, "");
        }
        broken.is_empty()
    }
}

/// True if a number is a positive one; not for one that is none.
pub(crate) fn above_zero(number: f64) -> bool {
    number > 0.0 && number.is_finite()
}

/// An element by kind, identifier and name.
fn named(kind: &str, id: &str, name: &str) -> String {
    if name.is_empty() || name == id {
        format!("{kind} {id}")
    } else {
        format!("{kind} {id} {name:?}")
    }
}

fn branch_name(branch: &Branch) -> String {
    let kind = match (branch.class, &branch.parameters) {
        (BranchClass::Line, _) => "line",
        (BranchClass::Transformer, _) => "transformer",
        (BranchClass::Impedance, Parameters::Impedance(_)) => "impedance",
        (BranchClass::Impedance, _) => "branch",
    };
    named(kind, &branch.id, &branch.name)
}

fn injection_name(injection: &Injection) -> String {
    let kind = match injection.class {
        InjectionClass::Load => "load",
        InjectionClass::Generator => "generator",
        InjectionClass::StaticGenerator => "static generator",
        InjectionClass::Photovoltaic => "photovoltaic plant",
        InjectionClass::Storage => "storage",
        InjectionClass::Source => "source",
    };
    named(kind, &injection.id, &injection.name)
}

/// A bus by its identifier, also where it is not there.
fn bus_id(network: &Network, bus: usize) -> &str {
    network.buses.get(bus).map_or("?", |bus| bus.id.as_str())
}

/// A few of a list, with how many there are beside.
fn few(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len() {
        0..=SHOWN => shown,
        count => format!("{shown} and {} more", count - SHOWN),
    }
}
