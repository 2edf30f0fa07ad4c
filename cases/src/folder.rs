//! The case folder: a balanced network as plain tables.
//!
//! ```text
//! case.json       name, base_mva, f_hz
//! buses.csv       bus_id, name, vn_kv, in_service
//! branches.csv    branch_id, kind, from_bus, to_bus, r_pu … tap_ratio, shift_deg …, i_max_ka
//! switches.csv    switch_id, kind (bus_bus or branch_end), bus_a, bus_b, branch_id, side, closed
//! shunts.csv      shunt_id, bus_id, p_mw_at_1pu, q_mvar_at_1pu
//! injections.csv  injection_id, kind, bus_id, control (pq, pv, slack), p_mw, q_mvar, vm_set_pu …
//! ```
//!
//! Columns are found by their names, in any order; others are ignored. Branches are the π in per
//! unit of [`grid::network::branch`]. Every fault of every file is told, with file, line and
//! column: a row that is at fault is left out, and the rest is read.

pub mod answers;
mod measurements;

use std::collections::BTreeMap;
use std::path::Path;

use grid::Network;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::BranchIndex;
use grid::network::Bus;
use grid::network::BusIndex;
use grid::network::Connection;
use grid::network::Control;
use grid::network::Impedance;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Lookup;
use grid::network::Parameters;
use grid::network::Severity;
use grid::network::Shunt;
use grid::network::Side;
use grid::network::Switch;
use grid::network::Zip;
use serde::Deserialize;

pub use self::measurements::Event;
pub use self::measurements::Happens;
pub use self::measurements::Readings;
pub use self::measurements::describe;
pub use self::measurements::events;
pub(crate) use self::measurements::is_new;
pub use self::measurements::measurements;
pub(crate) use self::measurements::pu_from;
pub(crate) use self::measurements::unit_of;
use crate::Error;
use crate::Import;
use crate::Remark;
use crate::table::Row;
use crate::table::Table;

/// A rating from which on it stands for none: tools write 99999 where they have no limit.
pub(crate) const UNLIMITED_KA: f64 = 9_999.0;

/// What `case.json` says, as far as the network needs it.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    name: String,
    base_mva: f64,
    f_hz: Option<f64>,
}

/// The frequency in Hz where none is given: nothing per unit depends on it.
const ASSUMED_HZ: f64 = 50.0;

/// Identifiers of a table with their positions in the network; nothing where a row was left out.
type Ids = BTreeMap<String, Option<usize>>;

/// True if a folder holds the tables of a balanced network.
pub fn recognises(folder: &Path) -> bool {
    folder.join("buses.csv").is_file() && folder.join("branches.csv").is_file()
}

/// Reads a case folder.
///
/// Switches stand in their normal positions; [`switch_positions`] reads others.
///
/// # Errors
/// `case.json` or one of the tables of buses, branches and injections cannot be read at all.
/// Everything else that is wrong is a fatal remark of the import.
pub fn read(folder: &Path) -> Result<Import, Error> {
    let case = read_case(folder)?;
    let mut say = Vec::new();
    if case.f_hz.is_none() {
        let problem = format!("has no f_hz: {ASSUMED_HZ} Hz is taken");
        let (place, element) = ("case.json".to_owned(), String::new());
        say.push(Remark { severity: Severity::Note, place, element, problem });
    }
    let mut network = Network {
        name: case.name,
        base_mva: case.base_mva,
        frequency_hz: case.f_hz.unwrap_or(ASSUMED_HZ),
        ..Network::default()
    };
    let buses = read_buses(folder, &mut network, &mut say)?;
    let branches = read_branches(folder, &mut network, &buses, &mut say)?;
    read_switches(folder, &mut network, &buses, &branches, &mut say)?;
    read_shunts(folder, &mut network, &buses, &mut say)?;
    read_injections(folder, &mut network, &buses, &mut say)?;
    Ok(Import { network, remarks: say, ..Import::default() })
}

/// Switch positions of a network, and what is to be said of them.
#[derive(Clone, Debug)]
pub struct Positions {
    /// One a switch, in the network's order; the normal position where the file has none.
    pub closed: Vec<bool>,
    /// What was not understood.
    pub remarks: Vec<Remark>,
}

/// Reads switch positions (`switch_id,closed`), switches by identifier or unique name.
///
/// # Errors
/// The file cannot be read. Rows that are at fault are fatal remarks.
pub fn switch_positions(path: &Path, network: &Network) -> Result<Positions, Error> {
    let mut say = Vec::new();
    let table = Table::read(path, &mut say)?;
    let mut closed: Vec<bool> = network.switches.iter().map(|switch| switch.closed).collect();
    if table.demand(&["switch_id", "closed"], &mut say) {
        let lookup = Lookup::new(network);
        let mut told = vec![false; closed.len()];
        for row in table.rows() {
            let key = row.text("switch_id");
            let position = row.flag("closed", &mut say);
            match (lookup.switch(key), position) {
                (Some(switch), Some(_)) if told[switch] => {
                    let problem = format!("{key} stands here a second time; the first one counts");
                    row.fault("switch_id", problem, &mut say);
                }
                (Some(switch), Some(position)) => {
                    closed[switch] = position;
                    told[switch] = true;
                }
                (None, _) => row.fault("switch_id", missing("switch", key), &mut say),
                (Some(_), None) => {}
            }
        }
    }
    Ok(Positions { closed, remarks: say })
}

fn missing(kind: &str, key: &str) -> String {
    format!("there is no {kind} {key:?} in the network, neither by identifier nor by unique name")
}

fn read_case(folder: &Path) -> Result<Case, Error> {
    let path = folder.join("case.json");
    let read = |source| Error::Read { path: path.clone(), source };
    let text = std::fs::read_to_string(&path).map_err(read)?;
    let json = |source| Error::Json { path: path.clone(), source };
    let case: Case = serde_json::from_str(&text).map_err(json)?;
    if case.base_mva > 0.0 && case.f_hz.is_none_or(|f_hz| f_hz > 0.0) {
        return Ok(case);
    }
    Err(Error::Malformed { path, problem: "base_mva and f_hz must be above zero".to_owned() })
}

/// A table that may be absent: then it is empty, and what that means is said.
fn optional_table(
    path: &Path,
    without: &str,
    say: &mut Vec<Remark>,
) -> Result<Option<Table>, Error> {
    if path.exists() {
        return Table::read(path, say).map(Some);
    }
    let place = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let problem = format!("is absent: {without}");
    say.push(Remark { severity: Severity::Warning, place, element: String::new(), problem });
    Ok(None)
}

/// Says which columns are absent, and what is taken in the place of their cells.
fn assume(table: &Table, columns: &[(&str, &str)], say: &mut Vec<Remark>) {
    let absent = columns.iter().filter(|(column, _)| !table.has(column));
    let parts: Vec<String> = absent.map(|(column, taken)| format!("{column} ({taken})")).collect();
    if !parts.is_empty() {
        let problem = format!("has no column for, and so takes: {}", parts.join(", "));
        let place = table.file().to_owned();
        say.push(Remark { severity: Severity::Note, place, element: String::new(), problem });
    }
}

/// Adds what a row says to a list and notes its identifier; says if that is empty or stands here a
/// second time.
fn add<T>(
    row: &Row<'_>,
    column: &str,
    element: Option<T>,
    list: &mut Vec<T>,
    ids: &mut Ids,
    say: &mut Vec<Remark>,
) {
    let id = row.text(column);
    if id.is_empty() {
        row.fault(column, "is empty; every row needs an identifier".to_owned(), say);
    } else if ids.contains_key(id) {
        row.fault(column, format!("{id} stands here a second time; this row is left out"), say);
    } else {
        ids.insert(id.to_owned(), element.is_some().then_some(list.len()));
        list.extend(element);
    }
}

/// The position of what a cell refers to; says if it is not there.
fn refer(
    row: &Row<'_>,
    column: &str,
    kind: &str,
    ids: &Ids,
    say: &mut Vec<Remark>,
) -> Option<usize> {
    let key = row.text(column);
    let found = ids.get(key).copied();
    match found {
        None => row.fault(column, format!("there is no {kind} {key:?}"), say),
        Some(None) => {
            row.fault(column, format!("{kind} {key} is left out, so this is too"), say);
        }
        Some(Some(_)) => {}
    }
    found.flatten()
}

fn read_buses(folder: &Path, to: &mut Network, say: &mut Vec<Remark>) -> Result<Ids, Error> {
    let table = Table::read(&folder.join("buses.csv"), say)?;
    let mut ids = Ids::new();
    if !table.demand(&["bus_id", "vn_kv"], say) {
        return Ok(ids);
    }
    assume(&table, &[("in_service", "yes")], say);
    for row in table.rows() {
        let nominal_kv = row.number("vn_kv", say);
        let in_service = row.flag_or_yes("in_service", say);
        let bus = nominal_kv.zip(in_service).map(|(nominal_kv, in_service)| Bus {
            id: row.text("bus_id").to_owned(),
            name: row.text("name").to_owned(),
            nominal_kv,
            in_service,
        });
        add(&row, "bus_id", bus, &mut to.buses, &mut ids, say);
    }
    Ok(ids)
}

fn read_branches(
    folder: &Path,
    to: &mut Network,
    buses: &Ids,
    say: &mut Vec<Remark>,
) -> Result<Ids, Error> {
    let table = Table::read(&folder.join("branches.csv"), say)?;
    let mut ids = Ids::new();
    if !table.demand(&["branch_id", "from_bus", "to_bus", "r_pu", "x_pu"], say) {
        return Ok(ids);
    }
    let assumed = [
        ("b_pu", "0"),
        ("g_pu", "0"),
        ("tap_ratio", "1"),
        ("shift_deg", "0"),
        ("i_max_ka", "no rating"),
        ("in_service", "yes"),
    ];
    assume(&table, &assumed, say);
    for row in table.rows() {
        let branch = branch(&row, buses, say);
        add(&row, "branch_id", branch, &mut to.branches, &mut ids, say);
    }
    Ok(ids)
}

fn branch(row: &Row<'_>, buses: &Ids, say: &mut Vec<Remark>) -> Option<Branch> {
    let class = match row.text("kind") {
        "line" => BranchClass::Line,
        "transformer" | "trafo" => BranchClass::Transformer,
        "impedance" => BranchClass::Impedance,
        other => {
            let problem =
                format!("{other:?} is not line, transformer or impedance; impedance it is");
            row.tell(Severity::Note, "kind", problem, say);
            BranchClass::Impedance
        }
    };
    let ends = (refer(row, "from_bus", "bus", buses, say), refer(row, "to_bus", "bus", buses, say));
    let series = (row.number("r_pu", say), row.number("x_pu", say));
    let shunt = (row.number_or("g_pu", 0.0, say), row.number_or("b_pu", 0.0, say));
    let ratio = (row.number_or("tap_ratio", 1.0, say), row.number_or("shift_deg", 0.0, say));
    let at_from = (row.number_or("g_from_pu", 0.0, say), row.number_or("b_from_pu", 0.0, say));
    let at_to = (row.number_or("g_to_pu", 0.0, say), row.number_or("b_to_pu", 0.0, say));
    let rated_ka = row.optional("i_max_ka", say).filter(|&ka| ka < UNLIMITED_KA);
    let in_service = row.flag_or_yes("in_service", say);
    Some(Branch {
        id: row.text("branch_id").to_owned(),
        name: row.text("name").to_owned(),
        from: BusIndex(ends.0?),
        to: BusIndex(ends.1?),
        class,
        parameters: Parameters::Impedance(Impedance {
            r_pu: series.0?,
            x_pu: series.1?,
            g_pu: shunt.0?,
            b_pu: shunt.1?,
            tap_ratio: ratio.0?,
            shift_deg: ratio.1?,
            from_pu: (at_from.0?, at_from.1?),
            to_pu: (at_to.0?, at_to.1?),
            rated_ka,
        }),
        in_service: in_service?,
    })
}

fn read_switches(
    folder: &Path,
    to: &mut Network,
    buses: &Ids,
    branches: &Ids,
    say: &mut Vec<Remark>,
) -> Result<(), Error> {
    let without = "there are no switches, and everything that is in service is connected";
    let table = optional_table(&folder.join("switches.csv"), without, say)?;
    let Some(table) = table else { return Ok(()) };
    if !table.demand(&["switch_id", "kind", "closed"], say) {
        return Ok(());
    }
    let mut ids = Ids::new();
    for row in table.rows() {
        let connection = match row.text("kind") {
            "bus_bus" => {
                let (a, b) = (
                    refer(&row, "bus_a", "bus", buses, say),
                    refer(&row, "bus_b", "bus", buses, say),
                );
                a.zip(b).map(|(a, b)| Connection::Buses(BusIndex(a), BusIndex(b)))
            }
            "branch_end" => branch_end(&row, to, buses, branches, say),
            other => {
                row.fault("kind", format!("{other:?} is neither bus_bus nor branch_end"), say);
                None
            }
        };
        let closed = row.flag("closed", say);
        let switch = connection.zip(closed).map(|(connection, closed)| Switch {
            id: row.text("switch_id").to_owned(),
            name: row.text("name").to_owned(),
            connection,
            closed,
        });
        add(&row, "switch_id", switch, &mut to.switches, &mut ids, say);
    }
    Ok(())
}

fn branch_end(
    row: &Row<'_>,
    network: &Network,
    buses: &Ids,
    branches: &Ids,
    say: &mut Vec<Remark>,
) -> Option<Connection> {
    let branch = refer(row, "branch_id", "branch", branches, say);
    let side = side(row, say);
    let (branch, side) = (branch?, side?);
    if !row.text("bus_a").is_empty() {
        let bus = refer(row, "bus_a", "bus", buses, say)?;
        let line = &network.branches[branch];
        let at = if side == Side::From { line.from } else { line.to };
        if at != BusIndex(bus) {
            let problem = format!(
                "is at bus {}, and the {} end of branch {} is at {}",
                row.text("bus_a"),
                row.text("side"),
                line.id,
                network.buses[at.0].id,
            );
            row.fault("bus_a", problem, say);
            return None;
        }
    }
    Some(Connection::BranchEnd(BranchIndex(branch), side))
}

/// The winding, from 0, of a three-winding transformer that a cell names.
pub(crate) fn winding(row: &Row<'_>, say: &mut Vec<Remark>) -> Option<usize> {
    match row.text("side") {
        "hv" | "1" => Some(0),
        "mv" | "2" => Some(1),
        "lv" | "3" => Some(2),
        other => {
            let problem = format!("{other:?} is none of hv, mv, lv, 1, 2, 3");
            row.fault("side", problem, say);
            None
        }
    }
}

/// The side of a branch that a cell names.
fn side(row: &Row<'_>, say: &mut Vec<Remark>) -> Option<Side> {
    match row.text("side") {
        "from" => Some(Side::From),
        "to" => Some(Side::To),
        other => {
            row.fault("side", format!("{other:?} is neither from nor to"), say);
            None
        }
    }
}

fn read_shunts(
    folder: &Path,
    to: &mut Network,
    buses: &Ids,
    say: &mut Vec<Remark>,
) -> Result<(), Error> {
    let without = "there are no shunts";
    let table = optional_table(&folder.join("shunts.csv"), without, say)?;
    let Some(table) = table else { return Ok(()) };
    if !table.demand(&["shunt_id", "bus_id", "p_mw_at_1pu", "q_mvar_at_1pu"], say) {
        return Ok(());
    }
    let mut ids = Ids::new();
    for row in table.rows() {
        let shunt = shunt(&row, buses, say);
        add(&row, "shunt_id", shunt, &mut to.shunts, &mut ids, say);
    }
    Ok(())
}

fn shunt(row: &Row<'_>, buses: &Ids, say: &mut Vec<Remark>) -> Option<Shunt> {
    let bus = refer(row, "bus_id", "bus", buses, say);
    let (p, q) = (row.number("p_mw_at_1pu", say), row.number("q_mvar_at_1pu", say));
    let in_service = row.flag_or_yes("in_service", say);
    Some(Shunt {
        id: row.text("shunt_id").to_owned(),
        name: row.text("name").to_owned(),
        bus: bus?,
        p_mw_at_1pu: p?,
        q_mvar_at_1pu: q?,
        in_service: in_service?,
    })
}

fn read_injections(
    folder: &Path,
    to: &mut Network,
    buses: &Ids,
    say: &mut Vec<Remark>,
) -> Result<(), Error> {
    let table = Table::read(&folder.join("injections.csv"), say)?;
    if !table.demand(&["injection_id", "bus_id", "control"], say) {
        return Ok(());
    }
    let mut ids = Ids::new();
    for row in table.rows() {
        let injection = injection(&row, buses, say);
        add(&row, "injection_id", injection, &mut to.injections, &mut ids, say);
    }
    Ok(())
}

fn injection(row: &Row<'_>, buses: &Ids, say: &mut Vec<Remark>) -> Option<Injection> {
    let control = match row.text("control") {
        "pq" => Some(Control::Power),
        "pv" => row.number("vm_set_pu", say).map(|vm_pu| Control::Voltage { vm_pu }),
        "slack" => {
            let angle = row.number_or("va_set_deg", 0.0, say);
            row.number("vm_set_pu", say).zip(angle).map(|(vm_pu, va_deg)| Control::Slack {
                vm_pu,
                va_deg,
                impedance_pu: None,
            })
        }
        other => {
            row.fault("control", format!("{other:?} is not pq, pv or slack"), say);
            None
        }
    };
    let class = match row.text("kind") {
        "load" => InjectionClass::Load,
        "generator" => InjectionClass::Generator,
        "static_gen" | "static_generator" => InjectionClass::StaticGenerator,
        "pv" | "photovoltaic" => InjectionClass::Photovoltaic,
        "storage" => InjectionClass::Storage,
        "external_grid" | "source" => InjectionClass::Source,
        other => {
            let problem = format!("{other:?} is no kind of injection; a static generator it is");
            row.tell(Severity::Note, "kind", problem, say);
            InjectionClass::StaticGenerator
        }
    };
    let bus = refer(row, "bus_id", "bus", buses, say);
    // What the control leaves open need not be given.
    let open = !matches!(control, Some(Control::Power));
    let power = |column: &str, free: bool, say: &mut Vec<Remark>| {
        if free { row.number_or(column, 0.0, say) } else { row.number(column, say) }
    };
    let free_p = matches!(control, Some(Control::Slack { .. }) | None);
    let (p_mw, q_mvar) = (power("p_mw", free_p, say), power("q_mvar", open, say));
    let limits = (row.optional("q_min_mvar", say), row.optional("q_max_mvar", say));
    let in_service = row.flag_or_yes("in_service", say);
    Some(Injection {
        id: row.text("injection_id").to_owned(),
        name: row.text("name").to_owned(),
        class,
        bus: BusIndex(bus?),
        control: control?,
        p_mw: p_mw?,
        q_mvar: q_mvar?,
        zip: Zip::POWER,
        q_limits_mvar: limits.0.zip(limits.1),
        in_service: in_service?,
    })
}
