//! Lowering, one shape a test: the plan as EXPLAIN prints it.

use expect_test::Expect;
use expect_test::expect;
use queries::Planner;
use schemas::catalog::Catalog;

#[track_caller]
fn check(sql: &str, expected: Expect) {
    let plan =
        Planner::new(Catalog::built_in()).select(sql).unwrap_or_else(|e| panic!("{}", e.full()));
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
    expect![[r#"
        view query (on_error = quarantine)
          MapFilterProject [feeder_id, bin_at, kw, n, kw * price AS cost]
            Join inner on zone_id = zone_id
            · arranges left by (zone_id), bound: 49 h of meter_readings × matches in rows of meters × matches in rows of feeders
            · arranges right by (zone_id), bound: rows of price_latest
              Reduce by (feeder_id, zone_id, date_bin(INTERVAL '5 seconds', measured_at)) [sum, count_rows]
              · accumulable: one accumulator a group, bound: groups in 49 h of meter_readings × matches in rows of meters × matches in rows of feeders
                Join inner on meter_id = meter_id
                · arranges left by (meter_id), bound: 49 h of meter_readings
                · arranges right by (meter_id), bound: rows of meters × matches in rows of feeders
                  MapFilterProject [meter_id, active_power_kw, date_bin(INTERVAL '5 seconds', measured_at)]
                    Get meter_readings (meter_id, measured_at, active_power_kw)
                    · keeps its rows, bound: 49 h of event time
                  Join inner on feeder_id = feeder_id
                  · arranges left by (feeder_id), bound: rows of meters
                  · arranges right by (feeder_id), bound: rows of feeders
                    Get meters (meter_id, feeder_id)
                    Get feeders (feeder_id, zone_id)
              Get price_latest (zone_id, price)
    "#]].assert_eq(&plan.explain());
}

#[test]
fn filters_and_projections_are_one_node() {
    check(
        "SELECT meter_id, kw * 2.0 AS twice FROM (SELECT meter_id, active_power_kw + 1.0 AS kw \
           FROM meter_readings WHERE quality = 'good') WHERE kw > 3.0",
        expect![[r#"
            view query (on_error = quarantine)
              MapFilterProject [meter_id, (active_power_kw + 1.0) * 2.0 AS twice] where quality = 'good' AND (active_power_kw + 1.0) > 3.0
                Get meter_readings (meter_id, active_power_kw, quality)
                · keeps its rows, bound: 49 h of event time
        "#]],
    );
}

#[test]
fn a_window_of_time_is_two_bounds() {
    check(
        "SELECT meter_id FROM meter_readings WHERE measured_at > now() - INTERVAL '5 minutes' \
           AND now() >= measured_at AND active_power_kw > 1",
        expect![[r#"
            view query (on_error = quarantine)
              MapFilterProject [meter_id]
                Temporal from CAST(measured_at AS BIGINT) until CAST(measured_at AS BIGINT) + 300000
                · parks what will come or go, bound: 49 h of meter_readings
                  MapFilterProject [meter_id, measured_at] where active_power_kw > 1.0
                    Get meter_readings (meter_id, measured_at, active_power_kw)
                    · keeps its rows, bound: 49 h of event time
        "#]],
    );
}

#[test]
fn the_first_rows_of_all_are_a_top_k_without_group() {
    check("SELECT meter_id, active_power_kw FROM meter_latest_rows ORDER BY active_power_kw DESC LIMIT 3"
        .replace("meter_latest_rows", "meter_readings").as_str(), expect![[r#"
            view query (on_error = quarantine)
              TopK 3 by () order (active_power_kw DESC, meter_id)
              · keeps all rows in order, bound: 49 h of meter_readings
                Get meter_readings (meter_id, active_power_kw)
                · keeps its rows, bound: 49 h of event time
        "#]]);
}

#[test]
fn distinct_and_union_keep_each_row_once() {
    check(
        "SELECT feeder_id FROM meters UNION SELECT feeder_id FROM buses",
        expect![[r#"
        view query (on_error = quarantine)
          Distinct
          · keeps each row once, bound: rows of meters + rows of buses
            Union
              Get meters (feeder_id)
              Get buses (feeder_id)
    "#]],
    );
}

#[test]
fn aggregates_are_of_three_kinds() {
    check(
        "SELECT feeder_id, count(*), count(DISTINCT bus_id) AS buses, min(meter_id), \
           median(length(meter_id)) AS m, count(*) FILTER (WHERE origin = 'copy') AS copies, \
           array_agg(meter_id ORDER BY bus_id) AS all_ids \
           FROM meters GROUP BY feeder_id",
        expect![[r#"
            view query (on_error = quarantine)
              Reduce by (feeder_id) [count_rows, count distinct, min, median, count_rows, array_agg]
              · ordered or basic: the argument values of each group, bound: groups in rows of meters
                MapFilterProject [meter_id, bus_id, feeder_id, CAST(character_length(meter_id) AS DOUBLE), origin = 'copy']
                  Get meters (meter_id, bus_id, feeder_id, origin)
        "#]],
    );
}

#[test]
fn a_condition_of_a_left_join_on_its_right_side_moves_there() {
    check(
        "SELECT s.switch_id, p.position FROM switches s LEFT JOIN switch_positions p \
           ON p.switch_id = s.switch_id AND p.changed_at > now() - INTERVAL '1 hour' \
           AND p.position <> 'intermediate'",
        expect![[r#"
            view query (on_error = quarantine)
              Join left on switch_id = switch_id
              · arranges left by (switch_id), bound: rows of switches
              · arranges right by (switch_id), bound: 49 h of switch_positions
                Get switches (switch_id)
                MapFilterProject [switch_id, position]
                  Temporal until CAST(changed_at AS BIGINT) + 3600000
                  · parks what will come or go, bound: 49 h of switch_positions
                    MapFilterProject [switch_id, changed_at, position] where position != 'intermediate'
                      Get switch_positions (switch_id, changed_at, position)
                      · keeps its rows, bound: 49 h of event time
        "#]],
    );
}

#[test]
fn written_rows_are_a_constant() {
    check(
        "SELECT m.meter_id, v.w FROM meters m JOIN (VALUES ('measured', 1.0), ('copy', 0.5)) \
           AS v (origin, w) ON v.origin = m.origin",
        expect![[r#"
            view query (on_error = quarantine)
              Join inner on origin = origin
              · arranges left by (origin), bound: rows of meters
              · arranges right by (origin), bound: 2 rows
                Get meters (meter_id, origin)
                Constant (2 rows)
        "#]],
    );
}

#[test]
fn without_groups_there_is_one_row() {
    check(
        "SELECT count(*) AS n FROM alarms",
        expect![[r#"
        view query (on_error = quarantine)
          Reduce by () [count_rows]
          · accumulable: one accumulator a group, bound: groups in 49 h of alarms
            Get alarms (alarm_id)
            · keeps its rows, bound: 49 h of event time
    "#]],
    );
}
