//! What is refused, as the writer of a view reads it: sentence, place, hint.

use expect_test::Expect;
use expect_test::expect;
use queries::Planner;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;

#[track_caller]
fn check(sql: &str, expected: Expect) {
    let error = Planner::new(Catalog::built_in()).view(sql).expect_err("this view is refused");
    expected.assert_eq(&error.full());
}

#[track_caller]
fn refused(select: &str, expected: Expect) {
    check(&format!("CREATE MATERIALIZED VIEW v AS\n{select}"), expected);
}

#[test]
fn not_sql() {
    check(
        "CREATE MATERIALIZED VIEW v AS SELEC 1",
        expect![
            "Expected: SELECT, VALUES, or a subquery in the query body, found: SELEC (line 1, column 31)"
        ],
    );
    check("", expect!["expected one statement, found 0 statements; hint: one file holds one view"]);
}

#[test]
fn not_a_view() {
    check(
        "SELECT 1",
        expect![
            "expected CREATE MATERIALIZED VIEW, found SELECT 1; hint: put CREATE MATERIALIZED VIEW name AS before it"
        ],
    );
    check(
        "CREATE VIEW v AS SELECT meter_id FROM meters",
        expect![
            "expected CREATE MATERIALIZED VIEW, found CREATE VIEW; hint: write MATERIALIZED: every view here is maintained"
        ],
    );
    check(
        "DROP TABLE meters",
        expect![
            "expected CREATE MATERIALIZED VIEW, found DROP TABLE; hint: streams, tables and sinks are declared in the configuration"
        ],
    );
    check(
        "CREATE MATERIALIZED VIEW meters AS SELECT bus_id FROM buses",
        expect!["there is a table meters already; hint: call this view something else"],
    );
}

#[test]
fn options_that_there_are_not() {
    check(
        "CREATE MATERIALIZED VIEW v WITH (on_eror = 'fail') AS SELECT bus_id FROM buses",
        expect!["there is no option on_eror (line 1, column 34); hint: did you mean on_error?"],
    );
    check(
        "CREATE MATERIALIZED VIEW v WITH (on_error = 'ignore') AS SELECT bus_id FROM buses",
        expect![
            "on_error = 'ignore' is no value of on_error (line 1, column 34); hint: write 'quarantine', 'fail' or 'null'"
        ],
    );
}

#[test]
fn names_that_there_are_not() {
    refused(
        "SELECT meter_id FROM meter_reading",
        expect![
            "there is no relation meter_reading (line 2, column 22); hint: did you mean meter_readings?"
        ],
    );
    refused(
        "SELECT meter_id,\n  active_power FROM meter_readings",
        expect![
            "there is no column active_power (line 3, column 3); hint: did you mean active_power_kw?"
        ],
    );
    refused(
        "SELECT r.meter FROM meter_readings r JOIN meters m USING (meter_id)",
        expect!["there is no column r.meter (line 2, column 8); hint: did you mean meter_id?"],
    );
    refused(
        "SELECT bus_id, count(*) AS bus_id FROM buses GROUP BY bus_id",
        expect![
            "two columns are called bus_id; hint: write which table it is of, or name one with AS"
        ],
    );
    refused(
        "SELECT medain(limit_kw) AS m FROM feeders",
        expect!["Invalid function 'medain'. Did you mean 'mean'? (line 2, column 8)"],
    );
}

#[test]
fn joins_without_a_maintained_form() {
    refused(
        "SELECT b.bus_id FROM buses b CROSS JOIN feeders f",
        expect![
            "a join without an equality between its sides (CROSS JOIN) cannot be maintained; hint: say in ON or USING which columns are equal; further comparisons may stand beside it"
        ],
    );
    refused(
        "SELECT b.bus_id FROM buses b JOIN feeders f ON f.limit_kw > b.nominal_kv",
        expect![
            "a join without an equality between its sides (CROSS JOIN) cannot be maintained; hint: say in ON or USING which columns are equal; further comparisons may stand beside it"
        ],
    );
    refused(
        "SELECT b.bus_id FROM buses b RIGHT JOIN feeders f USING (feeder_id)",
        expect![
            "RIGHT JOIN cannot be maintained (line 2, column 41); hint: swap the sides and write LEFT JOIN"
        ],
    );
    refused(
        "SELECT b.bus_id FROM buses b FULL JOIN feeders f USING (feeder_id)",
        expect![
            "FULL JOIN cannot be maintained (line 2, column 40); hint: UNION ALL a LEFT JOIN and the right rows that have no match"
        ],
    );
    refused(
        "SELECT b.bus_id FROM buses b LEFT JOIN feeders f ON f.feeder_id = b.feeder_id AND f.limit_kw > b.nominal_kv",
        expect![
            "a LEFT JOIN whose ON compares both sides with other than = cannot be maintained; hint: put the comparison into a query in FROM, or JOIN and UNION ALL the rest"
        ],
    );
}

#[test]
fn clauses_without_a_maintained_form() {
    refused(
        "SELECT bus_id FROM buses ORDER BY bus_id",
        expect![
            "ORDER BY without LIMIT cannot be maintained (line 2, column 35); hint: a view has no order: order where it is read, or add LIMIT"
        ],
    );
    refused(
        "SELECT bus_id FROM buses LIMIT 3",
        expect!["LIMIT without ORDER BY cannot be maintained; hint: say which rows: add ORDER BY"],
    );
    refused(
        "SELECT bus_id FROM buses ORDER BY bus_id LIMIT 3 OFFSET 1",
        expect![
            "OFFSET cannot be maintained (line 2, column 57); hint: keep more rows with LIMIT and skip where the view is read"
        ],
    );
    refused(
        "SELECT row_number() OVER (ORDER BY bus_id) AS n FROM buses",
        expect![
            "a window function (OVER) cannot be maintained (line 2, column 8); hint: group by date_bin(…) for windows of time, use SELECT DISTINCT ON … ORDER BY … for the latest row of a key, or ORDER BY … LIMIT"
        ],
    );
    refused(
        "SELECT bus_id FROM buses WHERE feeder_id IN (SELECT feeder_id FROM feeders)",
        expect![
            "IN (SELECT …) cannot be maintained (line 2, column 32); hint: join with (SELECT DISTINCT key FROM …)"
        ],
    );
    refused(
        "SELECT bus_id FROM buses b WHERE EXISTS (SELECT 1 FROM feeders f WHERE f.feeder_id = b.feeder_id)",
        expect![
            "EXISTS (SELECT …) cannot be maintained (line 2, column 42); hint: join with (SELECT DISTINCT key FROM …); for NOT EXISTS, LEFT JOIN it and keep the rows where its key IS NULL"
        ],
    );
    refused(
        "SELECT bus_id, (SELECT max(limit_kw) FROM feeders) AS m FROM buses",
        expect![
            "a query as a value cannot be maintained (line 2, column 17); hint: put the query into FROM and join it"
        ],
    );
    refused(
        "SELECT bus_id FROM buses EXCEPT SELECT bus_id FROM meters",
        expect![
            "EXCEPT cannot be maintained (line 2, column 33); hint: for INTERSECT join with (SELECT DISTINCT …); for EXCEPT, LEFT JOIN it and keep the rows where its key IS NULL"
        ],
    );
    refused(
        "SELECT feeder_id, count(*) AS n FROM buses GROUP BY ROLLUP (feeder_id)",
        expect![
            "GROUPING SETS, ROLLUP and CUBE cannot be maintained (line 2, column 61); hint: write one GROUP BY each and put UNION ALL between"
        ],
    );
    refused(
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t",
        expect![
            "WITH RECURSIVE cannot be maintained (line 2, column 1); hint: write the levels out, or put the closure into a reference table"
        ],
    );
}

#[test]
fn the_moment_and_chance() {
    refused(
        "SELECT meter_id, now() AS at FROM meters",
        expect![
            "now() outside a comparison cannot be maintained; hint: as a value it would change every row at every tick: compare a time with now() in WHERE or ON, and compute ages where the view is read"
        ],
    );
    refused(
        "SELECT meter_id FROM meter_readings WHERE measured_at > now() OR quality = 'good'",
        expect![
            "the condition ((meter_readings.measured_at > now()) OR (meter_readings.quality = 'good')) cannot be maintained; hint: compare one time with now(), as in measured_at > now() - INTERVAL '1 hour'; join conditions with AND, never OR; for now() = t, compare with >= and <"
        ],
    );
    refused(
        "SELECT meter_id FROM meter_readings WHERE measured_at > now() - INTERVAL '1 month'",
        expect![
            "the condition (meter_readings.measured_at > (now() - INTERVAL '1 MONS')) cannot be maintained; hint: compare one time with now(), as in measured_at > now() - INTERVAL '1 hour'; join conditions with AND, never OR; for now() = t, compare with >= and <"
        ],
    );
    refused(
        "SELECT meter_id, random() AS r FROM meters",
        expect![
            "random() cannot be maintained; hint: a view must give the same rows each time it is computed: compare a time column with now(), which is the tick"
        ],
    );
    refused(
        "SELECT meter_id FROM meter_readings WHERE measured_at > current_date",
        expect![
            "current_date() cannot be maintained; hint: a view must give the same rows each time it is computed: compare a time column with now(), which is the tick"
        ],
    );
}

#[test]
fn state_that_grows_for_ever_is_refused_unless_allowed() {
    let mut catalog = Catalog::built_in();
    let mut endless = catalog.streams().find(|s| s.def.name == "meter_readings").unwrap().clone();
    endless.retain_ms = 0;
    catalog.add_stream(endless);
    assert!(matches!(catalog.get("meter_readings").unwrap().kind, RelationKind::Stream(_)));
    let planner = Planner::new(catalog);
    let refused = |sql: &str, expected: Expect| {
        let error = planner.view(sql).expect_err("this view is refused");
        expected.assert_eq(&error.full());
    };
    let join = "SELECT r.meter_id, m.bus_id FROM meter_readings r JOIN meters m USING (meter_id)";
    refused(
        &format!("CREATE MATERIALIZED VIEW v AS {join}"),
        expect![
            "the state of a JOIN grows for ever: meter_readings forgets nothing; hint: give the stream a `retain`, group by a time that is bounded, or write WITH (allow_unbounded_state = true)"
        ],
    );
    refused(
        "CREATE MATERIALIZED VIEW v AS SELECT measured_at, count(*) AS n FROM meter_readings GROUP BY measured_at",
        expect![
            "the state of the view grows for ever: meter_readings forgets nothing; hint: give the stream a `retain`, group by a time that is bounded, or write WITH (allow_unbounded_state = true)"
        ],
    );
    let allowed =
        format!("CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS {join}");
    planner.view(&allowed).unwrap();
    let few = "CREATE MATERIALIZED VIEW v AS SELECT meter_id, max(measured_at) AS at, count(*) AS n \
               FROM meter_readings GROUP BY meter_id";
    refused(
        few,
        expect![
            "the state of an aggregate that keeps its values grows for ever: meter_readings forgets nothing; hint: give the stream a `retain`, group by a time that is bounded, or write WITH (allow_unbounded_state = true)"
        ],
    );
    planner.view(&few.replace("max(measured_at) AS at, ", "")).unwrap();
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
