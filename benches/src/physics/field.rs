//! The field: the peers that could be started, and the networks that all are given.
//!
//! Networks lie as files in the target directory, where the peers read them. A peer prepares a
//! network when its first race asks for it, and keeps it. Who cannot start or prepare is in the
//! race as one who fails, so that the table says so.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::Value;

use crate::physics::case::Case;
use crate::physics::peers::Environment;
use crate::physics::peers::Peer;
use crate::physics::peers::Shared;
use crate::physics::peers::Worker;
use crate::physics::plan::measured;
use crate::physics::race::Absent;
use crate::physics::race::Contestant;
use crate::physics::race::Entrant;
use crate::physics::radial::radial;

/// Power Grid Model.
pub const PGM: &str = "pgm";
/// lightsim2grid.
pub const LIGHTSIM: &str = "lightsim";
/// OpenDSS.
pub const OPENDSS: &str = "opendss";
/// pandapower: where networks come from.
pub const NETWORKS: &str = "networks";

/// Networks that pandapower ships.
pub const SHIPPED: [&str; 4] = ["case14", "case118", "case1354pegase", "case9241pegase"];

/// Sizes of the radial networks.
pub const RADIAL: [usize; 2] = [1_000, 10_000];

/// Peers and networks.
pub struct Field {
    folder: PathBuf,
    workers: BTreeMap<&'static str, Result<Shared, String>>,
    prepared: BTreeMap<(&'static str, String), Result<Value, String>>,
    files: BTreeMap<String, PathBuf>,

    /// Versions of all that could be started.
    pub versions: BTreeMap<String, String>,
    /// What is missing, to be said loudly.
    pub loud: Vec<String>,
}

impl Field {
    /// Installs and starts the peers, if wanted. `folder` is ours in the target directory, `peers`
    /// where their requirements and scripts lie.
    pub fn prepare(folder: &Path, peers: &Path, wanted: bool) -> Field {
        let mut field = Field {
            folder: folder.to_owned(),
            workers: BTreeMap::new(),
            prepared: BTreeMap::new(),
            files: BTreeMap::new(),
            versions: BTreeMap::new(),
            loud: Vec::new(),
        };
        if let Err(why) = std::fs::create_dir_all(folder) {
            field.loud.push(format!("{}: {why}", folder.display()));
        }
        let made = match wanted {
            true => Environment::prepare(&folder.join("python"), &peers.join("requirements.txt")),
            false => Err("not asked for".to_owned()),
        };
        if let Ok(environment) = &made {
            field.loud.extend(environment.absent.iter().map(|who| format!("ABSENT: {who}")));
        }
        for name in [NETWORKS, PGM, LIGHTSIM, OPENDSS] {
            let started = made.as_ref().map_err(Clone::clone).and_then(|environment| {
                Worker::start(&environment.python, &peers.join("grid"), name)
            });
            let started = match started {
                Ok((worker, hello)) => {
                    field.versions.extend(hello.versions);
                    Ok(worker)
                }
                Err(why) => {
                    field.loud.push(format!("ABSENT: {name}: {why}"));
                    Err(format!("absent: {why}"))
                }
            };
            field.workers.insert(name, started);
        }
        field
    }

    /// A network that pandapower ships, measured, and written for the peers.
    ///
    /// # Errors
    /// pandapower is absent, or does not have it.
    pub fn shipped(&mut self, name: &str) -> Result<Case, String> {
        let path = self.folder.join(format!("{name}.json"));
        self.worker(NETWORKS)?.borrow_mut().prepare(name, &path)?;
        self.written(measured(Case::read(&path)?)?)
    }

    /// A radial network of so many nodes, measured, and written for the peers.
    ///
    /// # Errors
    /// It could not be written.
    pub fn radial(&mut self, nodes: usize) -> Result<Case, String> {
        self.written(measured(radial(nodes))?)
    }

    fn written(&mut self, case: Case) -> Result<Case, String> {
        let path = self.folder.join(format!("{}.json", case.name.replace(' ', "_")));
        case.write(&path)?;
        self.files.insert(case.name.clone(), path);
        Ok(case)
    }

    /// Names a file that peers read as it is.
    pub fn file(&mut self, network: &str, path: &Path) {
        self.files.insert(network.to_owned(), path.to_owned());
    }

    /// All versions in a line.
    pub fn versions_text(&self) -> String {
        let texts = self.versions.iter().map(|(name, version)| format!("{name} {version}"));
        texts.collect::<Vec<_>>().join(", ")
    }

    fn worker(&self, peer: &'static str) -> Result<Shared, String> {
        match &self.workers[peer] {
            Ok(worker) => Ok(Rc::clone(worker)),
            Err(why) => Err(why.clone()),
        }
    }

    /// What a peer says about a network, which it prepares if it has not yet.
    ///
    /// # Errors
    /// The peer is absent or cannot, and this is why.
    pub fn about(&mut self, peer: &'static str, network: &str) -> Result<&Value, String> {
        let worker = self.worker(peer)?;
        let key = (peer, network.to_owned());
        if !self.prepared.contains_key(&key) {
            let path = self.files.get(network).ok_or("no such network")?;
            let done = worker.borrow_mut().prepare(network, path);
            self.prepared.insert(key.clone(), done.map(|reply| reply.about));
        }
        self.prepared[&key].as_ref().map_err(Clone::clone)
    }

    /// A peer's task on a network; one who fails where it cannot.
    pub fn peer(&mut self, peer: &'static str, network: &str, task: &str) -> Box<dyn Contestant> {
        let prepared = self.about(peer, network).map(|_| ());
        match prepared.and_then(|()| self.worker(peer)) {
            Ok(worker) => Box::new(Peer::new(&worker, network, task)),
            Err(why) => Box::new(Absent(why)),
        }
    }

    /// A peer in a race.
    pub fn entrant(
        &mut self,
        name: &'static str,
        peer: (&'static str, &str),
        network: &str,
        counts: bool,
    ) -> Entrant {
        Entrant { name, runs: self.peer(peer.0, network, peer.1), counts, repetitions: None }
    }
}
