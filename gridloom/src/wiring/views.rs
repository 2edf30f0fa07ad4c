//! From SQL texts to the plans of views.

use queries::PlanError;
use queries::Planner;
use schemas::catalog::Catalog;
use schemas::plan::ViewPlan;

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
