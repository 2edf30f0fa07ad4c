//! The state as a table: one row a bus, as CSV.
//!
//! The first five columns are the same whatever made the state: `bus_id, vm_pu, va_deg, energised,
//! observable`. A dead bus has the voltage 0; a bus that cannot be observed has none, so its cells
//! are empty and not guessed.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

/// What is known of a bus.
pub(super) struct BusState {
    /// The bus.
    pub id: String,
    /// Voltage magnitude per unit and angle in degrees; nothing where it cannot be observed.
    pub voltage: Option<(f64, f64)>,
    /// False if no source reaches it.
    pub energised: bool,
    /// What else is said of it, in the order of the extra columns.
    pub more: Vec<String>,
}

/// Refuses files that cannot be written, before anything is computed that would go there.
///
/// # Errors
/// A folder is missing, a file may not be written, or two of them are one.
pub(super) fn check_writable(files: &[Option<&Path>]) -> anyhow::Result<()> {
    let files: Vec<&Path> = files.iter().copied().flatten().collect();
    for (at, path) in files.iter().enumerate() {
        if files[..at].contains(path) {
            anyhow::bail!("two answers cannot both go to {}", path.display());
        }
        let refused = || format!("cannot write {}", path.display());
        let mut options = std::fs::OpenOptions::new();
        if path.exists() {
            options.append(true).open(path).with_context(refused)?;
        } else {
            options.write(true).create_new(true).open(path).with_context(refused)?;
            std::fs::remove_file(path).with_context(refused)?;
        }
    }
    Ok(())
}

/// Writes states to a file.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(
    path: &Path,
    id_column: &str,
    extra_columns: &[&str],
    states: &[BusState],
) -> anyhow::Result<()> {
    let mut table = Table::new(path)?;
    let first = [id_column, "vm_pu", "va_deg", "energised", "observable"];
    table.row(first.iter().chain(extra_columns).map(|column| (*column).to_owned()))?;
    for state in states {
        let (vm, va) = match state.voltage {
            _ if !state.energised => ("0".to_owned(), "0".to_owned()),
            Some((vm_pu, va_deg)) => (digits(vm_pu), digits(va_deg)),
            None => (String::new(), String::new()),
        };
        let observable = !state.energised || state.voltage.is_some();
        let flags = [state.energised, observable].map(|flag| u8::from(flag).to_string());
        let cells = [state.id.clone(), vm, va].into_iter().chain(flags);
        table.row(cells.chain(state.more.iter().cloned()))?;
    }
    table.finish()
}

/// What is smaller is rounding of an angle or a power that is zero.
const SMALL: f64 = 1e-15;

/// A number with twelve digits: more than any measurement has, enough to compare solvers.
pub(super) fn digits(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    if value.abs() < SMALL {
        return "0".to_owned();
    }
    // Through the shortest form of the rounded number: 1 and not 1.00000000000e0.
    format!("{value:.11e}").parse::<f64>().map_or_else(|_| String::new(), |v| v.to_string())
}

/// A CSV file that is written row by row.
pub(super) struct Table {
    name: String,
    file: std::io::BufWriter<std::fs::File>,
}

impl Table {
    /// A new file; an old one of that name is replaced.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn new(path: &Path) -> anyhow::Result<Table> {
        let name = path.display().to_string();
        let file = std::fs::File::create(path).with_context(|| format!("cannot write {name}"))?;
        Ok(Table { name, file: std::io::BufWriter::new(file) })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        let cells: Vec<String> = cells.into_iter().map(|cell| quoted(&cell)).collect();
        writeln!(self.file, "{}", cells.join(","))
            .with_context(|| format!("cannot write {}", self.name))
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.file.flush().with_context(|| format!("cannot write {}", self.name))
    }
}

/// A cell as CSV wants it (RFC 4180).
fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
