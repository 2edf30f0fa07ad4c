//! From SQL texts to a flow.

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

/// The flow of these views and, with settings, the agents. It takes in every stream and table:
/// what no view reads yet, one that is made later may read.
pub fn flow(catalog: &Catalog, views: Vec<ViewPlan>, agents: Option<Settings>, step: Step) -> Flow {
    let outside =
        |kind: &RelationKind| matches!(kind, RelationKind::Stream(_) | RelationKind::Table);
    let inputs = (catalog.iter())
        .filter(|(_, info)| outside(&info.kind))
        .map(|(name, info)| (name.to_owned(), info.schema.clone()))
        .collect();
    Flow { step, inputs, views, agents }
}
