//! The point map: from what telemetry calls a value to what the network calls it.
//!
//! A SCADA point has a name, a number and a habit: it is in amperes or kilowatts, counts
//! consumption as positive, comes through a transformer nobody configured, is a mean of fifteen
//! minutes. The map
//! says all that once, as CSV, and is checked against the network as a whole: every fault with its
//! line and column, and the nearest known identifier where one is misspelled.
//!
//! ```text
//! point,quantity,element,side,unit,scale,sign,sigma,sigma_min,interval,stale_after,source
//! Feeder7.P,p_flow,L12,from,kW,,,1.5%,2,instant,60,
//! Feeder7.I,i_mag,L12,from,A,0.2,,2,,,,
//! Meter 4711 P,p_inj,LD10,,kW,,-,0.02,,900,7200,meter
//! Busbar A,v_mag,B3,,kV,,,0.5%,,,,
//! Breaker 7,status,S4,,,,,,,,,
//! ```
//!
//! Columns may stand in any order; `point`, `quantity` and `element` must be there. One that is not
//! in this list is named and passed over.
//!
//! - `point`: the name in the telemetry; each stands once, a phasor measurement unit's once with a
//!   magnitude and once with an angle.
//! - `quantity`: `v_mag`, `v_ang`, `p_inj`, `q_inj`, `p_flow`, `q_flow`, `i_mag`, `i_ang`, or
//!   `status` of a switch (1 is closed).
//! - `element`: identifier or unique name of a bus (`v_…`), an injection or else a bus (`…_inj`), a
//!   branch (`…_flow`, `i_…`), a switch.
//! - `side`: `from` or `to`, of a branch; of a three-winding transformer the winding, `hv`, `mv`,
//!   `lv` or `1`, `2`, `3`.
//! - `unit`: V, kV (line to line), V_ln, kV_ln (line to neutral), W, kW, MW, var, kvar, Mvar, A,
//!   kA, rad, deg, pu; kV, MW, Mvar, kA, deg where it is empty, and of a phasor measurement unit
//!   what its frames have (IEEE C37.118): V_ln, A, rad.
//! - `scale`: what the number is multiplied with to be in that unit; 1 where it is empty.
//! - `sign`: `-` where the telemetry counts the other way than the network, for which an injection
//!   into a bus and a flow from a bus into a branch are positive; of a `status`, where 1 is open.
//! - `sigma`: standard deviation, in the unit after scaling, or in percent: of the nominal voltage
//!   for `v_mag`, else of the value.
//! - `sigma_min`: the least standard deviation, in the unit. A percentage of the value needs one,
//!   because of nothing it is nothing.
//! - `drift`: what a value that is not renewed loses a second, in the unit: at an age its variance
//!   is sigma² + (drift · age)². A sixtieth of its standard deviation where it is empty.
//! - `min`, `max`: the least and the greatest that the instrument or the element can have, in the
//!   unit and with the network's sign; what lies beyond is not used. Anything where empty.
//! - `interval`: `instant`, or the seconds that the value is a mean of; `instant` where empty.
//! - `stale_after`: seconds after which a value is not used; never where it is empty.
//! - `source`: `scada`, `meter`, `pmu` or `pseudo`; `scada` where it is empty.

mod cells;
mod conductors;

use std::collections::BTreeMap;
use std::path::Path;

use grid::Network;
use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::measurement::Target;
use grid::network::BranchIndex;
use grid::network::BusIndex;
use grid::network::InjectionIndex;
use grid::network::Lookup;
use grid::network::Severity;
use grid::network::Side;

use self::cells::Cells;
pub use self::conductors::read as read_unbalanced;
use crate::Error;
use crate::Remark;
use crate::folder::pu_from;
use crate::folder::winding;
use crate::table::Row;
use crate::table::Table;

/// How alike an identifier must be to be suggested: 1 is the same, 0 nothing in common.
const ALIKE: f64 = 0.6;

const COLUMNS: [&str; 15] = [
    "point",
    "quantity",
    "element",
    "side",
    "unit",
    "scale",
    "sign",
    "sigma",
    "sigma_min",
    "drift",
    "min",
    "max",
    "interval",
    "stale_after",
    "source",
];

/// A point map, of places in a balanced network or in one of another kind.
#[derive(Clone, Debug)]
pub struct PointMap<T = Target> {
    /// Its points in the file's order.
    pub points: Vec<Point<T>>,
    /// What is wrong with others, which are left out (fatal), and what is odd.
    pub remarks: Vec<Remark>,
}

/// A telemetry point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<T = Target> {
    /// What the telemetry calls it.
    pub name: String,
    /// What it is of.
    pub measures: Measures<T>,
    /// What a value stands for.
    pub averaging: Averaging,
    /// For how many seconds a value may be used; nothing where for ever.
    pub stale_after_s: Option<f64>,
    /// What kind of device it comes from.
    pub source: Source,
}

/// What a point is of. Per unit, in an unbalanced network, is a voltage of its node's base; powers
/// are in watts and var there, currents in amperes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measures<T = Target> {
    /// A quantity somewhere.
    Value {
        /// The quantity.
        quantity: Quantity,
        /// Where.
        target: T,
        /// What a number of the telemetry is multiplied with to be per unit (an angle: radians),
        /// with the network's sign.
        factor: f64,
        /// How far it may be off.
        sigma: Sigma,
        /// What a value that is not renewed loses a second, per unit; nothing where that is not
        /// said.
        drift_per_s: Option<f64>,
        /// The least and the greatest value, per unit; infinite where there is none.
        range: (f64, f64),
    },
    /// The tap of a transformer's winding, in an unbalanced network.
    Tap {
        /// The element.
        element: usize,
        /// The winding, from 0.
        winding: usize,
        /// What a number of the telemetry is multiplied with.
        factor: f64,
        /// True if it is then in steps from the middle, else per unit of the rated voltage.
        steps: bool,
    },
    /// The position of a switch.
    Position {
        /// The switch, by its position in the network.
        switch: usize,
        /// True if 1 means open.
        inverted: bool,
    },
}

/// A standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sigma {
    /// As it is, per unit (of an angle: radians).
    Absolute(f64),
    /// A share of the value, and the least it can be, per unit.
    Share(f64, f64),
}

/// What a value stands for in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Averaging {
    /// The instant it was taken.
    Instant,
    /// The mean of as many seconds up to its time.
    Mean(f64),
}

impl<T> Default for PointMap<T> {
    fn default() -> PointMap<T> {
        PointMap { points: Vec::new(), remarks: Vec::new() }
    }
}

impl<T> PointMap<T> {
    /// True if every row of the file became a point.
    pub fn is_whole(&self) -> bool {
        !self.remarks.iter().any(Remark::is_fatal)
    }
}

impl Point {
    /// A number of the telemetry as a measurement; nothing of a switch, or of no finite number.
    pub fn measurement(&self, number: f64) -> Option<Measurement> {
        let Measures::Value { quantity, target, factor, sigma, .. } = self.measures else {
            return None;
        };
        let value = number * factor;
        let sigma = match sigma {
            Sigma::Absolute(sigma) => sigma,
            Sigma::Share(share, least) => (share * value.abs()).max(least),
        };
        let (id, source) = (self.name.clone(), self.source);
        value.is_finite().then_some(Measurement { id, source, quantity, target, value, sigma })
    }

    /// A number of the telemetry as the position of a switch, true where closed; nothing of
    /// anything else, or of a number that is neither 0 nor 1.
    pub fn position(&self, number: f64) -> Option<(usize, bool)> {
        let Measures::Position { switch, inverted } = self.measures else { return None };
        match number {
            1.0 => Some((switch, !inverted)),
            0.0 => Some((switch, inverted)),
            _ => None,
        }
    }
}

/// Reads a point map of a network.
///
/// # Errors
/// The file cannot be read. Rows that are at fault are fatal remarks, all of them.
pub fn read(path: &Path, network: &Network) -> Result<PointMap, Error> {
    let lookup = Lookup::new(network);
    read_rows(path, &COLUMNS, |row, say| {
        let reader = Reader { row, cells: Cells(row), network, lookup: &lookup };
        reader.point(say)
    })
}

/// Reads a point map row by row.
fn read_rows<T>(
    path: &Path,
    columns: &[&str],
    point: impl Fn(Row<'_>, &mut Vec<Remark>) -> Option<Point<T>>,
) -> Result<PointMap<T>, Error> {
    let mut say = Vec::new();
    let table = Table::read(path, &mut say)?;
    let mut points = Vec::new();
    table.name_others(columns, &mut say);
    if table.demand(&["point", "quantity", "element"], &mut say) {
        let mut seen: BTreeMap<(&str, bool), u64> = BTreeMap::new();
        for row in table.rows() {
            let name = row.text("point");
            // A phasor is a magnitude and an angle under one name.
            let angle = row.text("source") == PMU && row.text("quantity").ends_with("_ang");
            match seen.get(&(name, angle)) {
                _ if name.is_empty() => {
                    row.fault("point", "is empty; telemetry has a name".to_owned(), &mut say);
                }
                Some(line) => {
                    row.fault("point", format!("is on line {line} already"), &mut say);
                }
                None => {
                    seen.insert((name, angle), row.line());
                }
            }
            let from = say.len();
            let point = point(row, &mut say);
            if !say[from..].iter().any(Remark::is_fatal) {
                points.extend(point);
            }
        }
    }
    Ok(PointMap { points, remarks: say })
}

/// A row that is being read.
struct Reader<'n> {
    row: Row<'n>,
    cells: Cells<'n>,
    network: &'n Network,
    lookup: &'n Lookup,
}

/// What kind of element a quantity is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bus,
    Injection,
    Branch,
    Switch,
    Tap,
}

/// The quantities: their names, what they are, the kind of their elements, the unit where none is
/// given; nothing is measured of a switch and of a tap but where it stands.
const QUANTITIES: [(&str, Option<Quantity>, Kind, &str); 10] = [
    ("v_mag", Some(Quantity::VoltageMagnitude), Kind::Bus, "kV"),
    ("v_ang", Some(Quantity::VoltageAngle), Kind::Bus, "deg"),
    ("p_inj", Some(Quantity::ActivePower), Kind::Injection, "MW"),
    ("q_inj", Some(Quantity::ReactivePower), Kind::Injection, "Mvar"),
    ("p_flow", Some(Quantity::ActivePower), Kind::Branch, "MW"),
    ("q_flow", Some(Quantity::ReactivePower), Kind::Branch, "Mvar"),
    ("i_mag", Some(Quantity::CurrentMagnitude), Kind::Branch, "kA"),
    ("i_ang", Some(Quantity::CurrentAngle), Kind::Branch, "deg"),
    ("status", None, Kind::Switch, ""),
    ("tap", None, Kind::Tap, "step"),
];

impl<'n> Reader<'n> {
    /// The point of the row; whatever is wrong with it is said, not only the first.
    fn point(&self, say: &mut Vec<Remark>) -> Option<Point> {
        self.cells.point(say, |asked, sign, say| match asked.quantity {
            None if asked.kind == Kind::Tap => {
                let problem = "is heard of in unbalanced networks; network.taps estimates it";
                self.row.fault("quantity", problem.to_owned(), say);
                None
            }
            None => self.switch(sign, say),
            Some(quantity) => self.value(quantity, asked.kind, asked.unit, sign, say),
        })
    }

    fn switch(&self, sign: f64, say: &mut Vec<Remark>) -> Option<Measures> {
        let key = self.row.text("element");
        let Some(switch) = self.lookup.switch(key) else {
            self.unknown("switch", &[Kind::Switch], say);
            return None;
        };
        self.cells.nothing_but_position(&["side"], say);
        Some(Measures::Position { switch, inverted: sign < 0.0 })
    }

    fn value(
        &self,
        quantity: Quantity,
        kind: Kind,
        unit: &str,
        sign: f64,
        say: &mut Vec<Remark>,
    ) -> Option<Measures> {
        let row = &self.row;
        let scale = self.cells.scale(quantity, sign, say);
        let target = self.target(kind, say);
        let unit = if row.text("unit").is_empty() { unit } else { row.text("unit") };
        // The unit of a row whose element is unknown is looked at where anything stands.
        let somewhere = (!self.network.buses.is_empty()).then_some(Target::Bus(BusIndex(0)));
        let per_unit = pu_from(unit, quantity, target.or(somewhere)?, self.network);
        let scale = scale.map(|scale| sign * scale);
        self.cells.value(quantity, (target, scale), (unit, per_unit), say)
    }

    fn target(&self, kind: Kind, say: &mut Vec<Remark>) -> Option<Target> {
        let key = self.row.text("element");
        let bus = || self.lookup.bus(key).map(|bus| Target::Bus(BusIndex(bus)));
        let (target, what, kinds): (_, _, &[Kind]) = match kind {
            Kind::Bus => (bus(), "bus", &[Kind::Bus]),
            Kind::Injection => {
                let at = self.lookup.injection(key);
                let at = at.map(|at| Target::Injection(InjectionIndex(at)));
                (at.or_else(bus), "injection or bus", &[Kind::Injection, Kind::Bus])
            }
            Kind::Branch | Kind::Switch | Kind::Tap => {
                let branch = self.lookup.branch(key);
                let windings = self.lookup.three_winding(key).filter(|_| branch.is_none());
                let target = match windings {
                    Some(of) => {
                        let winding = winding(&self.row, say).unwrap_or(0);
                        Some(Target::winding(self.network, of, winding))
                    }
                    None => {
                        let side = self.side(say).unwrap_or(Side::From);
                        branch.map(|branch| Target::BranchEnd(BranchIndex(branch), side))
                    }
                };
                (target, "branch", &[Kind::Branch])
            }
        };
        if target.is_none() {
            self.unknown(what, kinds, say);
        }
        if kind != Kind::Branch && !self.row.text("side").is_empty() {
            let problem = "only a branch has sides: passed over".to_owned();
            self.row.tell(Severity::Note, "side", problem, say);
        }
        target
    }

    /// Says that there is no such element, and which one may be meant.
    fn unknown(&self, what: &str, kinds: &[Kind], say: &mut Vec<Remark>) {
        let key = self.row.text("element");
        let mut known: Vec<&str> = Vec::new();
        let network: &'n Network = self.network;
        let mut add = |id: &'n str, name: &'n str| known.extend([id, name]);
        for kind in kinds {
            match kind {
                Kind::Bus => network.buses.iter().for_each(|bus| add(&bus.id, &bus.name)),
                Kind::Injection => {
                    network.injections.iter().for_each(|at| add(&at.id, &at.name));
                }
                Kind::Branch => {
                    network.branches.iter().for_each(|b| add(&b.id, &b.name));
                    network.three_winding.iter().for_each(|of| add(&of.id, &of.name));
                }
                Kind::Switch | Kind::Tap => {
                    network.switches.iter().for_each(|s| add(&s.id, &s.name));
                }
            }
        }
        let several = known.iter().filter(|known| **known == key && !key.is_empty()).count();
        let problem = if several > 1 {
            format!("{key:?} is the name of {several} elements; use an identifier")
        } else {
            format!("there is no {what} {key:?}{}", near(key, &known))
        };
        self.row.fault("element", problem, say);
    }

    fn side(&self, say: &mut Vec<Remark>) -> Option<Side> {
        match self.row.text("side") {
            "from" => Some(Side::From),
            "to" => Some(Side::To),
            other => {
                let problem = format!("{other:?} is neither from nor to");
                self.row.fault("side", problem, say);
                None
            }
        }
    }
}

/// The source whose values are phasors.
const PMU: &str = "pmu";

/// The unit of a phasor measurement unit's frames, where none is given: they are of a phase.
fn unit_of_phasor(quantity: Quantity, usual: &'static str) -> &'static str {
    match quantity {
        Quantity::VoltageMagnitude => "V_ln",
        Quantity::CurrentMagnitude => "A",
        Quantity::VoltageAngle | Quantity::CurrentAngle => "rad",
        Quantity::ActivePower | Quantity::ReactivePower => usual,
    }
}

/// What may be meant by a word that is none of those known.
fn near(word: &str, known: &[&str]) -> String {
    let small = word.to_lowercase();
    let alike =
        |known: &&str| strsim::normalized_damerau_levenshtein(&small, &known.to_lowercase());
    let candidates = known.iter().copied().filter(|known| !known.is_empty());
    let best = candidates.max_by(|a, b| alike(a).total_cmp(&alike(b)).then_with(|| b.cmp(a)));
    match best {
        Some(best) if alike(&best) >= ALIKE => format!("; did you mean {best:?}?"),
        _ => String::new(),
    }
}
