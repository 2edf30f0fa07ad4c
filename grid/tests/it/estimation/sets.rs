//! The measurement sets of the public cases, wherever they are.

use std::path::Path;
use std::path::PathBuf;

use cases::folder;
use grid::Model;
use grid::Network;
use grid::Topology;
use grid::estimation::Estimator;
use grid::measurement::Measurement;
use grid::model::SourceImpedance;

use crate::places;

const SCENARIOS: [&str; 4] = ["base", "open_loop", "open_dead", "open_transfer"];

/// A measurement set of a balanced case, and how the switches stand.
pub(crate) struct Set {
    pub(crate) case: String,
    pub(crate) scenario: String,
    pub(crate) name: String,
    pub(crate) network: Network,
    pub(crate) model: Model,
    pub(crate) topology: Topology,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) answers: PathBuf,
}

impl Set {
    pub(crate) fn read(folder: &Path, scenario: &str, name: &str) -> Set {
        let import = folder::read(folder).unwrap();
        assert!(import.is_whole(), "{:?}", import.remarks);
        let network = import.network;
        let model = Model::new(&network, SourceImpedance::Omitted).unwrap();
        let at = folder.join(scenario);
        let closed = folder::switch_positions(&at.join("switch_status.csv"), &network).unwrap();
        let readings = folder::measurements(&at.join(format!("meas_{name}.csv")), &network);
        let readings = readings.unwrap();
        assert!(readings.remarks.is_empty(), "{:?}", readings.remarks);
        Set {
            case: folder.file_name().unwrap().to_str().unwrap().to_owned(),
            scenario: scenario.to_owned(),
            name: name.to_owned(),
            topology: Topology::with_positions(&model, &closed.closed),
            network,
            model,
            measurements: readings.measurements,
            answers: at.join("answers"),
        }
    }

    pub(crate) fn estimator(&self) -> Estimator {
        Estimator::new(&self.model, &self.topology, &self.measurements)
    }

    pub(crate) fn answer(&self, begin: &str, end: &str) -> PathBuf {
        self.answers.join(format!("{begin}{}{end}", self.name))
    }

    pub(crate) fn title(&self) -> String {
        format!("{} {} {}", self.case, self.scenario, self.name)
    }
}

/// Names of the files of a folder that begin and end so, without both.
pub(crate) fn files(folder: &Path, begin: &str, end: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix(begin)?.strip_suffix(end)?.to_owned()))
        .collect();
    found.sort();
    found
}

/// Every set of a case with a stored answer that is called so.
pub(crate) fn sets(case: &str, begin: &str, end: &str) -> Vec<Set> {
    let Some(folder) = places::case(case) else { return Vec::new() };
    let mut all = Vec::new();
    for scenario in SCENARIOS.into_iter().filter(|scenario| folder.join(scenario).is_dir()) {
        for name in files(&folder.join(scenario).join("answers"), begin, end) {
            all.push(Set::read(&folder, scenario, &name));
        }
    }
    assert!(!all.is_empty(), "{case} has stored answers {begin}*{end}");
    all
}
