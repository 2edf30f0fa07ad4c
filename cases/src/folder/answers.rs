//! What a case folder knows about itself: solved operating points and reference estimates.
//!
//! For tests and benches only: an estimator that reads these has nothing left to estimate. Every
//! reader is strict: a row that is at fault is an error and not a remark.

use std::path::Path;

use grid::Network;
use grid::network::Lookup;
use serde::Deserialize;

use crate::Error;
use crate::Remark;
use crate::folder::measurements::whole;
use crate::folder::missing;
use crate::table::Row;
use crate::table::Table;

/// The solved state of a bus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthBus {
    /// The bus, by its position in the network.
    pub bus: usize,
    /// False if no source feeds it; its voltage is zero then.
    pub energised: bool,
    /// Voltage magnitude per unit of nominal.
    pub vm_pu: f64,
    /// Voltage angle in degrees.
    pub va_deg: f64,
    /// Active power of everything that injects into its *node*, in MW.
    pub p_inj_mw: f64,
    /// Reactive power of everything that injects into its node, in Mvar.
    pub q_inj_mvar: f64,
}

/// The solved flows of a branch, from its buses into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthBranch {
    /// The branch, by its position in the network.
    pub branch: usize,
    /// Active power at the from end in MW.
    pub p_from_mw: f64,
    /// Reactive power at the from end in Mvar.
    pub q_from_mvar: f64,
    /// Active power at the to end in MW.
    pub p_to_mw: f64,
    /// Reactive power at the to end in Mvar.
    pub q_to_mvar: f64,
    /// Current at the from end in kA.
    pub i_from_ka: f64,
}

/// The solved power of an injection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthInjection {
    /// The injection, by its position in the network.
    pub injection: usize,
    /// Active power into the bus in MW.
    pub p_mw: f64,
    /// Reactive power into the bus in Mvar.
    pub q_mvar: f64,
}

/// An estimated voltage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The bus, by its position in the network.
    pub bus: usize,
    /// Voltage magnitude per unit of nominal.
    pub vm_pu: f64,
    /// Voltage angle in degrees.
    pub va_deg: f64,
}

/// A row of the reference estimate.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// Its measurements; several where meters together make the total of a node.
    pub meas_ids: Vec<String>,
    /// Its kind, as in the measurements.
    pub kind: String,
    /// What the estimate says it should be, per unit.
    pub h_pu: f64,
    /// Measured less estimated, per unit.
    pub residual_pu: f64,
    /// The residual over its standard deviation; nothing where the row is critical.
    pub normalized: Option<f64>,
    /// True if without it the state cannot be determined.
    pub critical: bool,
}

/// What the reference estimate says of itself (`wls_<set>.json`).
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Summary {
    /// Rows of the file.
    pub rows: usize,
    /// Rows that were used, meters at one node joined, rows on dead buses left out.
    pub used_rows: usize,
    /// How many unknowns there were; absent where the set cannot be observed.
    pub states: Option<usize>,
    /// The least sum of squares.
    #[serde(rename = "J")]
    pub j: f64,
    /// Degrees of freedom.
    pub dof: i64,
    /// The 99 percent point of chi-square with them.
    pub chi2_99: Option<f64>,
    /// The largest normalised residual.
    #[serde(rename = "max_rN")]
    pub normalized_max: Option<f64>,
    /// Rows without which the state cannot be determined.
    pub critical: usize,
    /// The greatest error in magnitude against the truth, in percent.
    pub v_err_max_pct: f64,
    /// The root mean square of the error in magnitude against the truth, in percent.
    pub v_err_rms_pct: f64,
}

/// Which row of a set is wrong (`bad_<set>.json`).
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Bad {
    /// The measurement.
    pub bad_meas_id: String,
    /// Its kind.
    pub kind: String,
    /// What was done to it.
    pub how: String,
    /// What it was, per unit.
    pub good_value_pu: f64,
    /// What it was made, per unit.
    pub bad_value_pu: f64,
    /// Its standard deviation, per unit.
    pub sigma_pu: f64,
    /// The largest normalised residual of the reference estimate.
    pub largest_normalized_residual: f64,
}

#[derive(Deserialize)]
struct Unobservable {
    unobservable_buses: Vec<String>,
}

/// Reads `truth_bus.csv`.
///
/// # Errors
/// It cannot be read, or a row is at fault.
pub fn truth_buses(path: &Path, network: &Network) -> Result<Vec<TruthBus>, Error> {
    rows(path, network, |row, lookup, say| {
        Some(TruthBus {
            bus: find(row, "bus_id", Lookup::bus, lookup, say)?,
            energised: row.flag("energised", say)?,
            vm_pu: row.number("vm_pu", say)?,
            va_deg: row.number("va_deg", say)?,
            p_inj_mw: row.number("p_inj_mw", say)?,
            q_inj_mvar: row.number("q_inj_mvar", say)?,
        })
    })
}

/// Reads `truth_branch.csv`.
///
/// # Errors
/// It cannot be read, or a row is at fault.
pub fn truth_branches(path: &Path, network: &Network) -> Result<Vec<TruthBranch>, Error> {
    rows(path, network, |row, lookup, say| {
        Some(TruthBranch {
            branch: find(row, "branch_id", Lookup::branch, lookup, say)?,
            p_from_mw: row.number("p_from_mw", say)?,
            q_from_mvar: row.number("q_from_mvar", say)?,
            p_to_mw: row.number("p_to_mw", say)?,
            q_to_mvar: row.number("q_to_mvar", say)?,
            i_from_ka: row.number("i_from_ka", say)?,
        })
    })
}

/// Reads `truth_injection.csv`.
///
/// # Errors
/// It cannot be read, or a row is at fault.
pub fn truth_injections(path: &Path, network: &Network) -> Result<Vec<TruthInjection>, Error> {
    rows(path, network, |row, lookup, say| {
        Some(TruthInjection {
            injection: find(row, "injection_id", Lookup::injection, lookup, say)?,
            p_mw: row.number("p_mw", say)?,
            q_mvar: row.number("q_mvar", say)?,
        })
    })
}

/// Reads `wls_<set>.csv`: buses that no source feeds are not in it.
///
/// # Errors
/// It cannot be read, or a row is at fault.
pub fn estimates(path: &Path, network: &Network) -> Result<Vec<Estimate>, Error> {
    rows(path, network, |row, lookup, say| {
        Some(Estimate {
            bus: find(row, "bus_id", Lookup::bus, lookup, say)?,
            vm_pu: row.number("vm_pu", say)?,
            va_deg: row.number("va_deg", say)?,
        })
    })
}

/// Reads `resid_<set>.csv`.
///
/// # Errors
/// It cannot be read, or a row is at fault.
pub fn residuals(path: &Path) -> Result<Vec<Residual>, Error> {
    rows(path, &Network::default(), |row, _, say| {
        let critical = row.flag("critical", say)?;
        let normalized = row.optional("normalized_residual", say);
        Some(Residual {
            meas_ids: row.text("meas_ids").split('+').map(str::to_owned).collect(),
            kind: row.text("kind").to_owned(),
            h_pu: row.number("h_pu", say)?,
            residual_pu: row.number("residual_pu", say)?,
            normalized: if critical { None } else { normalized },
            critical,
        })
    })
}

/// Reads `wls_<set>.json`.
///
/// # Errors
/// It cannot be read or is another file.
pub fn summary(path: &Path) -> Result<Summary, Error> {
    json(path)
}

/// Reads `bad_<set>.json`.
///
/// # Errors
/// It cannot be read or is another file.
pub fn bad(path: &Path) -> Result<Bad, Error> {
    json(path)
}

/// Reads `obs_<set>.json`: the buses that cannot be determined, by position, ascending.
///
/// # Errors
/// It cannot be read, is another file, or names a bus that is not there.
pub fn unobservable(path: &Path, network: &Network) -> Result<Vec<usize>, Error> {
    let named: Unobservable = json(path)?;
    let lookup = Lookup::new(network);
    let find = |id: &String| {
        let problem = missing("bus", id);
        lookup.bus(id).ok_or_else(|| Error::Malformed { path: path.to_owned(), problem })
    };
    let mut buses: Vec<usize> =
        named.unobservable_buses.iter().map(find).collect::<Result<_, _>>()?;
    buses.sort_unstable();
    Ok(buses)
}

fn rows<T>(
    path: &Path,
    network: &Network,
    read: impl Fn(&Row<'_>, &Lookup, &mut Vec<Remark>) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut say = Vec::new();
    let table = Table::read(path, &mut say)?;
    let lookup = Lookup::new(network);
    let found = table.rows().filter_map(|row| read(&row, &lookup, &mut say)).collect();
    whole(path, found, &say)
}

fn find(
    row: &Row<'_>,
    column: &str,
    by: impl Fn(&Lookup, &str) -> Option<usize>,
    lookup: &Lookup,
    say: &mut Vec<Remark>,
) -> Option<usize> {
    let key = row.text(column);
    let found = by(lookup, key);
    if found.is_none() {
        row.fault(column, missing("element", key), say);
    }
    found
}

fn json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(read)?;
    serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_owned(), source })
}
