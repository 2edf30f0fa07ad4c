//! What is refused, as the writer of a view reads it: sentence, place, hint.

use expect_test::expect;
use expect_test::expect_file;
use queries::PlanError;
use queries::Planner;
use schemas::catalog::Catalog;

#[test]
fn each_refusal_says_what_where_and_what_instead() {
    let planner = Planner::new(Catalog::built_in());
    crate::golden::check(&expect_file!["./refusals.txt"], include_str!("refusals.txt"), |sql| {
        let error = planner.view(sql).expect_err(sql);
        let at = error.location().map_or(String::new(), |at| format!("at {at}\n"));
        let hint = error.hint().map_or(String::new(), |hint| format!("hint: {hint}\n"));
        format!("{error}\n{at}{hint}")
    });
}

#[test]
fn state_that_grows_for_ever_is_refused_unless_allowed() {
    let mut catalog = Catalog::built_in();
    let mut endless = catalog.streams().find(|s| s.def.name == "meter_readings").unwrap().clone();
    endless.retain_ms = 0;
    catalog.add_stream(endless);
    let planner = Planner::new(catalog);
    let refused = |select: &str, by: &str| {
        let sql = format!("CREATE MATERIALIZED VIEW v AS {select}");
        let error = planner.view(&sql).expect_err(select);
        let (clause, relation) = (by.to_owned(), "meter_readings".to_owned());
        assert_eq!(error, PlanError::Unbounded { clause, relation });
        let sql =
            format!("CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS {select}");
        planner.view(&sql).unwrap();
    };
    refused("SELECT meter_id FROM meter_readings", "the view");
    refused("SELECT bus_id FROM meter_readings r JOIN meters m USING (meter_id)", "a JOIN");
    refused("SELECT measured_at, count(*) FROM meter_readings GROUP BY 1", "the view");
    refused(
        "SELECT max(active_power_kw) FROM meter_readings",
        "an aggregate that keeps its values",
    );
    refused(
        "SELECT lag(active_power_kw) OVER (PARTITION BY meter_id ORDER BY measured_at) AS before \
         FROM meter_readings",
        "a window function",
    );
    refused(
        "SELECT r.meter_id, w.temperature_c FROM meter_readings r ASOF JOIN weather_observations w \
         MATCH_CONDITION (r.measured_at >= w.observed_at)",
        "an ASOF JOIN",
    );
    refused(
        "WITH RECURSIVE t AS (SELECT meter_id FROM meter_readings UNION \
         SELECT m.bus_id FROM t JOIN meters m USING (meter_id)) SELECT meter_id FROM t",
        "WITH RECURSIVE",
    );
    let few = "CREATE MATERIALIZED VIEW v AS \
               SELECT meter_id, count(*) AS n FROM meter_readings GROUP BY meter_id";
    planner.view(few).unwrap();
    let latest = "CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (meter_id) meter_id, \
                  active_power_kw FROM meter_readings ORDER BY meter_id, measured_at DESC";
    planner.view(latest).unwrap();
}

#[test]
fn views_are_sorted_by_what_they_read() {
    let planner = Planner::new(Catalog::built_in());
    let c = "CREATE MATERIALIZED VIEW c AS SELECT bus_id FROM b";
    let b = "CREATE MATERIALIZED VIEW b AS WITH w AS (SELECT bus_id FROM a) SELECT bus_id FROM w";
    let a = "CREATE MATERIALIZED VIEW a AS SELECT bus_id FROM buses";
    assert_eq!(planner.order(&[c, b, a]), Ok(vec![2, 1, 0]));
    let circle = "CREATE MATERIALIZED VIEW a AS SELECT bus_id FROM c";
    let stranger = "CREATE MATERIALIZED VIEW d AS SELECT bus_id FROM bb";
    let errors = planner.order(&[c, b, circle, stranger]).unwrap_err();
    let errors: Vec<String> = errors.iter().map(|(i, e)| format!("{i}: {}", e.full())).collect();
    expect![[r#"
        3: there is no relation bb (line 1, column 50); hint: did you mean b?
        0: views read each other in a circle: c → b → a → c"#]]
    .assert_eq(&errors.join("\n"));
}
