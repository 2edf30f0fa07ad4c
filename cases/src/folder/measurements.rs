//! Measurements as CSV: one scalar a row, per unit or in SI.
//!
//! ```text
//! meas_id, source, kind, element_type, element_id, side,
//! unit_si, value_si, sigma_si, value_pu, sigma_pu
//! ```
//!
//! `kind` is `v_mag`, `v_ang`, `p_inj`, `q_inj`, `p_flow`, `q_flow`, `i_mag` or `i_ang`;
//! `element_type` is `bus`, `injection` or `branch`, and follows from the kind where it is absent.
//! `side` is `from` or `to`, of a three-winding transformer `hv`, `mv`, `lv` or `1`, `2`, `3`.
//! Where a file has `value_pu` and `sigma_pu`, they are taken as they are (angles are radians);
//! else `value_si` and `sigma_si` are converted by `unit_si` and the bases of the network:
//!
//! ```text
//! powers      s_base                        voltages   nominal voltage of the bus
//! currents    s_base / (√3 nominal) at the bus of the branch's side
//! ```
//!
//! A stream's `events.csv` is the same with `arrival_time` and `event_time` in front and rows of
//! kind `switch_status` between.

use std::collections::BTreeSet;
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
use grid::per_unit::base_ka;

use crate::Error;
use crate::Remark;
use crate::folder::missing;
use crate::folder::side;
use crate::folder::winding;
use crate::table::Row;
use crate::table::Table;

/// Measured values of a file, and what is to be said of it.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// The values in the file's order, per unit.
    pub measurements: Vec<Measurement>,
    /// What was not understood; such rows are left out.
    pub remarks: Vec<Remark>,
    /// The column that values were taken from: `value_pu` where there is one, else `value_si`.
    pub column: &'static str,
}

/// Something that arrived in a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it arrived, in milliseconds since 1970 (UTC).
    pub arrival_ms: i64,
    /// When it happened, in milliseconds since 1970 (UTC).
    pub event_ms: i64,
    /// What happened.
    pub what: Happens,
}

/// What an event of a stream says.
#[derive(Clone, Debug, PartialEq)]
pub enum Happens {
    /// A value was measured; its identifier is kind, element and side, as streams number no rows.
    Measured(Measurement),
    /// A switch (its position in the network) is closed or open.
    Switched(usize, bool),
}

/// Reads measurements of a network, elements by identifier or unique name.
///
/// # Errors
/// The file cannot be read. Rows that are at fault are fatal remarks.
pub fn measurements(path: &Path, network: &Network) -> Result<Readings, Error> {
    let mut say = Vec::new();
    let table = Table::read(path, &mut say)?;
    let mut readings = Vec::new();
    if table.demand(&["kind", "element_id"], &mut say) && demand_values(&table, &mut say) {
        let lookup = Lookup::new(network);
        readings.reserve(table.len());
        let mut ids = BTreeSet::new();
        for (at, row) in table.rows().enumerate() {
            let id = match row.text("meas_id") {
                "" => format!("M{at}"),
                id => id.to_owned(),
            };
            if !is_new(&row, &mut ids, &mut say) {
                continue;
            }
            readings.extend(measurement(&row, id, network, &lookup, &mut say));
        }
    }
    let column = if table.has("value_pu") { "value_pu" } else { "value_si" };
    Ok(Readings { measurements: readings, remarks: say, column })
}

/// True if the identifier of a measurement stands here for the first time, or it has none; says so
/// if it does not, because what is said of a measurement would be said of two.
pub(crate) fn is_new<'a>(
    row: &Row<'a>,
    ids: &mut BTreeSet<&'a str>,
    say: &mut Vec<Remark>,
) -> bool {
    let id = row.text("meas_id");
    let new = id.is_empty() || ids.insert(id);
    if !new {
        let problem = format!("{id} stands here a second time; this row is left out");
        row.fault("meas_id", problem, say);
    }
    new
}

/// Reads a stream's events in the file's order, which is that of arrival.
///
/// # Errors
/// The file cannot be read, or a row of it is at fault; all that are are named.
pub fn events(path: &Path, network: &Network) -> Result<Vec<Event>, Error> {
    let mut say = Vec::new();
    let table = Table::read(path, &mut say)?;
    let mut events = Vec::new();
    let columns = ["arrival_time", "event_time", "kind", "element_id"];
    if table.demand(&columns, &mut say) && demand_values(&table, &mut say) {
        let lookup = Lookup::new(network);
        for row in table.rows() {
            let times = (time(&row, "arrival_time", &mut say), time(&row, "event_time", &mut say));
            let what = happening(&row, network, &lookup, &mut say);
            if let ((Some(arrival_ms), Some(event_ms)), Some(what)) = (times, what) {
                events.push(Event { arrival_ms, event_ms, what });
            }
        }
    }
    whole(path, events, &say)
}

/// A result if nothing was wrong, else all that was.
pub(super) fn whole<T>(path: &Path, result: T, say: &[Remark]) -> Result<T, Error> {
    if say.is_empty() {
        return Ok(result);
    }
    let lines: Vec<String> = say.iter().map(Remark::to_string).collect();
    Err(Error::Malformed { path: path.to_owned(), problem: lines.join("\n") })
}

fn demand_values(table: &Table, say: &mut Vec<Remark>) -> bool {
    if table.has("value_pu") && table.has("sigma_pu") {
        return true;
    }
    table.demand(&["unit_si", "value_si", "sigma_si"], say)
}

fn happening(
    row: &Row<'_>,
    network: &Network,
    lookup: &Lookup,
    say: &mut Vec<Remark>,
) -> Option<Happens> {
    let key = row.text("element_id");
    if row.text("kind") == "switch_status" {
        let value = if row.text("value_si").is_empty() { "value_pu" } else { "value_si" };
        let closed = row.flag(value, say);
        let Some(switch) = lookup.switch(key) else {
            row.fault("element_id", missing("switch", key), say);
            return None;
        };
        return closed.map(|closed| Happens::Switched(switch, closed));
    }
    let place = [row.text("kind"), key, row.text("side")];
    let id = place.join(" ").trim_end().to_owned();
    measurement(row, id, network, lookup, say).map(Happens::Measured)
}

fn measurement(
    row: &Row<'_>,
    id: String,
    network: &Network,
    lookup: &Lookup,
    say: &mut Vec<Remark>,
) -> Option<Measurement> {
    let quantity = quantity(row, say);
    let target = target(row, network, lookup, say);
    let source = source(row, say);
    let (quantity, target) = (quantity?, target?);
    let (value, sigma) = values(row, quantity, target, network, say)?;
    if sigma <= 0.0 {
        let problem = format!("a standard deviation of {sigma} is none; it must be above zero");
        row.fault("sigma_pu", problem, say);
        return None;
    }
    Some(Measurement { id, source: source?, quantity, target, value, sigma })
}

fn quantity(row: &Row<'_>, say: &mut Vec<Remark>) -> Option<Quantity> {
    Some(match row.text("kind") {
        "v_mag" => Quantity::VoltageMagnitude,
        "v_ang" => Quantity::VoltageAngle,
        "p_inj" | "p_flow" => Quantity::ActivePower,
        "q_inj" | "q_flow" => Quantity::ReactivePower,
        "i_mag" => Quantity::CurrentMagnitude,
        "i_ang" => Quantity::CurrentAngle,
        other => {
            let known = "v_mag, v_ang, p_inj, q_inj, p_flow, q_flow, i_mag, i_ang";
            row.fault("kind", format!("{other:?} is none of {known}"), say);
            return None;
        }
    })
}

fn target(
    row: &Row<'_>,
    network: &Network,
    lookup: &Lookup,
    say: &mut Vec<Remark>,
) -> Option<Target> {
    let key = row.text("element_id");
    let by_kind = match row.text("kind") {
        "v_mag" | "v_ang" => "bus",
        "p_flow" | "q_flow" | "i_mag" | "i_ang" => "branch",
        _ => "injection",
    };
    let element = match row.text("element_type") {
        "" => by_kind,
        element => element,
    };
    let fits = element == by_kind || (by_kind == "injection" && element == "bus");
    if !fits {
        let problem =
            format!("{} is measured at a {by_kind}, not at {element:?}", row.text("kind"));
        row.fault("element_type", problem, say);
        return None;
    }
    let target = match element {
        "bus" => lookup.bus(key).map(|bus| Target::Bus(BusIndex(bus))),
        "injection" => lookup.injection(key).map(|at| Target::Injection(InjectionIndex(at))),
        _ => match (lookup.branch(key), lookup.three_winding(key)) {
            (None, Some(of)) => Some(Target::winding(network, of, winding(row, say)?)),
            (branch, _) => {
                let side = side(row, say)?;
                branch.map(|branch| Target::BranchEnd(BranchIndex(branch), side))
            }
        },
    };
    if target.is_none() {
        row.fault("element_id", missing(element, key), say);
    }
    target
}

fn source(row: &Row<'_>, say: &mut Vec<Remark>) -> Option<Source> {
    Some(match row.text("source") {
        "scada" | "" => Source::Scada,
        "meter" => Source::Meter,
        "pmu" => Source::Pmu,
        "pseudo" => Source::Pseudo,
        "reference" => Source::Reference,
        other => {
            let known = "scada, meter, pmu, pseudo, reference";
            row.tell(Severity::Note, "source", format!("{other:?} is none of {known}; scada"), say);
            Source::Scada
        }
    })
}

/// Value and standard deviation per unit.
fn values(
    row: &Row<'_>,
    quantity: Quantity,
    target: Target,
    network: &Network,
    say: &mut Vec<Remark>,
) -> Option<(f64, f64)> {
    if !row.text("value_pu").is_empty() && !row.text("sigma_pu").is_empty() {
        return row.number("value_pu", say).zip(row.number("sigma_pu", say));
    }
    let (value, sigma) = (row.number("value_si", say), row.number("sigma_si", say));
    let unit = row.text("unit_si");
    let Some(factor) = pu_from(unit, quantity, target, network) else {
        let problem = format!("{unit:?} is no unit of a {}", row.text("kind"));
        row.fault("unit_si", problem, say);
        return None;
    };
    Some((value? * factor, sigma? * factor))
}

/// What a value in a unit is multiplied with to be per unit (angles: radians); nothing if the unit
/// is none of the quantity.
pub(crate) fn pu_from(
    unit: &str,
    quantity: Quantity,
    target: Target,
    network: &Network,
) -> Option<f64> {
    let (prefix, base) = unit_of(unit)?;
    let bus = target.bus(network);
    let kv = network.buses[bus.0].nominal_kv;
    match (quantity, base) {
        (_, "pu") => Some(1.0),
        (Quantity::VoltageMagnitude, "v") => Some(prefix / (kv * 1e3)),
        (Quantity::ActivePower, "w") | (Quantity::ReactivePower, "var") => {
            Some(prefix / (network.base_mva * 1e6))
        }
        (Quantity::CurrentMagnitude, "a") => Some(prefix / (base_ka(network.base_mva, kv) * 1e3)),
        (Quantity::VoltageAngle | Quantity::CurrentAngle, "rad") => Some(1.0),
        (Quantity::VoltageAngle | Quantity::CurrentAngle, "deg") => Some(1.0_f64.to_radians()),
        _ => None,
    }
}

/// A unit as its prefix and the unit itself in small letters.
pub(crate) fn unit_of(unit: &str) -> Option<(f64, &'static str)> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "v" | "volt" => (1.0, "v"),
        "kv" => (1e3, "v"),
        // A phase's, line to neutral.
        "v_ln" => (3.0_f64.sqrt(), "v"),
        "kv_ln" => (1e3 * 3.0_f64.sqrt(), "v"),
        "w" => (1.0, "w"),
        "kw" => (1e3, "w"),
        "mw" => (1e6, "w"),
        "var" => (1.0, "var"),
        "kvar" => (1e3, "var"),
        "mvar" => (1e6, "var"),
        "a" | "amp" => (1.0, "a"),
        "ka" => (1e3, "a"),
        "rad" => (1.0, "rad"),
        "deg" | "degree" | "°" => (1.0, "deg"),
        "pu" | "p.u." => (1.0, "pu"),
        _ => return None,
    })
}

/// An instant in ISO 8601, in UTC, to milliseconds.
fn time(row: &Row<'_>, column: &str, say: &mut Vec<Remark>) -> Option<i64> {
    let text = row.text(column);
    let instant = ms_from_iso(text);
    if instant.is_none() {
        row.fault(column, format!("{text:?} is no instant like 2026-06-29T10:00:40.000"), say);
    }
    instant
}

fn ms_from_iso(text: &str) -> Option<i64> {
    let (date, time) = text.trim_end_matches('Z').split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':');
    let hour: i64 = time.next()?.parse().ok()?;
    let minute: i64 = time.next()?.parse().ok()?;
    let second: f64 = time.next().unwrap_or("0").parse().ok()?;
    let inside = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !inside || !(0..24).contains(&hour) || !(0..60).contains(&minute) {
        return None;
    }
    // Days of the civil calendar, years beginning in March (Hinnant, chrono-compatible
    // low-level date algorithms).
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + (second * 1e3).round() as i64)
}

/// A measurement in words: its kind and where it is taken, by identifiers.
pub fn describe(network: &Network, measurement: &Measurement) -> String {
    let kind = match (measurement.quantity, measurement.target) {
        (Quantity::VoltageMagnitude, _) => "v_mag",
        (Quantity::VoltageAngle, _) => "v_ang",
        (Quantity::CurrentMagnitude, _) => "i_mag",
        (Quantity::CurrentAngle, _) => "i_ang",
        (Quantity::ActivePower, Target::BranchEnd(..)) => "p_flow",
        (Quantity::ReactivePower, Target::BranchEnd(..)) => "q_flow",
        (Quantity::ActivePower, _) => "p_inj",
        (Quantity::ReactivePower, _) => "q_inj",
    };
    match measurement.target {
        Target::Bus(bus) => format!("{kind} {}", network.buses[bus.0].id),
        Target::Injection(injection) => format!("{kind} {}", network.injections[injection.0].id),
        Target::BranchEnd(branch, end) => {
            let side = if end == Side::From { "from" } else { "to" };
            // Windings of three-winding transformers come after the branches.
            let windings = branch.0.checked_sub(network.branches.len());
            let id = windings.map_or_else(
                || network.branches[branch.0].id.clone(),
                |at| format!("{} winding {}", network.three_winding[at / 3].id, at % 3 + 1),
            );
            format!("{kind} {id} {side}")
        }
    }
}
