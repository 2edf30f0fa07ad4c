//! How far power flows are from the truth, case by case and format by format: two tables in
//! `docs/physics.md`.
//!
//! What is left is rounding, of the truth's twelve digits and of ours, so it is told as the power
//! of ten it stays below; a row is stale when what is measured is above that, or a thousand times
//! below.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use cases::Import;
use cases::folder;
use cases::folder::answers;
use grid::Complex;
use grid::Model;
use grid::model::SourceImpedance;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;

use crate::document;
use crate::places;
use crate::three_phase;

/// Largest differences from a truth.
#[derive(Clone, Copy, Default)]
struct Off {
    vm_pu: f64,
    va_deg: f64,
}

impl Off {
    fn take(&mut self, found: Complex, truth: Complex, base: f64) {
        let magnitude = (found.abs() - truth.abs()).abs() / base;
        let angle = (found * truth.conj()).arg().to_degrees().abs();
        // Not a number must not hide.
        let largest = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
        self.vm_pu = largest(self.vm_pu, magnitude);
        if truth.abs() > 1e-6 * base {
            self.va_deg = largest(self.va_deg, angle);
        }
    }
}

/// A row: what it is of, in the columns before the numbers, and the numbers.
struct Row {
    of: Vec<String>,
    off: Off,
}

/// The power of ten above a number; of what is nothing but rounding that of rounding.
fn bound(off: f64) -> i32 {
    off.max(1e-15).log10().floor() as i32 + 1
}

fn line(row: &Row) -> String {
    let (vm, va) = (bound(row.off.vm_pu), bound(row.off.va_deg));
    format!("| {} | 1e{vm} | 1e{va} |\n", row.of.join(" | "))
}

/// The table as documented has a row for each of these, whose bounds hold and are not slack.
#[track_caller]
fn check(name: &str, head: &str, rows: &[Row], whole: bool) {
    let anew = head.to_owned() + &rows.iter().map(line).collect::<String>();
    let written = document::table(name, &anew, whole);
    let mut lines: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for line in written.lines().skip(2) {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let (of, numbers) = cells.split_at(cells.len() - 2);
        let number = |text: &str| text.trim().parse::<f64>().unwrap();
        lines.insert(of.join(" | "), (number(numbers[0]), number(numbers[1])));
    }
    assert!(!whole || lines.len() == rows.len(), "rows of {name}: run with UPDATE_EXPECT=1");
    for row in rows {
        let of = row.of.join(" | ");
        let Some(&(vm, va)) = lines.get(&of) else {
            panic!("{of} is not in docs/physics.md: run with UPDATE_EXPECT=1")
        };
        for (off, bound) in [(row.off.vm_pu, vm), (row.off.va_deg, va)] {
            let fits = off < bound && (off.max(1e-15) > bound * 1e-3);
            assert!(fits, "{of}: {off:e} is documented as {bound:e}: run with UPDATE_EXPECT=1");
        }
    }
}

/// The solution of a network with switches as they are said to stand.
#[track_caller]
fn solved(import: &Import, closed: Option<&[bool]>) -> PowerFlow {
    let mut flow = PowerFlow::new(Model::new(&import.network, SourceImpedance::Kept).unwrap());
    for (switch, &closed) in closed.into_iter().flatten().enumerate() {
        flow.set_switch(switch, closed);
    }
    let outcome = flow.solve(Start::Flat, &Settings::default());
    assert!(outcome.solved(), "{}: {outcome:?}", import.network.name);
    flow
}

/// An import with a case folder's buses, in all its scenarios.
fn of_scenarios(folder: &Path, import: &Import) -> (usize, Off) {
    let (mut off, mut count) = (Off::default(), 0);
    for scenario in places::scenarios(folder) {
        let network = &import.network;
        let path = scenario.join("switch_status.csv");
        let closed = folder::switch_positions(&path, network).unwrap().closed;
        let flow = solved(import, Some(&closed));
        let truth = scenario.join("answers/truth_bus.csv");
        for bus in answers::truth_buses(&truth, network).unwrap() {
            let truth = Complex::from_polar(bus.vm_pu, bus.va_deg.to_radians());
            off.take(flow.voltage(bus.bus), truth, 1.0);
        }
        count += 1;
    }
    (count, off)
}

/// An import of the base scenario alone, whose buses a column of the truth names, or which stand in
/// the truth's order.
fn of_base(folder: &Path, import: &Import, column: Option<&str>) -> (usize, Off) {
    let flow = solved(import, None);
    let text = std::fs::read_to_string(folder.join("base/answers/truth_bus.csv")).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let place = |name: &str| header.iter().position(|cell| *cell == name).unwrap();
    let mut off = Off::default();
    for (at, row) in text.lines().skip(1).enumerate() {
        let cells: Vec<&str> = row.split(',').collect();
        let number = |name: &str| cells[place(name)].parse::<f64>().unwrap();
        let bus = match column {
            Some(column) => import.network.bus_index(cells[place(column)]).unwrap().0,
            None => at,
        };
        let truth = Complex::from_polar(number("vm_pu"), number("va_deg").to_radians());
        off.take(flow.voltage(bus), truth, 1.0);
    }
    (1, off)
}

const BALANCED: &str = "\
| case | from | scenarios | worst V below, pu | worst angle below, degrees |
|---|---|--:|--:|--:|
";

#[test]
fn power_flows_of_every_format_are_as_documented() {
    let mut rows = Vec::new();
    let mut whole = true;
    for case in places::CASES {
        let Some(folder) = places::case(case) else {
            whole = false;
            continue;
        };
        let mut add = |from: &str, (scenarios, off): (usize, Off)| {
            let of = [case, from, &scenarios.to_string()].map(str::to_owned).to_vec();
            rows.push(Row { of, off });
        };
        add("case folder", of_scenarios(&folder, &folder::read(&folder).unwrap()));
        let json = cases::pandapower::read(&folder.join("network.pandapower.json")).unwrap();
        add("pandapower", of_scenarios(&folder, &json));
        let json = cases::pgm::read(&folder.join("network.pgm.json")).unwrap();
        add("Power Grid Model", of_base(&folder, &json, Some("node")));
        let originals = std::fs::read_dir(folder.join("original")).into_iter().flatten().flatten();
        let is_case = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "m");
        let script = originals.map(|entry| entry.path()).find(is_case);
        if let Some(script) = script {
            let import = cases::matpower::read(&script).unwrap();
            add("MATPOWER", of_base(&folder, &import, None));
        }
    }
    check("power flow accuracy", BALANCED, &rows, whole);
}

const THREE_PHASE: &str = "\
| feeder | from | nodes | controls | worst V below, pu | worst angle below, degrees |
|---|---|--:|---|--:|--:|
";

#[test]
fn three_phase_power_flows_are_as_documented() {
    let mut rows = Vec::new();
    let all = three_phase::solved_feeders();
    let whole = all.iter().all(Option::is_some);
    for feeder in all.into_iter().flatten() {
        let network = feeder.solver.network();
        let mut off = Off::default();
        for (at, node) in network.nodes.iter().enumerate() {
            let base = if node.base_volt > 0.0 { node.base_volt } else { 1.0 };
            off.take(feeder.solver.voltage(at), feeder.truth[&node.id], base);
        }
        let controls = match (network.controls.len(), feeder.moves) {
            (0, _) => "none".to_owned(),
            (count, None) => format!("{count}, frozen"),
            (count, Some(moves)) => format!("{count}, own loop, {moves} moves"),
        };
        let nodes = network.nodes.len().to_string();
        let of = vec![feeder.name.to_owned(), feeder.from.to_owned(), nodes, controls];
        rows.push(Row { of, off });
    }
    check("three-phase accuracy", THREE_PHASE, &rows, whole);
}
