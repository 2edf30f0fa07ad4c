//! MATPOWER case files (`.m`, case format version 2).
//!
//! A case file is a program that returns tables, so it is carried out and not scanned: those of
//! distribution feeders state kW and ohm and convert them at their end. What the file computes is
//! what is read; a statement that is not understood is named with its line, and that the case may
//! be another one without it is said.
//!
//! The model is that of the *MATPOWER User's Manual*, section 3: everything per unit of `baseMVA`,
//! a branch is a π with an ideal ratio at its from end (`TAP` 0 is 1), shunts are MW and Mvar at
//! 1 per unit, `BR_STATUS` and `GEN_STATUS` above zero are in service. Bus types are taken as
//! MATPOWER's power flow takes them: a bus that holds its voltage without a machine in service is a
//! load bus, and where no reference is left the first voltage-controlled bus becomes it.
//!
//! # Identifiers
//!
//! A bus is `B` and its number in the file. Branches are `L` (lines) and `T` (transformers: by a
//! ratio, a shift, or two base voltages), loads `LD`, shunts `SH`, machines `EG` (at the
//! reference), `G` (that hold a voltage) and `SG` (that do not), each counted from 0 in the file's
//! order. A branch is also called by its two bus numbers, `4-7`.
//!
//! **Not read**: costs, areas, zones, voltage limits, limits of active power, DC lines, user data.
//! All are named.

mod build;
mod columns;
mod functions;
mod interpret;
mod lexer;
mod value;

use std::fs;
use std::path::Path;

use grid::network::Severity;

use self::interpret::Outcome;
use self::value::Matrix;
use self::value::Value;
use crate::import::Error;
use crate::import::Import;

/// Tables that are known and not read: how much it matters, and what that means.
const NAMED: &[(&str, Severity, &str)] = &[
    ("gencost", Severity::Note, "costs are not read"),
    ("dclinecost", Severity::Note, "costs are not read"),
    ("areas", Severity::Note, "areas are not read"),
    ("bus_name", Severity::Note, "names are not read: a bus is called by its number"),
    ("gentype", Severity::Note, "types of machines are not read"),
    ("genfuel", Severity::Note, "fuels are not read"),
    ("storage", Severity::Fatal, "storage is left out"),
];

/// Reads a file.
///
/// # Errors
/// The file cannot be read, or has not the tables of a case of version 2.
pub fn read(path: &Path) -> Result<Import, Error> {
    // Comments of old cases are in Latin-1; what is read is ASCII.
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    parse(&String::from_utf8_lossy(&bytes), &file)
        .map_err(|problem| Error::Malformed { path: path.to_owned(), problem })
}

/// The network of a case file's text; `file` is what remarks call it.
///
/// # Errors
/// What is missing, if the text is not a case of version 2.
pub fn parse(text: &str, file: &str) -> Result<Import, String> {
    let outcome = interpret::run(text);
    let case = Case::of(&outcome, file)?;
    let mut import = build::import(&case);
    for complaint in &outcome.complaints {
        let (severity, meaning) = if complaint.of_case {
            (Severity::Fatal, "the case is not the one that the file computes")
        } else {
            (Severity::Warning, "it is passed over")
        };
        let problem = format!("is not understood ({}): {meaning}", complaint.problem);
        let place = format!("{file}:{}", complaint.line);
        import.remark(severity, place, format!("`{}`", complaint.statement), problem);
    }
    case.name_unread(&outcome, &mut import);
    Ok(import)
}

/// The tables of a case.
struct Case<'a> {
    file: &'a str,
    name: String,
    base_mva: f64,
    bus: &'a Matrix,
    gens: &'a Matrix,
    branch: &'a Matrix,
}

/// The least number of columns of each table.
const COLUMNS: [(&str, usize); 3] = [("bus", 10), ("gen", 8), ("branch", 11)];

impl<'a> Case<'a> {
    fn of(outcome: &'a Outcome, file: &'a str) -> Result<Case<'a>, String> {
        let get = |field: &str| outcome.variables.get(&format!("{}.{field}", outcome.case));
        let first = outcome.complaints.first();
        let because = first.map_or_else(String::new, |first| {
            format!("; what was not understood first is line {}: {}", first.line, first.problem)
        });
        if let Some((_, version)) = get("version") {
            let two = *version == Value::Text("2".to_owned()) || *version == Value::from(2.0);
            if !two {
                return Err("is of another case format than version 2; MATPOWER's \
                            loadcase and savecase convert it"
                    .to_owned());
            }
        }
        let table = |(field, columns): (&str, usize)| match get(field) {
            Some((_, Value::Numbers(matrix))) if matrix.rows == 0 || matrix.columns >= columns => {
                Ok(matrix)
            }
            Some((line, _)) => Err(format!(
                "has a {}.{field} on line {line} that is no table of at least {columns} columns",
                outcome.case
            )),
            None => Err(format!(
                "has no {}.{field}: it is not a MATPOWER case of version 2{because}",
                outcome.case
            )),
        };
        let [bus, gens, branch] = COLUMNS.map(table);
        let (bus, gens, branch) = (bus?, gens?, branch?);
        let base = get("baseMVA").and_then(|(_, value)| value.clone().number().ok());
        let base = base.filter(|base| base.is_finite() && *base > 0.0);
        let base_mva = base.ok_or_else(|| {
            format!("has no {}.baseMVA that is a number above zero{because}", outcome.case)
        })?;
        let name = file.strip_suffix(".m").unwrap_or(file).to_owned();
        Ok(Case { file, name, base_mva, bus, gens, branch })
    }

    /// Where a row of a table stands, as far as it was written down.
    fn place(&self, table: &Matrix, row: usize) -> String {
        match table.lines.get(row) {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.to_owned(),
        }
    }

    /// Names the fields of the case that are not read.
    fn name_unread(&self, outcome: &Outcome, import: &mut Import) {
        let prefix = format!("{}.", outcome.case);
        for (name, (line, value)) in &outcome.variables {
            let Some(field) = name.strip_prefix(&prefix) else { continue };
            let place = format!("{}:{line}", self.file);
            match field {
                "version" | "baseMVA" | "bus" | "gen" | "branch" => continue,
                "dcline" => self.name_dc_lines(value, import),
                _ => {
                    let known = NAMED.iter().find(|(known, ..)| *known == field);
                    let (severity, problem) = match known {
                        Some((_, severity, problem)) => (*severity, *problem),
                        None => (Severity::Warning, "this field is not known here and not read"),
                    };
                    import.remark(severity, place, name.clone(), problem);
                }
            }
        }
    }

    /// MATPOWER's own power flow passes them over, unless `toggle_dcline` was called.
    fn name_dc_lines(&self, value: &Value, import: &mut Import) {
        let Value::Numbers(table) = value else { return };
        for row in 0..table.rows {
            let [from, to, status] =
                [0, 1, 2].map(|column| table.at(row).get(column).copied().unwrap_or(f64::NAN));
            let severity = if status > 0.0 { Severity::Warning } else { Severity::Note };
            let problem = "is left out, as MATPOWER's power flow does without toggle_dcline";
            let element = format!("DC line {from}-{to}");
            import.remark(severity, self.place(table, row), element, problem);
        }
    }
}
