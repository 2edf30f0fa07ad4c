//! From SQL texts to a flow.

use std::collections::BTreeSet;

use operators::control;
use operators::settings::Settings;
use pipeline::flow::Flow;
use queries::PlanError;
use queries::Planner;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;
use schemas::plan::ViewPlan;
use schemas::time::Step;

/// Plans views in the order in which they read each other.
///
/// # Errors
/// Every text that cannot be planned, by its position in `texts`.
pub fn plan(catalog: &Catalog, texts: &[&str]) -> Result<Vec<ViewPlan>, Vec<(usize, PlanError)>> {
    let mut planner = Planner::new(catalog.clone());
    let order = planner.order(texts)?;
    let mut plans = Vec::new();
    let mut failed = Vec::new();
    for index in order {
        match planner.view(texts[index]) {
            Ok(plan) => {
                planner.add_view(&plan);
                plans.push(plan);
            }
            Err(error) => failed.push((index, error)),
        }
    }
    if failed.is_empty() { Ok(plans) } else { Err(failed) }
}

/// The flow of these views and, with settings, the agents: it takes in what is read and nothing
/// else.
pub fn flow(catalog: &Catalog, views: Vec<ViewPlan>, agents: Option<Settings>, step: Step) -> Flow {
    let mut read: BTreeSet<&str> =
        views.iter().flat_map(|view| view.reads.iter().map(String::as_str)).collect();
    if agents.is_some() {
        read.extend(control::READS);
    }
    let inputs = (catalog.iter())
        .filter(|(name, info)| {
            let outside = matches!(info.kind, RelationKind::Stream(_) | RelationKind::Table);
            outside && read.contains(name)
        })
        .map(|(name, info)| (name.to_owned(), info.schema.clone()))
        .collect();
    Flow { step, inputs, views, agents }
}
