//! The peers: Python packages in an environment of their own, each behind a pipe.
//!
//! The environment is made once, from `benches/peers/requirements.txt`, in the target directory; a
//! mark with the text it was made of is written last, so that half an environment, or one of other
//! versions, is made anew. What cannot be installed is named and left out.
//!
//! A peer answers one line of JSON for each line it is asked (`benches/peers/grid/worker.py`). One
//! that dies or does not answer in time is gone for the rest of the run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStdin;
use std::process::Command;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::channel;
use std::thread::Builder;
use std::time::Duration;

use grid::Complex;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::physics::race::Contestant;
use crate::physics::race::Turn;

/// How long an answer may take: the longest is a batch of a thousand, on a busy machine.
const ANSWER_MAX: Duration = Duration::from_mins(10);

/// Written into the environment once it is whole.
const WHOLE: &str = "whole";

/// An environment with what could be installed of the peers.
pub struct Environment {
    /// Its interpreter.
    pub python: PathBuf,
    /// What could not be installed, and why.
    pub absent: Vec<String>,
}

impl Environment {
    /// Finds the environment in a folder, or makes it of a list of requirements.
    ///
    /// # Errors
    /// There is no Python 3 with `venv`.
    pub fn prepare(folder: &Path, requirements: &Path) -> Result<Environment, String> {
        let wanted = fs::read_to_string(requirements)
            .map_err(|e| format!("{}: {e}", requirements.display()))?;
        let python = folder.join("bin/python");
        let mark = folder.join(WHOLE);
        if fs::read_to_string(&mark).is_ok_and(|made_of| made_of == wanted) {
            return Ok(Environment { python, absent: Vec::new() });
        }
        eprintln!("installing the peers into {} (once)", folder.display());
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        ran(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let pip = |package: &[&str]| {
            let mut command = Command::new(&python);
            command.args(["-m", "pip", "install", "-q", "--disable-pip-version-check"]);
            ran(command.args(package))
        };
        let mut absent = Vec::new();
        if pip(&["-r", &requirements.display().to_string()]).is_err() {
            // One that cannot be had must not cost us the others.
            let packages = wanted.lines().map(str::trim);
            for package in packages.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                if let Err(why) = pip(&[package]) {
                    absent.push(format!("{package}: {why}"));
                }
            }
        }
        if absent.is_empty() {
            fs::write(&mark, wanted).map_err(|e| format!("{}: {e}", mark.display()))?;
        }
        Ok(Environment { python, absent })
    }
}

/// Runs a command; what it said last where it fails.
fn ran(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    Err(format!("{program}: {last}"))
}

/// What a peer answers.
#[derive(Debug, Default, Deserialize)]
pub struct Reply {
    ok: bool,
    #[serde(default)]
    why: String,
    /// Times of the repetitions in ns.
    #[serde(default)]
    pub ns: Vec<f64>,
    #[serde(default)]
    vm: Vec<f64>,
    #[serde(default)]
    va: Vec<f64>,
    /// Versions of what it stands on.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// What it says about a network that it has prepared.
    #[serde(default)]
    pub about: Value,
}

/// A peer's process.
pub struct Worker {
    name: String,
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<String>,
    gone: Option<String>,
}

/// A peer that several races share.
pub type Shared = Rc<RefCell<Worker>>;

impl Worker {
    /// Starts a peer.
    ///
    /// # Errors
    /// The process cannot be started, or the package is not there.
    pub fn start(python: &Path, scripts: &Path, name: &str) -> Result<(Shared, Reply), String> {
        let mut command = Command::new(python);
        command.arg(scripts.join("worker.py")).arg(name);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("{}: {e}", python.display()))?;
        let to = child.stdin.take();
        let out = child.stdout.take().expect("its output is piped");
        let (line, from) = channel();
        let reads = move || {
            // Ends when the process does, or when nobody listens any more.
            for text in BufReader::new(out).lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    break;
                }
            }
        };
        let thread = Builder::new().name(format!("peer-{name}")).spawn(reads);
        thread.map_err(|e| format!("no thread for {name}: {e}"))?;
        let mut worker = Worker { name: name.to_owned(), child, to, from, gone: None };
        let hello = worker.ask(&json!({ "do": "hello" }))?;
        Ok((Rc::new(RefCell::new(worker)), hello))
    }

    /// Asks a peer.
    ///
    /// # Errors
    /// It failed, and this is why; or it is gone.
    pub fn ask(&mut self, request: &Value) -> Result<Reply, String> {
        if let Some(why) = &self.gone {
            return Err(why.clone());
        }
        let said = self.exchange(request);
        let reply = match said {
            Ok(reply) => reply,
            Err(why) => {
                let why = format!("{} is gone: {why}", self.name);
                self.gone = Some(why.clone());
                return Err(why);
            }
        };
        if reply.ok { Ok(reply) } else { Err(reply.why) }
    }

    fn exchange(&mut self, request: &Value) -> Result<Reply, String> {
        let to = self.to.as_mut().ok_or("its input is closed")?;
        writeln!(to, "{request}").map_err(|e| e.to_string())?;
        to.flush().map_err(|e| e.to_string())?;
        let line = self.from.recv_timeout(ANSWER_MAX).map_err(|e| e.to_string())?;
        serde_json::from_str(&line).map_err(|e| e.to_string())
    }

    /// Prepares a network from its file.
    ///
    /// # Errors
    /// It cannot, and this is why.
    pub fn prepare(&mut self, network: &str, path: &Path) -> Result<Reply, String> {
        self.ask(&json!({ "do": "prepare", "network": network, "path": path }))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without input it ends by itself; one that hangs does not.
        drop(self.to.take());
        if self.gone.is_some() {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

/// A task of a peer on a network.
pub struct Peer {
    worker: Shared,
    network: String,
    task: String,
}

impl Peer {
    /// A task of a peer on a network that it has prepared.
    pub fn new(worker: &Shared, network: &str, task: &str) -> Peer {
        let worker = Rc::clone(worker);
        Peer { worker, network: network.to_owned(), task: task.to_owned() }
    }
}

impl Contestant for Peer {
    fn run(&mut self, round: u64, repetitions: usize) -> Result<Turn, String> {
        let reply = self.worker.borrow_mut().ask(&json!({
            "do": "run", "network": self.network, "task": self.task,
            "repetitions": repetitions, "round": round,
        }))?;
        let polar = reply.vm.iter().zip(&reply.va);
        Ok(Turn {
            ms: reply.ns.iter().map(|ns| ns / 1e6).collect(),
            voltages: polar.map(|(&vm, &va)| Complex::from_polar(vm, va)).collect(),
        })
    }
}
