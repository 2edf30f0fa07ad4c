//! What readers of unbalanced networks say of what they do not understand, and telemetry.

use std::path::Path;
use std::path::PathBuf;

use grid::measurement::Quantity;
use grid::three_phase::measurement::Target;

/// A script in a folder of its own, and what is said of it.
#[track_caller]
fn check_said(script: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feeder.dss");
    std::fs::write(&path, script).unwrap();
    let import = cases::opendss::read(&path).unwrap();
    let said: Vec<String> = import.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(said, expected);
}

const CIRCUIT: &str = "new circuit.c basekv=4.16\nset voltagebases=[4.16]\n";

#[test]
fn a_class_that_is_not_modelled_is_named_once() {
    check_said(
        &format!("{CIRCUIT}new generator.g bus1=sourcebus kw=10\n~ kvar=5\n"),
        &["feeder.dss:3, generator.g: class generator is not understood; it is left out"],
    );
}

#[test]
fn a_property_that_changes_the_answer_is_named_and_a_rating_is_not() {
    check_said(
        &format!("{CIRCUIT}new line.l bus1=sourcebus bus2=b normamps=4 geometry=g"),
        &["feeder.dss:3, line.l: geometry: geometry is not understood here"],
    );
}

#[test]
fn a_property_that_does_not_exist_is_named() {
    check_said(
        &format!("{CIRCUIT}new load.l bus1=sourcebus.1 phases=1 kv=2.4 kw=1\n~ colour=3"),
        &["feeder.dss:4, load.l: has no property colour"],
    );
}

#[test]
fn a_name_that_leads_nowhere_is_named_where_it_stands() {
    check_said(
        &format!(
            "{CIRCUIT}redirect nowhere.dss\nnew line.l bus1=sourcebus bus2=b linecode=x\n\
             new regcontrol.r transformer=t winding=2"
        ),
        &[
            "feeder.dss:3: nowhere.dss is not there",
            "feeder.dss:4, line.l: linecode: line code x is not there",
            "feeder.dss:5, regcontrol.r: transformer.t is not there",
        ],
    );
}

#[test]
fn a_load_model_that_is_not_modelled_is_named() {
    check_said(
        &format!("{CIRCUIT}new load.l bus1=sourcebus kv=4.16 kw=1 kvar=1 model=7"),
        &["feeder.dss:3, load.l: model: load model 7 is not understood, 1 to 5 and 8 are"],
    );
}

#[test]
fn an_edit_of_what_is_not_there_is_named() {
    check_said(
        &format!("{CIRCUIT}Transformer.t.taps=[1 1]\nfrobnicate"),
        &[
            "feeder.dss:3, transformer.t: is edited and not there",
            "feeder.dss:4: command frobnicate is not understood",
        ],
    );
}

#[test]
fn files_are_found_whatever_the_case_of_their_letters() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("Parts")).unwrap();
    let part = "new load.l bus1=sourcebus kv=4.16 kw=3 kvar=1";
    std::fs::write(folder.path().join("Parts/LOADS.DSS"), part).unwrap();
    let path = folder.path().join("feeder.dss");
    std::fs::write(&path, format!("{CIRCUIT}redirect parts\\loads.dss")).unwrap();
    let import = cases::opendss::read(&path).unwrap();
    assert!(import.remarks.is_empty(), "{:?}", import.remarks);
    assert_eq!(import.network.loads.len(), 1);
}

/// A case that may not be copied; nothing where there is none, and loudly so.
fn data(case: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GRIDLOOM_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let folder = root.join("grid").join(case);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{}: set GRIDLOOM_DATA", folder.display());
    eprintln!("NOT TESTED: {} is not there, set GRIDLOOM_DATA", folder.display());
    None
}

#[test]
fn telemetry_of_phase_nodes_is_read_in_volts_and_watts() {
    let Some(folder) = data("ieee13_unbal") else { return };
    let network = cases::elements::read_folder(&folder).unwrap().network;
    let path = folder.join("meas_sparse_pmu_s1.csv");
    let (measurements, remarks) = cases::elements::read_measurements(&path, &network).unwrap();
    assert!(remarks.is_empty(), "{remarks:?}");
    let count = |quantity| measurements.iter().filter(|m| m.quantity == quantity).count();
    assert_eq!(measurements.len(), 84);
    assert_eq!(count(Quantity::VoltageAngle), 15);
    assert_eq!(count(Quantity::ActivePower), 25);
    let first = &measurements[0];
    assert_eq!(first.target, Target::Node(network.node_index("sourcebus.1").unwrap()));
    assert!((first.value - 65_984.641_5).abs() < 1e-9);
}
