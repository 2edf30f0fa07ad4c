//! The views that ship: each plans, keeps the state that is meant, and holds its contract.

use expect_test::expect_file;
use queries::Planner;
use schemas::catalog::Catalog;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
use schemas::state::NodeHour;
use schemas::state::NodeQuarter;
use schemas::state::PlantHour;
use schemas::state::PointValue;
use schemas::state::SensorListed;
use schemas::state::SharedMeterHour;
use schemas::state::StaleSensor;
use schemas::state::SwitchState;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;

/// Plans every shipped view, each after those it reads.
pub(crate) fn plans() -> Vec<ViewPlan> {
    let texts: Vec<&str> = queries::shipped().iter().map(|(_, text)| *text).collect();
    let mut planner = Planner::new(Catalog::built_in());
    let order = planner.order(&texts).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut plans = Vec::new();
    for place in order {
        let (name, text) = queries::shipped()[place];
        let plan = planner.view(text).unwrap_or_else(|error| panic!("{name}: {}", error.full()));
        assert_eq!(plan.name, name);
        planner.add_view(&plan);
        plans.push(plan);
    }
    plans
}

#[test]
fn every_file_of_the_folder_ships() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/views");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut names: Vec<String> =
        files.map(|f| f.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    let shipped: Vec<&str> = queries::shipped().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, shipped);
}

#[test]
fn every_shipped_view_has_the_plan_that_is_meant() {
    let mut plans = plans();
    plans.sort_by(|a, b| a.name.cmp(&b.name));
    let text: Vec<String> = plans.iter().map(ViewPlan::explain).collect();
    expect_file!["./shipped.txt"].assert_eq(&text.join("\n"));
}

#[test]
fn views_that_agents_read_have_the_columns_that_they_ask_for() {
    let plans = plans();
    check::<NodeHour>(&plans);
    check::<NodeQuarter>(&plans);
    check::<PlantHour>(&plans);
    check::<FeederNow>(&plans);
    check::<AssetState>(&plans);
    check::<BusVoltage>(&plans);
    check::<SensorListed>(&plans);
    check::<WeatherAhead>(&plans);
    check::<WeatherHour>(&plans);
    check::<StaleSensor>(&plans);
    check::<PointValue>(&plans);
    check::<SharedMeterHour>(&plans);
    check::<SwitchState>(&plans);
}

#[track_caller]
fn check<R: Relation>(plans: &[ViewPlan]) {
    let plan = plans.iter().find(|plan| plan.name == R::NAME).expect("the contract has a view");
    for field in R::schema().fields() {
        let found = plan.root.schema.field_with_name(field.name()).expect("the column is there");
        assert_eq!(found.data_type(), field.data_type(), "{}.{}", R::NAME, field.name());
    }
}
