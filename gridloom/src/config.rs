//! What `gridloom.toml` says: one typed value, and every mistake in the file at once.
//!
//! A configuration is read in one go, before anything is opened. Each key is checked where it is
//! read ([`reader`]), so the reader is also the list of right names; mistakes carry file, line, key
//! and what was probably meant. Keys that a connector owns are handed on as they are, with their
//! lines, and the connector reports on them.
//!
//! Relative paths start at the folder of the file: the same file means the same from anywhere.
//! What is not said is in [`DEFAULT`], whose text a test compares with these defaults.
//!
//! **Invariant:** a [`Config`] that exists is one in which every key was known and had its type.
//!
//! It does not open files or brokers; see [`crate::check`].

mod agents;
mod archive;
mod desk;
mod doors;
pub mod duration;
mod network;
mod reader;
mod streams;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use ::desk::Openings;
use operators::settings::Settings;
use pipeline::ingest::IngestSettings;
use pipeline::instance::DEFAULT_SNAPSHOT_EVERY;
use pipeline::instance::DEFAULT_TICKS_IN_FLIGHT;
use pipeline::log::InstanceId;
use schemas::catalog::Catalog;
use schemas::time::Step;
use toml_edit::Document;

pub use self::archive::Archive;
pub use self::doors::Door;
pub use self::doors::Source;
pub use self::network::NetworkFile;
use self::reader::File;
use self::reader::Section;
use crate::problem::Problem;
use crate::problem::Problems;

/// A configuration that says everything, with the defaults: what `gridloom.toml` may hold.
pub const DEFAULT: &str = include_str!("default.toml");

/// Where an instance keeps its data unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "gridloom-data";

/// The most workers: beyond this a step of a village costs more to share than to do.
const WORKERS_MAX: u64 = 64;

/// The longest step, in milliseconds: an hour, since retention goes by hours.
const STEP_MS_MAX: u64 = schemas::time::HOUR_MS;

/// What a configuration file says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file.
    pub file: PathBuf,
    /// The instance as a whole.
    pub instance: Instance,
    /// Reference tables by name, with the files they are loaded from.
    pub tables: BTreeMap<String, Table>,
    /// A network file that the estimator runs on.
    pub network: Option<NetworkFile>,
    /// Everything a view may read: the built-in relations and the streams declared here.
    pub catalog: Catalog,
    /// Where readings come from, in the file's order.
    pub sources: Vec<Source>,
    /// Where setpoints leave to; without, they are recorded and go nowhere.
    pub setpoints: Option<Door>,
    /// The agents' settings; without, nobody decides.
    pub agents: Option<Settings>,
    /// The doors that a running instance opens.
    pub desk: Openings,
    /// How audit records are sealed.
    pub archive: Archive,

    /// The line of `instance.shipped_views`, or of what it would stand in.
    pub(crate) shipped_views_line: usize,
}

/// The section `[instance]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its name, which is part of its audit chain.
    pub name: InstanceId,
    /// Where it keeps what it must not forget.
    pub data_dir: PathBuf,
    /// Threads of the dataflow.
    pub workers: usize,
    /// How records become ticks.
    pub ingest: IngestSettings,
    /// Ticks that may be open in the dataflow at once.
    pub ticks_in_flight: usize,
    /// Ticks between two snapshots of the views.
    pub snapshot_every: u64,
    /// A folder of `.sql` files; each adds a view or takes the place of a shipped one of its name.
    pub views: Option<PathBuf>,
    /// Whether the shipped views are maintained. The agents need them.
    pub shipped_views: bool,
}

impl Default for Instance {
    fn default() -> Instance {
        Instance {
            name: InstanceId::new("gridloom").expect("a plain word names an instance"),
            data_dir: PathBuf::from(DEFAULT_DATA_DIR),
            workers: 1,
            ingest: IngestSettings::default(),
            ticks_in_flight: DEFAULT_TICKS_IN_FLIGHT,
            snapshot_every: DEFAULT_SNAPSHOT_EVERY,
            views: None,
            shipped_views: true,
        }
    }
}

/// A file that a reference table is loaded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The Parquet file.
    pub path: PathBuf,
    /// The line that names it.
    pub line: usize,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// All mistakes in it, or that it cannot be read.
    pub fn read(path: &Path) -> Result<Config, Problems> {
        let (config, problems) = Config::read_all(path);
        Problems::none(problems)?;
        Ok(config.expect("what has no mistake is a configuration"))
    }

    /// Reads a file, and gives what could be understood beside what could not, for whoever goes on
    /// checking. Without mistakes there is a configuration.
    pub fn read_all(path: &Path) -> (Option<Config>, Vec<Problem>) {
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(path, &text),
            Err(error) => {
                let hint = "name the configuration with --config FILE";
                let problem = Problem::new(path, format!("cannot be read: {error}")).hint(hint);
                (None, vec![problem])
            }
        }
    }

    /// As [`Config::read_all`], of a text that stands in `path`.
    pub fn parse(path: &Path, text: &str) -> (Option<Config>, Vec<Problem>) {
        let file = File::new(path, text);
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let line = error.span().map_or(1, |span| file.line(span.start));
                let hint = "TOML is written as key = value, with texts in double quotes";
                file.report(line, "", error.message().trim_end().replace('\n', ", "), hint);
                return (None, file.problems());
            }
        };
        let root = Section::new(&file, "", document.as_item()).expect("the root is a table");
        let config = read(path, &root);
        root.finish();
        (Some(config), file.problems())
    }

    /// The folder that relative paths start at.
    pub fn base(&self) -> &Path {
        base(&self.file)
    }
}

fn base(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

fn read(path: &Path, root: &Section<'_>) -> Config {
    let base = base(path);
    let section = root.section("instance");
    let shipped_views_line = section.line_of("shipped_views");
    let instance = instance(&section, base);
    let tables = tables(&root.section("tables"), base);
    let network = network::read(root, base);
    let catalog = streams::read(&root.section("streams"));
    let known: Vec<&str> = catalog.streams().map(|stream| stream.def.name.as_str()).collect();
    let sources = doors::sources(&root.list("sources"), &known);
    let setpoints = doors::setpoints(&root.section("sinks"));
    let agents = agents::read(&root.section("agents"), &instance);
    let desk = desk::read(&root.section("desk"), base);
    let archive = archive::read(&root.section("archive"), base);
    let file = path.to_owned();
    Config {
        file,
        instance,
        tables,
        network,
        catalog,
        sources,
        setpoints,
        agents,
        desk,
        archive,
        shipped_views_line,
    }
}

fn instance(section: &Section<'_>, base: &Path) -> Instance {
    let default = Instance::default();
    let name = section.text("name").and_then(|name| {
        let id = InstanceId::new(&name);
        if id.is_none() {
            let hint = "use up to 64 letters, digits, '-', '_' and '.'";
            section.wrong("name", format!("{name:?} cannot name an instance"), hint);
        }
        id
    });
    let data_dir = section.text("data_dir").map_or(default.data_dir, PathBuf::from);
    let step = section.duration("step").and_then(|ms| {
        let step = Step::from_millis(ms).filter(|_| ms <= STEP_MS_MAX);
        if step.is_none() {
            section.wrong(
                "step",
                "a step is longer than nothing and at most an hour",
                "5s is usual",
            );
        }
        step
    });
    let ingest = IngestSettings {
        step: step.unwrap_or(default.ingest.step),
        patience_ms: patience(section).unwrap_or(default.ingest.patience_ms),
        max_ahead_ms: section.duration("max_ahead").unwrap_or(default.ingest.max_ahead_ms),
        ..default.ingest
    };
    let at_least_1 = |key, most| section.whole(key, 1, most);
    let instance = Instance {
        name: name.unwrap_or(default.name),
        data_dir: base.join(data_dir),
        workers: at_least_1("workers", WORKERS_MAX).map_or(default.workers, |n| n as usize),
        ingest,
        ticks_in_flight: at_least_1("ticks_in_flight", 1_024)
            .map_or(default.ticks_in_flight, |n| n as usize),
        snapshot_every: at_least_1("snapshot_every", u64::MAX >> 1)
            .unwrap_or(default.snapshot_every),
        views: section.text("views").map(|views| base.join(views)),
        shipped_views: section.flag("shipped_views").unwrap_or(default.shipped_views),
    };
    section.finish();
    instance
}

/// A duration, or `"off"`.
fn patience(section: &Section<'_>) -> Option<Option<u64>> {
    if section.peek("patience") == Some("off") {
        return Some(None);
    }
    section.duration("patience").map(Some)
}

fn tables(section: &Section<'_>, base: &Path) -> BTreeMap<String, Table> {
    let mut tables = BTreeMap::new();
    for name in section.rest() {
        let line = section.line_of(name);
        if let Some(path) = section.text(name) {
            tables.insert(name.to_owned(), Table { path: base.join(path), line });
        }
    }
    tables
}
