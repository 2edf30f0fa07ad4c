//! An instance that estimates on an unbalanced file: an OpenDSS script of this repository, its
//! point map with phases, SCADA, meters, phasors and a switch from files, the estimate against
//! the script's power flow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use grid::Complex;
use grid::three_phase::Network;
use grid::three_phase::Settings;
use grid::three_phase::Solver;

use crate::bad_input::ask;
use crate::cli::bad;
use crate::cli::good;
use crate::network::write_instance;

/// Ticks that are told: 5 s each.
const TICKS: usize = 3;

/// How far the phasors' clock is ahead of the script's angles, in radians.
const TURNED: f64 = 0.4;

const CONFIG: &str = "[instance]\nname = \"estimate\"\ndata_dir = \"data\"\npatience = \"off\"\n\
                      [network]\nfile = \"feeder.dss\"\npoints = \"points.csv\"\nname = \"lv\"\n";

fn at(tick: usize, second: usize) -> String {
    format!("2026-01-01T00:00:{:02}Z", 5 * tick + second)
}

/// A folder with the script, the map, what was measured, and the configuration.
struct Field {
    folder: tempfile::TempDir,
    network: Network,
    solver: Solver,
    points: String,
    streams: BTreeMap<&'static str, String>,
}

impl Field {
    fn new() -> Field {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("feeder.dss");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        fs::copy(root.join("cases/tests/opendss/language.dss"), &script).unwrap();
        let network = cases::opendss::read(&script).unwrap().network;
        let mut solver = Solver::new(network.clone(), Settings::default());
        assert!(solver.solve().is_solved());
        let points = "point,quantity,element,side,phase,unit,sign,sigma,source\n".to_owned();
        Field { folder, network, solver, points, streams: BTreeMap::new() }
    }

    fn tell(&mut self, stream: &'static str, row: &str) {
        let rows = self.streams.entry(stream).or_default();
        rows.push_str(row);
        rows.push('\n');
    }

    fn scada(&mut self, point: &str, value: f64) {
        for tick in 0..TICKS {
            let at = at(tick, 1);
            self.tell(
                "scada_measurements",
                &format!(
                    "{{\"sensor_id\":\"{point}\",\"measured_at\":\"{at}\",\"value\":{value},\
                     \"quality_bits\":0}}"
                ),
            );
        }
    }

    fn meter(&mut self, point: &str, kw: f64) {
        for tick in 0..TICKS {
            let at = at(tick, 1);
            self.tell(
                "meter_readings",
                &format!(
                    "{{\"meter_id\":\"{point}\",\"measured_at\":\"{at}\",\"active_power_kw\":{kw},\
                     \"quality\":\"good\",\"revision\":0}}"
                ),
            );
        }
    }

    fn frames(&mut self, point: &str, phasor: Complex) {
        for tick in 0..TICKS {
            let (at, magnitude, angle) = (at(tick, 2), phasor.abs(), phasor.arg());
            self.tell(
                "pmu_phasors",
                &format!(
                    "{{\"pmu_id\":\"{point}\",\"measured_at\":\"{at}\",\"magnitude\":{magnitude},\
                     \"angle_rad\":{angle},\"frequency_hz\":60.0,\"rocof_hz_per_s\":0.0,\
                     \"status_bits\":0}}"
                ),
            );
        }
    }

    /// Voltages of all nodes, powers of all that draw: the active ones from meters.
    fn measured(&mut self) {
        let drawn = self.network.drawn();
        let idle = self.network.zero_injection_nodes();
        let sources = self.network.source_nodes();
        for (node, of) in self.network.nodes.clone().iter().enumerate() {
            // What no source can ever reach has no base.
            if of.base_volt == 0.0 {
                continue;
            }
            let (bus, phase) = of.id.rsplit_once('.').unwrap();
            let volt = self.solver.voltage(node).abs();
            writeln!(self.points, "{bus}-{phase}-V,v_mag,{bus},,{phase},V,,0.02%,").unwrap();
            self.scada(&format!("{bus}-{phase}-V"), volt);
            if idle.contains(&node) || sources.contains(&node) {
                continue;
            }
            writeln!(self.points, "{bus}-{phase}-P,p_inj,{},,,kW,-,0.05,meter", of.id).unwrap();
            writeln!(self.points, "{bus}-{phase}-Q,q_inj,{},,,kvar,-,0.05,", of.id).unwrap();
            self.meter(&format!("{bus}-{phase}-P"), drawn[node].re / 1e3);
            self.scada(&format!("{bus}-{phase}-Q"), drawn[node].im / 1e3);
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, more: &str) {
        write_instance(self.path(), &format!("{CONFIG}{more}"), &self.points, &self.streams);
    }

    /// Runs to the end of the files; each node's voltage must be the power flow's, turned by so
    /// much where that is known.
    #[track_caller]
    fn check(&self, turned: Option<f64>) {
        self.write("[agents]\nestimate_move_pu = 0.0\n");
        good(self.path(), &["check"]);
        good(self.path(), &["run"]);
        let sql = "SELECT status, observable_buses, dead_buses, problems \
                   FROM estimates.observability";
        let nodes = self.network.nodes.len();
        let live = (0..nodes).filter(|&node| self.solver.is_energised(node)).count();
        assert_eq!(ask(self.path(), sql), [format!("estimated,{live},{},", nodes - live)]);
        let sql = "SELECT bus_id, vm_pu, va_deg FROM estimates.buses WHERE feeder_id = 'lv'";
        let rows = ask(self.path(), sql);
        assert_eq!(rows.len(), nodes);
        for row in rows {
            let cells: Vec<&str> = row.split(',').collect();
            let node = self.network.node_index(cells[0]).unwrap();
            let base_volt = self.network.nodes[node].base_volt.max(1.0);
            let truth = self.solver.voltage(node).scale(1.0 / base_volt);
            let off = (cells[1].parse::<f64>().unwrap() - truth.abs()).abs();
            assert!(off < 1e-4, "{}: {off} pu", cells[0]);
            let Some(turned) = turned.filter(|_| self.solver.is_energised(node)) else {
                continue;
            };
            let angle = cells[2].parse::<f64>().unwrap().to_radians();
            let turn = Complex::from_polar(1.0, angle - truth.arg() - turned);
            assert!(turn.arg().abs() < 1e-3, "{}: {} rad", cells[0], turn.arg());
        }
    }
}

#[test]
fn an_instance_estimates_on_an_opendss_script_node_by_node() {
    let mut field = Field::new();
    field.measured();
    // A flow at the far end of a line, and a breaker that is heard of as a number.
    let network = &field.network;
    let element = network.element_index("line.positional").unwrap();
    let of = &network.elements[element];
    let at = of.terminal(1).iter().position(|node| network.nodes[node.unwrap()].id == "a.2");
    let current = field.solver.currents(element).unwrap()[of.conductors() + at.unwrap()];
    let power = field.solver.voltage(network.node_index("a.2").unwrap()) * current.conj();
    field.points.push_str("a.P,p_flow,positional,to,b,kW,,0.05,\nBreaker,status,sw,,,,,,\n");
    field.scada("a.P", power.re / 1e3);
    field.scada("Breaker", 1.0);
    field.check(None);
    let sql = "SELECT branch_id, round(p_kw) FROM estimates.branches \
               WHERE branch_id = 'line.positional.2'";
    assert_eq!(ask(field.path(), sql).len(), 1);
    let sql = "SELECT count(*) FROM estimates.residuals";
    assert_eq!(ask(field.path(), sql), ["0"]);
}

#[test]
fn phasors_of_a_bus_make_the_angles_of_all_nodes_absolute() {
    let mut field = Field::new();
    field.measured();
    for phase in ["1", "2", "3"] {
        let node = field.network.node_index(&format!("source.{phase}")).unwrap();
        let voltage = field.solver.voltage(node) * Complex::from_polar(1.0, TURNED);
        let point = format!("pmu-{phase}");
        for (quantity, sigma) in [("v_mag", "0.5"), ("v_ang", "0.0002")] {
            writeln!(field.points, "{point},{quantity},source,,{phase},,,{sigma},pmu").unwrap();
        }
        field.frames(&point, voltage);
    }
    field.check(Some(TURNED));
}

#[test]
fn faults_of_an_unbalanced_map_are_told_with_line_and_column() {
    let mut field = Field::new();
    let rows = [
        "a,v_mag,bb,,1,V,,1,",
        "b,v_mag,b,,,V,,1,",
        "c,p_flow,positional,middle,1,kW,,1,",
        "d,p_flow,sw,from,1,kW,,1,",
        "e,p_inj,load.m,,1,kW,,1,",
        "f,status,positional,,,,,,",
        "g,i_mag,positional,from,4,kW,,1,",
    ];
    field.points.push_str(&rows.join("\n"));
    field.write("taps = [\"transformer.yd\"]\nscenario = \"base\"\n");
    let told = bad(field.path(), &["check"], 2);
    for expected in [
        "points.csv:2, column element, a: there is no bus or node \"bb\"",
        "points.csv:3, column phase, b: is empty, and the bus has the phases 1, 2, 3",
        "points.csv:4, column side, c: \"middle\" is none of from, to",
        "points.csv:5, column element, d: line.sw is a switch",
        "points.csv:6, column element, e: at m.1 there is load.m2, too",
        "points.csv:7, column element, f: line.positional is no switch",
        "points.csv:8, column phase, g: \"4\" is none of the terminal's phases 1, 2, 3",
        "points.csv:8, column unit, g: \"kW\" is no unit of a i_mag",
        "taps is for balanced networks",
        "scenario is for balanced networks",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    assert!(bad(field.path(), &["run"], 2).contains("points.csv:2"));
}

#[test]
fn what_cannot_be_estimated_node_by_node_is_refused_by_name() {
    let field = Field::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let script = root.join("cases/tests/opendss/four_wire.dss");
    fs::copy(script, field.path().join("feeder.dss")).unwrap();
    field.write("");
    let told = bad(field.path(), &["check"], 2);
    assert!(told.contains("node a.4 has no voltage to ground: a neutral"), "{told}");
}

#[test]
fn check_says_how_many_nodes_it_found() {
    let mut field = Field::new();
    field.measured();
    field.write("");
    let told = good(field.path(), &["check"]);
    let nodes = field.network.nodes.len();
    assert!(told.contains(&format!("network lv: {nodes} nodes, ")), "{told}");
}
