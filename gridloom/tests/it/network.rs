//! An instance that estimates on a network file: SCADA, meters, phasors and switches from files,
//! the estimate against the truth of the case.
//!
//! The network is the public case CIGRE MV as pandapower wrote it; what is measured is one of its
//! measurement sets, noise and all, told again at each tick under the names of a point map.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::bad_input::ask;
use crate::cli::bad;
use crate::cli::good;

fn case() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("grid/tests/cases/cigre_mv")
}

/// The rows of a CSV file, each by column.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells = line.split(',').map(str::to_owned);
        columns.iter().map(|column| (*column).to_owned()).zip(cells).collect()
    };
    lines.map(row).collect()
}

/// Ticks that are told, and their first: 5 s each.
const TICKS: usize = 4;

fn at(tick: usize, second: usize) -> String {
    format!("2026-01-01T00:00:{:02}Z", 5 * tick + second)
}

const CONFIG: &str = "[instance]\nname = \"estimate\"\ndata_dir = \"data\"\npatience = \"off\"\n\
                      [network]\nfile = \"network.json\"\npoints = \"points.csv\"\nname = \"mv\"\n";

/// Writes an instance on a network file: its configuration with a file source a stream, what the
/// streams say, and the point map.
pub(crate) fn write_instance(
    folder: &Path,
    config: &str,
    points: &str,
    streams: &BTreeMap<&'static str, String>,
) {
    fs::write(folder.join("points.csv"), points).unwrap();
    let mut config = config.to_owned();
    for (stream, rows) in streams {
        fs::write(folder.join(format!("{stream}.ndjson")), rows).unwrap();
        writeln!(
            config,
            "[[sources]]\nname = \"{stream}\"\nkind = \"file\"\nstream = \"{stream}\"\n\
             path = \"{stream}.ndjson\"\nout_of_order = \"30s\""
        )
        .unwrap();
    }
    fs::write(folder.join("gridloom.toml"), config).unwrap();
}

/// A folder with the network, the map, what was measured, and the configuration.
struct Field {
    folder: tempfile::TempDir,
    points: String,
    streams: BTreeMap<&'static str, String>,
}

impl Field {
    fn new() -> Field {
        let folder = tempfile::tempdir().unwrap();
        let network = folder.path().join("network.json");
        fs::copy(case().join("network.pandapower.json"), network).unwrap();
        let points = "point,quantity,element,side,unit,sign,sigma,source\n".to_owned();
        Field { folder, points, streams: BTreeMap::new() }
    }

    /// Tells a row of a stream.
    fn tell(&mut self, stream: &'static str, row: &str) {
        let rows = self.streams.entry(stream).or_default();
        rows.push_str(row);
        rows.push('\n');
    }

    /// Everything that a measurement set of a scenario measured, at every tick: meters' active
    /// power as meters say it, phasors as frames, everything else as SCADA.
    fn measured(&mut self, set: &str) {
        let turn = |value: &str| value.parse::<f64>().unwrap();
        let mut frames: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for row in rows(&case().join(format!("base/meas_{set}.csv"))) {
            let [id, source, kind, element, side, unit, value, sigma] = [
                "meas_id",
                "source",
                "kind",
                "element_id",
                "side",
                "unit_si",
                "value_si",
                "sigma_si",
            ]
            .map(|column| row[column].as_str());
            let phasor = source == "pmu";
            let meter = source == "meter" && kind == "p_inj";
            let name =
                if phasor { format!("pmu-{element}-{side}{}", &kind[..1]) } else { id.to_owned() };
            let sign = if meter { "-" } else { "" };
            let of = if meter || phasor { source } else { "scada" };
            writeln!(self.points, "{name},{kind},{element},{side},{unit},{sign},{sigma},{of}")
                .unwrap();
            let number = turn(value);
            if phasor {
                let frame = frames.entry(name).or_default();
                if kind.ends_with("_ang") {
                    frame.1 = number;
                } else {
                    frame.0 = number;
                }
                continue;
            }
            for tick in 0..TICKS {
                let at = at(tick, 1);
                if meter {
                    self.tell("meter_readings", &format!(
                        "{{\"meter_id\":\"{name}\",\"measured_at\":\"{at}\",\"active_power_kw\":{},\
                         \"quality\":\"good\",\"revision\":0}}", -number
                    ));
                } else {
                    self.tell("scada_measurements", &format!(
                        "{{\"sensor_id\":\"{name}\",\"measured_at\":\"{at}\",\"value\":{number},\
                         \"quality_bits\":0}}"
                    ));
                }
            }
        }
        for tick in 0..TICKS {
            for (name, (magnitude, angle)) in &frames {
                let at = at(tick, 2);
                self.tell("pmu_phasors", &format!(
                    "{{\"pmu_id\":\"{name}\",\"measured_at\":\"{at}\",\"magnitude\":{magnitude},\
                     \"angle_rad\":{angle},\"frequency_hz\":50.0,\"rocof_hz_per_s\":0.0,\
                     \"status_bits\":0}}"
                ));
            }
        }
    }

    /// Where every switch stands in a scenario, from the first tick on.
    fn switched(&mut self, scenario: &str) {
        for row in rows(&case().join(scenario).join("switch_status.csv")) {
            let position = if row["closed"] == "1" { "closed" } else { "open" };
            let (switch, at) = (&row["switch_id"], at(0, 0));
            self.tell("switch_positions", &format!(
                "{{\"switch_id\":\"{switch}\",\"changed_at\":\"{at}\",\"position\":\"{position}\"}}"
            ));
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, more: &str) {
        write_instance(self.path(), &format!("{CONFIG}{more}"), &self.points, &self.streams);
    }

    /// Runs to the end of the files, and gives what was estimated of each bus: magnitude, angle.
    fn run(&self) -> BTreeMap<String, (f64, f64)> {
        good(self.path(), &["check"]);
        good(self.path(), &["run"]);
        let sql = "SELECT bus_id, vm_pu, va_deg FROM estimates.buses WHERE feeder_id = 'mv'";
        let number = |text: &str| text.parse::<f64>().unwrap();
        let row = |line: &String| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].to_owned(), (number(cells[1]), number(cells[2])))
        };
        ask(self.path(), sql).iter().map(row).collect()
    }
}

/// The estimate is an answer's within so much, per unit and degrees.
#[track_caller]
fn check(estimate: &BTreeMap<String, (f64, f64)>, answer: &str, most: (f64, f64)) {
    let expected = rows(&case().join("base/answers").join(answer));
    assert_eq!(estimate.len(), expected.len());
    for row in expected {
        let (vm, va) = estimate[&row["bus_id"]];
        let off = (vm - row["vm_pu"].parse::<f64>().unwrap()).abs();
        assert!(off < most.0, "{}: {off} pu", row["bus_id"]);
        let off = (va - row["va_deg"].parse::<f64>().unwrap()).abs();
        assert!(off < most.1, "{}: {off} degrees", row["bus_id"]);
    }
}

#[test]
fn an_instance_estimates_on_a_pandapower_file_and_lands_on_the_optimum() {
    let mut field = Field::new();
    field.measured("meters_s1");
    field.switched("base");
    // Every bus is to be said as it is, and the last tick knows the source no better than the
    // first.
    field.write("[agents]\nestimate_move_pu = 0.0\n");
    let estimate = field.run();
    check(&estimate, "truth_bus.csv", (0.004, 0.2));
    check(&estimate, "wls_meters_s1.csv", (1e-4, 5e-3));
    let sql = "SELECT status, observable_buses, problems FROM estimates.observability";
    assert_eq!(ask(field.path(), sql), ["estimated,15,"]);
    let sql = "SELECT count(*) FROM point_values WHERE feeder_id = 'mv'";
    assert_ne!(ask(field.path(), sql), ["0"]);
}

#[test]
fn phasors_of_the_same_network_make_its_angles_absolute() {
    let mut field = Field::new();
    field.measured("sparse_pmu_s1");
    field.switched("base");
    field.write("[agents]\nestimate_move_pu = 0.0\n");
    let estimate = field.run();
    check(&estimate, "truth_bus.csv", (0.004, 0.2));
    check(&estimate, "wls_sparse_pmu_s1.csv", (5e-4, 0.02));
}

#[test]
fn faults_of_network_and_map_are_told_before_anything_starts() {
    let mut field = Field::new();
    field.points.push_str("a,v_mag,B99,,kV,,0.1,\nb,p_flow,L0,,kW,,5,\n");
    field.write("taps = [\"T9\"]\n");
    let told = bad(field.path(), &["check"], 2);
    assert!(told.contains("there is no bus \"B99\""), "{told}");
    assert!(told.contains("is neither from nor to"), "{told}");
    assert!(told.contains("no two-winding transformer \"T9\""), "{told}");
    fs::write(field.path().join("network.json"), "{}").unwrap();
    let told = bad(field.path(), &["check"], 2);
    assert!(told.contains("network.file") && told.contains("known are a case folder"), "{told}");
    assert!(bad(field.path(), &["run"], 2).contains("network.file"));
}

/// An instance refuses what `grid check` refuses.
#[test]
fn a_network_with_twins_or_without_a_source_is_refused() {
    let field = Field::new();
    field.write("");
    let path = field.path().join("network.json");
    let sound = fs::read_to_string(&path).unwrap();
    for (table, from, to, part) in [
        ("load", "\"index\":[0,1,", "\"index\":[0,0,", "LD0 stands 2 times"),
        ("ext_grid", "1.0,true", "1.0,false", "network has no source"),
    ] {
        let mut network: serde_json::Value = serde_json::from_str(&sound).unwrap();
        let table = &mut network["_object"][table]["_object"];
        let text = table.as_str().unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{text}");
        *table = changed.into();
        fs::write(&path, network.to_string()).unwrap();
        let told = bad(field.path(), &["check"], 2);
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn check_says_what_network_it_found() {
    let mut field = Field::new();
    field.measured("meters_s1");
    field.write("taps = [\"T0\"]\n");
    let told = good(field.path(), &["check"]);
    assert!(told.contains("network mv: 15 buses, 17 branches and transformers"), "{told}");
    assert!(told.contains("point map: 56 points"), "{told}");
}
