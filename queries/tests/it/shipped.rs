//! The views that ship: each plans, in the right order, with the state that is meant.

use expect_test::expect_file;
use queries::Planner;
use schemas::catalog::Catalog;

/// Plans every shipped view; their plans in dependency order.
pub fn shipped() -> (Planner, Vec<schemas::plan::ViewPlan>) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/views");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let texts: Vec<String> = files.iter().map(|f| std::fs::read_to_string(f).unwrap()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut planner = Planner::new(Catalog::built_in());
    let order = planner.order(&texts).unwrap_or_else(|e| panic!("{e:?}"));
    let mut plans = Vec::new();
    for place in order {
        let plan = planner.view(texts[place]);
        let plan = plan.unwrap_or_else(|e| panic!("{}: {}", files[place].display(), e.full()));
        assert_eq!(Some(plan.name.as_str()), files[place].file_stem().and_then(|s| s.to_str()));
        planner.add_view(&plan);
        plans.push(plan);
    }
    (planner, plans)
}

#[test]
fn every_shipped_view_has_the_plan_that_is_meant() {
    let (_, plans) = shipped();
    let mut plans: Vec<_> = plans.iter().collect();
    plans.sort_by(|a, b| a.name.cmp(&b.name));
    let text: Vec<String> = plans.iter().map(|plan| plan.explain()).collect();
    expect_file!["./shipped.txt"].assert_eq(&text.join("\n"));
}
