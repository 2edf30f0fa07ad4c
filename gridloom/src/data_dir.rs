//! Which instance's data a question is about.
//!
//! Whoever asks may say so, by folder or by configuration. Who does not wants what was written
//! last: the demo that just ran, or the instance that runs here. What was taken is said on stderr.

use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use schemas::time::Clock;

use crate::config::Config;
use crate::config::DEFAULT_DATA_DIR;
use crate::problem::Told;

/// Where the demo keeps its data.
pub const DEMO: &str = "gridloom-demo";

/// Written with every snapshot of the views.
const MANIFEST: &str = "manifest";

/// Written behind every sync of the log.
const HEAD: &str = "audit/head.json";

/// Where the data is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DataArgs {
    /// The data folder. Without it and --config: what was written last of ./gridloom-demo and
    /// ./gridloom-data.
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// The configuration whose data folder it is.
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub config: Option<PathBuf>,
}

/// A data folder, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    /// The folder.
    pub path: PathBuf,
    /// Whether it was guessed.
    pub guessed: bool,
}

impl DataDir {
    /// The folder of the log.
    pub fn audit(&self) -> PathBuf {
        self.path.join("audit")
    }

    /// How long ago the log was written last, by `clock`; of a folder without a log, the snapshot.
    pub fn age_ms(&self, clock: &Clock) -> Option<u64> {
        let modified = |file: &str| self.path.join(file).metadata().ok()?.modified().ok();
        let at = modified(HEAD).or_else(|| modified(MANIFEST))?;
        let at = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis() as u64;
        Some(clock.now().0.saturating_sub(at))
    }

    /// How it is named to a person.
    pub fn shown(&self) -> String {
        let path = self.path.display();
        if self.guessed { format!("{path} (written last)") } else { path.to_string() }
    }
}

/// The folder that is meant.
///
/// # Errors
/// There is none, or it holds no data.
pub fn find(args: &DataArgs) -> anyhow::Result<DataDir> {
    let said = match (&args.data_dir, &args.config) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(file)) => Some(Config::read(file)?.instance.data_dir),
        (None, None) => None,
    };
    if let Some(path) = said {
        if written(&path).is_none() {
            let message = format!("{} holds no data of an instance", path.display());
            let hint = "name the data_dir that `gridloom run` or `gridloom demo` wrote";
            return Err(Told::new(message, hint).into());
        }
        return Ok(DataDir { path, guessed: false });
    }
    let here = [DEMO, DEFAULT_DATA_DIR].map(PathBuf::from);
    let newest = here.into_iter().filter_map(|path| Some((written(&path)?, path))).max();
    match newest {
        Some((_, path)) => Ok(DataDir { path, guessed: true }),
        None => {
            let message = format!("there is neither ./{DEMO} nor ./{DEFAULT_DATA_DIR} here");
            let hint = "run `gridloom demo` first, or name a folder with --data-dir";
            Err(Told::new(message, hint).into())
        }
    }
}

/// When a data folder was written last; `None` if it is none.
fn written(path: &Path) -> Option<SystemTime> {
    let files = [MANIFEST, HEAD, "audit/instance.json"];
    let times = files.iter().filter_map(|file| path.join(file).metadata().ok()?.modified().ok());
    times.max()
}
