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
//! - `side`: `from` or `to`, of a branch.
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

use crate::Error;
use crate::Remark;
use crate::folder::pu_from;
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

/// A point map.
#[derive(Clone, Debug, Default)]
pub struct PointMap {
    /// Its points in the file's order.
    pub points: Vec<Point>,
    /// What is wrong with others, which are left out (fatal), and what is odd.
    pub remarks: Vec<Remark>,
}

/// A telemetry point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What the telemetry calls it.
    pub name: String,
    /// What it is of.
    pub measures: Measures,
    /// What a value stands for.
    pub averaging: Averaging,
    /// For how many seconds a value may be used; nothing where for ever.
    pub stale_after_s: Option<f64>,
    /// What kind of device it comes from.
    pub source: Source,
}

/// What a point is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measures {
    /// A quantity somewhere.
    Value {
        /// The quantity.
        quantity: Quantity,
        /// Where.
        target: Target,
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

impl PointMap {
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
    let mut say = Vec::new();
    let table = Table::read(path, &mut say)?;
    let mut points = Vec::new();
    table.name_others(&COLUMNS, &mut say);
    if table.demand(&["point", "quantity", "element"], &mut say) {
        let lookup = Lookup::new(network);
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
            let reader = Reader { row, network, lookup: &lookup };
            let point = reader.point(&mut say);
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
}

/// The quantities: their names, what they are, the kind of their elements, the unit where none is
/// given; nothing is measured of a switch but its position.
const QUANTITIES: [(&str, Option<Quantity>, Kind, &str); 9] = [
    ("v_mag", Some(Quantity::VoltageMagnitude), Kind::Bus, "kV"),
    ("v_ang", Some(Quantity::VoltageAngle), Kind::Bus, "deg"),
    ("p_inj", Some(Quantity::ActivePower), Kind::Injection, "MW"),
    ("q_inj", Some(Quantity::ReactivePower), Kind::Injection, "Mvar"),
    ("p_flow", Some(Quantity::ActivePower), Kind::Branch, "MW"),
    ("q_flow", Some(Quantity::ReactivePower), Kind::Branch, "Mvar"),
    ("i_mag", Some(Quantity::CurrentMagnitude), Kind::Branch, "kA"),
    ("i_ang", Some(Quantity::CurrentAngle), Kind::Branch, "deg"),
    ("status", None, Kind::Switch, ""),
];

impl<'n> Reader<'n> {
    /// The point of the row; whatever is wrong with it is said, not only the first.
    fn point(&self, say: &mut Vec<Remark>) -> Option<Point> {
        let row = &self.row;
        let name = row.text("quantity");
        let known = QUANTITIES.iter().find(|(known, ..)| *known == name);
        let sign = self.sign(say);
        let averaging = self.averaging(say);
        let stale_after_s = self.seconds("stale_after", say);
        let source = self.source(say);
        let Some((_, quantity, kind, unit)) = known else {
            let names: Vec<&str> = QUANTITIES.iter().map(|(name, ..)| *name).collect();
            let problem = format!("{name:?} is none of {}{}", names.join(", "), near(name, &names));
            row.fault("quantity", problem, say);
            return None;
        };
        if let (Some(Averaging::Mean(mean)), Some(Some(stale))) = (averaging, stale_after_s)
            && stale < mean
        {
            let problem = format!("{stale} s are over before the next mean of {mean} s is there");
            row.tell(Severity::Warning, "stale_after", problem, say);
        }
        let unit = match quantity {
            Some(quantity) if row.text("source") == PMU => unit_of_phasor(*quantity, unit),
            _ => unit,
        };
        let measures = match quantity {
            None => self.switch(sign.unwrap_or(1.0), say),
            Some(quantity) => self.value(*quantity, *kind, unit, sign.unwrap_or(1.0), say),
        };
        sign?;
        Some(Point {
            name: row.text("point").to_owned(),
            measures: measures?,
            averaging: averaging?,
            stale_after_s: stale_after_s?,
            source: source?,
        })
    }

    fn switch(&self, sign: f64, say: &mut Vec<Remark>) -> Option<Measures> {
        let key = self.row.text("element");
        let Some(switch) = self.lookup.switch(key) else {
            self.unknown("switch", &[Kind::Switch], say);
            return None;
        };
        for column in ["unit", "scale", "sigma", "sigma_min", "side"] {
            if !self.row.text(column).is_empty() {
                let problem = "a switch has none: passed over".to_owned();
                self.row.tell(Severity::Note, column, problem, say);
            }
        }
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
        let magnitude = matches!(quantity, Quantity::VoltageMagnitude | Quantity::CurrentMagnitude);
        if magnitude && sign < 0.0 {
            row.fault("sign", "a magnitude has none".to_owned(), say);
        }
        let scale = row.number_or("scale", 1.0, say);
        if scale == Some(0.0) {
            row.fault("scale", "0 leaves nothing of a value".to_owned(), say);
        }
        let target = self.target(kind, say);
        let unit = if row.text("unit").is_empty() { unit } else { row.text("unit") };
        // The unit of a row whose element is unknown is looked at where anything stands.
        let somewhere = (!self.network.buses.is_empty()).then_some(Target::Bus(BusIndex(0)));
        let per_unit = pu_from(unit, quantity, target.or(somewhere)?, self.network);
        if per_unit.is_none() {
            let problem = format!("{unit:?} is no unit of a {}", row.text("quantity"));
            row.fault("unit", problem, say);
        }
        let sigma = self.sigma(quantity, per_unit.unwrap_or(1.0), say);
        let drift_per_s = self.drift(say);
        let range = self.range(say);
        let per_unit = per_unit?;
        let factor = sign * scale? * per_unit;
        let drift_per_s = drift_per_s?.map(|drift| drift * per_unit);
        let range = range.map(|(least, greatest)| (least * per_unit, greatest * per_unit))?;
        let (target, sigma) = (target?, sigma?);
        Some(Measures::Value { quantity, target, factor, sigma, drift_per_s, range })
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
            Kind::Branch | Kind::Switch => {
                let side = self.side(say);
                let branch = self.lookup.branch(key);
                let end =
                    |branch| Target::BranchEnd(BranchIndex(branch), side.unwrap_or(Side::From));
                (branch.map(end), "branch", &[Kind::Branch])
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
                Kind::Branch => network.branches.iter().for_each(|b| add(&b.id, &b.name)),
                Kind::Switch => network.switches.iter().for_each(|s| add(&s.id, &s.name)),
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

    fn sign(&self, say: &mut Vec<Remark>) -> Option<f64> {
        match self.row.text("sign") {
            "" | "+" | "1" | "+1" => Some(1.0),
            "-" | "-1" => Some(-1.0),
            other => {
                self.row.fault("sign", format!("{other:?} is neither + nor -"), say);
                None
            }
        }
    }

    fn source(&self, say: &mut Vec<Remark>) -> Option<Source> {
        match self.row.text("source") {
            "" | "scada" => Some(Source::Scada),
            "meter" => Some(Source::Meter),
            PMU => Some(Source::Pmu),
            "pseudo" => Some(Source::Pseudo),
            other => {
                let problem = format!("{other:?} is none of scada, meter, pmu, pseudo");
                self.row.fault("source", problem, say);
                None
            }
        }
    }

    fn averaging(&self, say: &mut Vec<Remark>) -> Option<Averaging> {
        if self.row.text("interval") == "instant" {
            return Some(Averaging::Instant);
        }
        let seconds = self.seconds("interval", say)?;
        Some(seconds.map_or(Averaging::Instant, Averaging::Mean))
    }

    /// Seconds above zero, or none at all.
    fn seconds(&self, column: &str, say: &mut Vec<Remark>) -> Option<Option<f64>> {
        if self.row.text(column).is_empty() {
            return Some(None);
        }
        let seconds = self.row.number(column, say)?;
        if seconds > 0.0 {
            return Some(Some(seconds));
        }
        self.row.fault(column, format!("{seconds} s must be above zero"), say);
        None
    }

    /// What is lost a second, in the row's unit; nothing where it is not said.
    fn drift(&self, say: &mut Vec<Remark>) -> Option<Option<f64>> {
        if self.row.text("drift").is_empty() {
            return Some(None);
        }
        let drift = self.row.number("drift", say)?;
        if drift >= 0.0 {
            return Some(Some(drift));
        }
        self.row.fault("drift", format!("{drift} must not be below zero"), say);
        None
    }

    /// The least and the greatest value, in the row's unit.
    fn range(&self, say: &mut Vec<Remark>) -> Option<(f64, f64)> {
        let least = self.row.number_or("min", f64::NEG_INFINITY, say);
        let greatest = self.row.number_or("max", f64::INFINITY, say);
        let (least, greatest) = (least?, greatest?);
        if least <= greatest {
            return Some((least, greatest));
        }
        self.row.fault("min", format!("{least} lies above max"), say);
        None
    }

    /// A standard deviation as it is written, per unit.
    fn sigma(&self, quantity: Quantity, per_unit: f64, say: &mut Vec<Remark>) -> Option<Sigma> {
        let row = &self.row;
        let text = row.text("sigma");
        let least = row.number_or("sigma_min", 0.0, say).map(|least| least * per_unit);
        if least.is_some_and(|least| least < 0.0) {
            row.fault("sigma_min", "it must not be below zero".to_owned(), say);
        }
        let Some(percent) = text.strip_suffix('%') else {
            let sigma = row.number("sigma", say)? * per_unit;
            if sigma <= 0.0 {
                row.fault("sigma", format!("{text} must be above zero"), say);
                return None;
            }
            return Some(Sigma::Absolute(sigma.max(least?)));
        };
        let Some(share) = percent.trim().parse().ok().filter(|share: &f64| *share > 0.0) else {
            row.fault("sigma", format!("{text} is no percentage above zero"), say);
            return None;
        };
        let share = share / 100.0;
        match quantity {
            Quantity::VoltageMagnitude => Some(Sigma::Absolute(share.max(least?))),
            Quantity::VoltageAngle | Quantity::CurrentAngle => {
                row.fault(
                    "sigma",
                    "an angle has no percentage; give it in the unit".to_owned(),
                    say,
                );
                None
            }
            _ if least? > 0.0 => Some(Sigma::Share(share, least?)),
            _ => {
                let problem = "is needed beside a percentage: of nothing it is nothing".to_owned();
                row.fault("sigma_min", problem, say);
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
