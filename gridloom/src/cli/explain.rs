//! `gridloom explain`: the plan that is maintained for a SELECT or a view, with what it keeps.

use std::io::Write;
use std::path::PathBuf;

use queries::Planner;
use schemas::catalog::Catalog;

use gridloom::check;
use gridloom::problem::Told;
use gridloom::problem::nearest;
use gridloom::view_files;

/// What to explain.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// A SELECT, a CREATE MATERIALIZED VIEW, or the name of a view.
    pub(crate) sql: String,
    /// The configuration whose streams, tables and views may be read; without it, the shipped ones.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Prints the plan.
///
/// # Errors
/// The text cannot be maintained, or the configuration has mistakes.
pub(crate) fn run(args: &ExplainArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let (catalog, plans) = match &args.config {
        Some(file) => {
            let checked = check::check(file, false)?;
            (checked.catalog, checked.plans)
        }
        None => {
            let built_in = Catalog::built_in();
            let planned = view_files::plan(&built_in, &view_files::shipped());
            gridloom::problem::Problems::none(planned.problems)?;
            (view_files::with_views(&built_in, &planned.plans), planned.plans)
        }
    };
    let text = args.sql.trim();
    if let Some(plan) = plans.iter().find(|plan| plan.name == text) {
        write!(out, "{}", plan.explain())?;
        return Ok(());
    }
    if !text.contains(char::is_whitespace) {
        let names = plans.iter().map(|plan| plan.name.as_str());
        let message = format!("there is no view {text}");
        return Err(Told::new(message, nearest(text, names)).into());
    }
    let planner = Planner::new(catalog);
    let plan = planner.select(text).map_err(|error| super::sql::told(&error))?;
    write!(out, "{}", plan.explain())?;
    Ok(())
}
