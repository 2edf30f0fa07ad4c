//! The desk's clients: Python's drivers and dbt in an environment of their own, and JDBC's drivers.
//!
//! Both are made once and kept in the target directory. They are made beside their place and moved
//! there when whole; a Python environment knows its own place, and is made there with a mark
//! written last. psql comes with the system (see [`crate::needs`]).

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::kafka::install::once;
use crate::kafka::install::run;
use crate::paths::Paths;

/// Which jars: changes with `pom.xml`, so that new versions get a new folder.
const JARS: &str = "jdbc-42.7.4-18.1.0";

/// Which packages: changes with `requirements.txt`.
const PYTHON: &str = "python-4-dbt-1.9";

/// Written into the environment once it is whole.
const WHOLE: &str = "whole";

/// The clients.
pub(crate) struct Clients {
    jars: PathBuf,
    python: PathBuf,
}

impl Clients {
    /// Finds the clients, or gets them.
    pub(crate) fn prepare(paths: &Paths) -> anyhow::Result<Clients> {
        let jars = paths.clients.join(JARS);
        let pom = paths.workspace.join("xtask/clients/pom.xml");
        once(&jars, |folder| {
            let mut maven = Command::new("mvn");
            maven.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
            maven.arg(format!("-DoutputDirectory={}", folder.display()));
            run(maven.arg("-DincludeScope=runtime"))
        })
        .context("the JDBC drivers could not be resolved (is Maven's registry reachable?)")?;
        let python = paths.clients.join(PYTHON);
        if !python.join(WHOLE).exists() {
            let requirements = paths.workspace.join("xtask/clients/requirements.txt");
            environment(&python, &requirements)
                .context("Python's clients could not be got (is Python's registry reachable?)")?;
        }
        Ok(Clients { jars, python })
    }

    /// What the tests read.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("GRIDLOOM_TEST_PYTHON", self.python.join("bin").display().to_string()),
            ("GRIDLOOM_TEST_JDBC", self.jars.display().to_string()),
        ]
    }
}

fn environment(folder: &Path, requirements: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "-q", "--disable-pip-version-check", "-r"]).arg(requirements);
    run(&mut pip)?;
    fs::write(folder.join(WHOLE), "").with_context(|| folder.display().to_string())
}
