//! Which views an instance maintains: the shipped ones, and the `.sql` files of a folder.
//!
//! A file of the folder takes the place of the shipped view of its name, so `node_load` can be made
//! another way without touching Rust; any other name adds a view. All of them are planned together,
//! in an order in which each comes after those it reads, and all mistakes are gathered: a view that
//! reads a broken one is not blamed for it, even where the broken one cannot be parsed. What such a
//! file means to be called is taken from the word behind `VIEW`, or from the file's name.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use operators::settings::REACH_MS;
use queries::PlanError;
use queries::Planner;
use queries::plan::statement;
use schemas::catalog::Catalog;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::state::PointValue;

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
    /// The view's name; of a text that cannot be parsed, what it probably is.
    pub fn name(&self) -> String {
        let parsed = statement::view(&self.sql).ok().map(|view| view.name);
        let stem = || self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        parsed.or_else(|| declared(&self.sql).map(|(name, _)| name)).unwrap_or_else(stem)
    }

    /// The line that names the view.
    pub fn line(&self) -> usize {
        declared(&self.sql).map_or(1, |(_, line)| line)
    }
}

/// The word behind the first `VIEW` outside of comments, and its line.
fn declared(sql: &str) -> Option<(String, usize)> {
    let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let mut words = (1..).zip(code).flat_map(|(line, code)| {
        code.split(|c: char| c.is_whitespace() || "(;".contains(c)).map(move |word| (word, line))
    });
    words.find(|(word, _)| word.eq_ignore_ascii_case("view"))?;
    let (word, line) = words.find(|(word, _)| !word.is_empty())?;
    let name = match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        Some(quoted) => quoted.to_owned(),
        None => word.to_lowercase(),
    };
    Some((name, line))
}

/// The views that come with gridloom.
pub fn shipped() -> Vec<ViewText> {
    let text = |(name, sql): &(&str, &str)| ViewText {
        file: PathBuf::from(format!("queries/views/{name}.sql")),
        sql: (*sql).to_owned(),
    };
    queries::shipped().iter().map(text).collect()
}

/// How far back the shipped view reaches that the estimator reads.
const REACH: &str = "INTERVAL '15 minutes'";

/// Lets the shipped view of the points' values reach back as far as the agents are told to.
fn reach(text: &mut ViewText, reach_ms: u64) {
    if reach_ms != REACH_MS && text.name() == PointValue::NAME {
        text.sql = text.sql.replace(REACH, &format!("INTERVAL '{reach_ms} milliseconds'"));
    }
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
    let reach_ms = config.agents.as_ref().map_or(REACH_MS, |agents| agents.estimate_reach_ms);
    texts.iter_mut().for_each(|text| reach(text, reach_ms));
    let mut problems = Vec::new();
    match config.instance.views.as_deref().map(of_folder) {
        None => {}
        Some(Err(problem)) => problems.push(problem),
        Some(Ok(own)) => {
            // A broken one takes the shipped one's place, too: what reads it wants its columns.
            let names: BTreeSet<String> = own.iter().map(ViewText::name).collect();
            texts.retain(|text| !names.contains(&text.name()));
            texts.extend(own);
        }
    }
    (texts, problems)
}

/// What planning a set of views came to.
#[derive(Debug, Default)]
pub struct Planned {
    /// The plans, each after those it reads.
    pub plans: Vec<ViewPlan>,
    /// Views that have no plan: those with a mistake, and those that read one.
    pub broken: BTreeSet<String>,
    /// Every mistake.
    pub problems: Vec<Problem>,
}

/// Plans views over `catalog`.
pub fn plan(catalog: &Catalog, texts: &[ViewText]) -> Planned {
    let mut planner = Planner::new(catalog.clone());
    let mut left: Vec<&ViewText> = texts.iter().collect();
    let mut planned = Planned::default();
    let order = loop {
        let sql: Vec<&str> = left.iter().map(|text| text.sql.as_str()).collect();
        match planner.order(&sql) {
            Ok(order) => break order,
            Err(errors) => {
                let failed: BTreeSet<usize> = errors.iter().map(|(index, _)| *index).collect();
                if failed.is_empty() {
                    break Vec::new();
                }
                let errors = errors.iter().map(|(index, error)| (left[*index], error));
                planned.note(&errors.collect::<Vec<_>>());
                let mut indices = 0..;
                left.retain(|_| indices.next().is_some_and(|index| !failed.contains(&index)));
            }
        }
    };
    for text in order.into_iter().map(|index| left[index]) {
        match planner.view(&text.sql) {
            Ok(plan) => {
                planner.add_view(&plan);
                planned.plans.push(plan);
            }
            Err(error) => planned.note(&[(text, &error)]),
        }
    }
    planned
}

impl Planned {
    /// Notes what failed together. All names come first: who reads a broken view fails with it,
    /// silently, whichever was met first.
    fn note(&mut self, failed: &[(&ViewText, &PlanError)]) {
        self.broken.extend(failed.iter().map(|(text, _)| text.name()));
        for (text, error) in failed {
            let follows = matches!(error, PlanError::UnknownRelation { name, .. }
                if self.broken.contains(name) && *name != text.name());
            if !follows {
                self.problems.push(problem(&text.file, error));
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: (&str, usize)) {
        let text = ViewText { file: PathBuf::from("views/by_file.sql"), sql: sql.to_owned() };
        assert_eq!((text.name().as_str(), text.line()), expected);
    }

    #[test]
    fn a_text_names_its_view_even_if_it_cannot_be_parsed() {
        check("-- a view of loads\nCREATE MATERIALIZED VIEW Load\nAS SELECT 1 AS a", ("load", 2));
        check("CREATE MATERIALIZED\n  VIEW \"Load\" AS SELCT", ("Load", 2));
        check("CREATE VIEW load(a) AS SELECT", ("load", 1));
        check("CREATE MATERIALIZED VEIW load AS SELECT 1", ("by_file", 1));
    }

    #[test]
    fn who_reads_a_broken_view_is_not_blamed_whatever_is_wrong_with_it() {
        let text = |file: &str, sql: &str| ViewText { file: file.into(), sql: sql.to_owned() };
        let texts = [
            text("a.sql", "CREATE MATERIALIZED VIEW a AS SELECT meter_id FROM b"),
            text("b.sql", "CREATE MATERIALIZED VIEW b AS SELCT meter_id FROM meter_readings"),
            text("c.sql", "CREATE MATERIALIZED VIEW c AS SELECT meter_id FROM a"),
            text("d.sql", "CREATE MATERIALIZED VIEW d AS SELECT x FROM e"),
            text("e.sql", "CREATE MATERIALIZED VIEW e AS SELECT nope FROM meter_readings"),
            text("f.sql", "CREATE MATERIALIZED VIEW f AS SELECT meter_id FROM metre_readings"),
        ];
        let planned = plan(&Catalog::built_in(), &texts);
        let mut blamed: Vec<_> = planned.problems.iter().map(|p| p.file.clone()).collect();
        blamed.sort();
        assert_eq!(blamed, ["b.sql", "e.sql", "f.sql"].map(PathBuf::from));
        let broken: Vec<&str> = planned.broken.iter().map(String::as_str).collect();
        assert_eq!(broken, ["a", "b", "c", "d", "e", "f"]);
    }
}
