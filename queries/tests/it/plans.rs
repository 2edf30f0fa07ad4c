//! Lowering, one shape a case: the plan as EXPLAIN prints it.

use expect_test::expect_file;
use queries::Planner;
use schemas::catalog::Catalog;

#[test]
fn each_shape_has_its_plan() {
    let mut planner = Planner::new(Catalog::built_in());
    let latest = "CREATE MATERIALIZED VIEW price_latest AS \
        SELECT DISTINCT ON (zone_id) zone_id, price_per_mwh AS price FROM prices \
        ORDER BY zone_id, published_at DESC";
    let latest = planner.view(latest).unwrap();
    planner.add_view(&latest);
    crate::golden::check(&expect_file!["./plans.txt"], include_str!("plans.txt"), |sql| {
        planner.select(sql).unwrap_or_else(|e| panic!("{sql}: {}", e.full())).explain()
    });
}
