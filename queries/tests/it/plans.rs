//! Lowering, one shape a test: the plan as EXPLAIN prints it.

use expect_test::Expect;
use expect_test::expect;
use queries::Planner;
use schemas::catalog::Catalog;

#[track_caller]
fn check(sql: &str, expected: Expect) {
    let plan = Planner::new(Catalog::built_in()).select(sql).unwrap_or_else(|e| panic!("{}", e.full()));
    expected.assert_eq(&plan.explain());
}

#[test]
fn the_cost_of_a_feeder_joins_tables_first_and_arranges_readings_once() {
    let mut planner = Planner::new(Catalog::built_in());
    let latest = "CREATE MATERIALIZED VIEW price_latest AS \
        SELECT DISTINCT ON (zone_id) zone_id, price_per_mwh AS price FROM prices \
        ORDER BY zone_id, published_at DESC";
    let latest = planner.view(latest).unwrap();
    planner.add_view(&latest);
    let sql = "SELECT l.feeder_id, l.bin_at, l.kw, l.n, l.kw * p.price AS cost
      FROM (SELECT m.feeder_id, f.zone_id, date_bin(INTERVAL '5 seconds', r.measured_at) AS bin_at,
              sum(r.active_power_kw) AS kw, count(*) AS n
            FROM meter_readings r JOIN meters m USING (meter_id) JOIN feeders f USING (feeder_id)
            GROUP BY 1, 2, 3) l
      JOIN price_latest p USING (zone_id)";
    let plan = planner.select(sql).unwrap_or_else(|e| panic!("{}", e.full()));
    expect![[""]].assert_eq(&plan.explain());
}

#[test]
fn filters_and_projections_are_one_node() {
    check("SELECT meter_id, kw * 2.0 AS twice FROM (SELECT meter_id, active_power_kw + 1.0 AS kw \
           FROM meter_readings WHERE quality = 'good') WHERE kw > 3.0", expect![[""]]);
}

#[test]
fn a_window_of_time_is_two_bounds() {
    check("SELECT meter_id FROM meter_readings WHERE measured_at > now() - INTERVAL '5 minutes' \
           AND now() >= measured_at AND active_power_kw > 1", expect![[""]]);
}

#[test]
fn the_first_rows_of_all_are_a_top_k_without_group() {
    check("SELECT meter_id, active_power_kw FROM meter_latest_rows ORDER BY active_power_kw DESC LIMIT 3"
        .replace("meter_latest_rows", "meter_readings").as_str(), expect![[""]]);
}

#[test]
fn distinct_and_union_keep_each_row_once() {
    check("SELECT feeder_id FROM meters UNION SELECT feeder_id FROM buses", expect![[""]]);
}

#[test]
fn aggregates_are_of_three_kinds() {
    check("SELECT feeder_id, count(*), count(DISTINCT bus_id) AS buses, min(meter_id), \
           median(length(meter_id)) AS m, count(*) FILTER (WHERE origin = 'copy') AS copies, \
           array_agg(meter_id ORDER BY bus_id) AS all_ids \
           FROM meters GROUP BY feeder_id", expect![[""]]);
}

#[test]
fn a_condition_of_a_left_join_on_its_right_side_moves_there() {
    check("SELECT s.switch_id, p.position FROM switches s LEFT JOIN switch_positions p \
           ON p.switch_id = s.switch_id AND p.changed_at > now() - INTERVAL '1 hour' \
           AND p.position <> 'intermediate'", expect![[""]]);
}

#[test]
fn written_rows_are_a_constant() {
    check("SELECT m.meter_id, v.w FROM meters m JOIN (VALUES ('measured', 1.0), ('copy', 0.5)) \
           AS v (origin, w) ON v.origin = m.origin", expect![[""]]);
}

#[test]
fn without_groups_there_is_one_row() {
    check("SELECT count(*) AS n FROM alarms", expect![[""]]);
}
