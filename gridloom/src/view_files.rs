//! Which views an instance maintains: the shipped ones, and the `.sql` files of a folder.
//!
//! A file of the folder takes the place of the shipped view of its name, so `node_load` can be made
//! another way without touching Rust; any other name adds a view. All of them are planned together,
//! in an order in which each comes after those it reads, and all mistakes are gathered: a view that
//! reads a broken one is not blamed for it.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use queries::PlanError;
use queries::Planner;
use queries::plan::statement;
use schemas::catalog::Catalog;
use schemas::plan::ViewPlan;

use crate::config::Config;
use crate::problem::Problem;

/// The text of a view, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewText {
    /// Its file; of a shipped view, its place in the source tree.
    pub file: PathBuf,
    /// The statement.
    pub sql: String,
}

impl ViewText {
    fn name(&self) -> Option<String> {
        statement::view(&self.sql).ok().map(|view| view.name)
    }
}

/// The views that come with gridloom.
pub fn shipped() -> Vec<ViewText> {
    let text = |(name, sql): &(&str, &str)| ViewText {
        file: PathBuf::from(format!("queries/views/{name}.sql")),
        sql: (*sql).to_owned(),
    };
    queries::shipped().iter().map(text).collect()
}

/// The views of a folder, in the order of its file names.
///
/// # Errors
/// The folder or a file in it cannot be read.
pub fn of_folder(folder: &Path) -> Result<Vec<ViewText>, Problem> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        let hint = "instance.views names a folder of .sql files";
        Problem::new(path, format!("cannot be read: {error}")).hint(hint)
    };
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    let read = |file: PathBuf| match std::fs::read_to_string(&file) {
        Ok(sql) => Ok(ViewText { file, sql }),
        Err(error) => Err(unreadable(&file, &error)),
    };
    files.into_iter().map(read).collect()
}

/// The views that a configuration asks for.
pub fn gather(config: &Config) -> (Vec<ViewText>, Vec<Problem>) {
    let mut texts = if config.instance.shipped_views { shipped() } else { Vec::new() };
    let mut problems = Vec::new();
    match config.instance.views.as_deref().map(of_folder) {
        None => {}
        Some(Err(problem)) => problems.push(problem),
        Some(Ok(own)) => {
            let names: BTreeSet<String> = own.iter().filter_map(ViewText::name).collect();
            texts.retain(|text| text.name().is_none_or(|name| !names.contains(&name)));
            texts.extend(own);
        }
    }
    (texts, problems)
}

/// Plans views over `catalog`: the plans, each after those it reads, and every mistake.
pub fn plan(catalog: &Catalog, texts: &[ViewText]) -> (Vec<ViewPlan>, Vec<Problem>) {
    let mut planner = Planner::new(catalog.clone());
    let mut left: Vec<&ViewText> = texts.iter().collect();
    // The names of views that failed: what reads them fails with them, silently.
    let mut broken = BTreeSet::new();
    let mut problems = Vec::new();
    let order = loop {
        let sql: Vec<&str> = left.iter().map(|text| text.sql.as_str()).collect();
        match planner.order(&sql) {
            Ok(order) => break order,
            Err(errors) => {
                let failed: BTreeSet<usize> = errors.iter().map(|(index, _)| *index).collect();
                if failed.is_empty() {
                    break Vec::new();
                }
                for (index, error) in &errors {
                    note(left[*index], error, &mut broken, &mut problems);
                }
                let mut indices = 0..;
                left.retain(|_| indices.next().is_some_and(|index| !failed.contains(&index)));
            }
        }
    };
    let mut plans = Vec::new();
    for text in order.into_iter().map(|index| left[index]) {
        match planner.view(&text.sql) {
            Ok(plan) => {
                planner.add_view(&plan);
                plans.push(plan);
            }
            Err(error) => note(text, &error, &mut broken, &mut problems),
        }
    }
    (plans, problems)
}

fn note(
    text: &ViewText,
    error: &PlanError,
    broken: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    broken.extend(text.name());
    if matches!(error, PlanError::UnknownRelation { name, .. } if broken.contains(name)) {
        return;
    }
    problems.push(problem(&text.file, error));
}

/// A refusal as a mistake in `file`.
pub fn problem(file: &Path, error: &PlanError) -> Problem {
    let problem = Problem::new(file, error.to_string());
    let problem = match error.location() {
        Some(at) => problem.at(at.line as usize, format!("column {}", at.column)),
        None => problem,
    };
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// Everything that can be read once `plans` are maintained: `catalog` and the views.
pub fn with_views(catalog: &Catalog, plans: &[ViewPlan]) -> Catalog {
    let mut planner = Planner::new(catalog.clone());
    plans.iter().for_each(|plan| planner.add_view(plan));
    planner.catalog().clone()
}
