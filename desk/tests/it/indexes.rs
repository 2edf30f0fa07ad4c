//! Indexes, asked through psql: made and dropped, listed as PostgreSQL's are, and with their views
//! within transactions.

use crate::desk::Open;
use crate::psql::as_user;
use crate::psql::ask;
use crate::psql::refused;
use crate::psql::rows;

const BY_FEEDER: &str = "CREATE INDEX by_feeder ON meters (feeder_id)";

/// Names, relations and users of all indexes.
#[track_caller]
fn indexes(open: &Open) -> String {
    rows(open, "SELECT name, relation, used_by FROM gridloom.indexes ORDER BY name")
}

#[test]
fn indexes_come_and_go() {
    let open = Open::new();
    let made = ask(&open, &[BY_FEEDER]);
    assert!(made.contains("by_feeder takes effect at tick"), "{made}");
    let sql = "SELECT columns, hydrated_percent, sql FROM gridloom.indexes";
    assert_eq!(rows(&open, sql), format!("feeder_id|100|{BY_FEEDER}"));
    let shown = ask(&open, &["SHOW INDEXES"]);
    assert!(shown.contains("by_feeder") && shown.contains("used_by"), "{shown}");
    let sql = "SELECT view, rows FROM gridloom.arrangements ORDER BY view";
    assert_eq!(rows(&open, sql), "by_feeder|3\nfeeder_kw|2");
    assert!(refused(&open, BY_FEEDER).contains("42P07"));
    let again = ask(&open, &["CREATE INDEX IF NOT EXISTS by_feeder ON meters (feeder_id)"]);
    assert!(again.contains("by_feeder is there already, and stays as it is"), "{again}");
    ask(&open, &["DROP INDEX by_feeder"]);
    assert_eq!(indexes(&open), "");
    let gone = refused(&open, "DROP INDEX by_feeder");
    assert!(gone.contains("42704") && gone.contains("there is no index by_feeder"), "{gone}");
    let gone = ask(&open, &["DROP INDEX IF EXISTS by_feeder, public.other"]);
    assert!(gone.contains("there is no index other"), "{gone}");
}

#[test]
fn names_are_shared_with_views_and_given_where_there_is_none() {
    let open = Open::new();
    ask(&open, &["CREATE INDEX ON meters (feeder_id)", "CREATE INDEX ON meters (feeder_id)"]);
    assert_eq!(indexes(&open), "meters_feeder_id_idx|meters|\nmeters_feeder_id_idx1|meters|");
    let said = refused(&open, "CREATE INDEX feeder_kw ON meters (feeder_id)");
    assert!(said.contains("42P07") && said.contains("call the index something else"), "{said}");
    let make = "CREATE OR REPLACE MATERIALIZED VIEW meters_feeder_id_idx AS SELECT * FROM meters";
    for said in [refused(&open, make), refused(&open, &format!("BEGIN; {make}"))] {
        assert!(said.contains("42P07") && said.contains("DROP INDEX meters_feed"), "{said}");
    }
}

#[test]
fn a_used_index_stays() {
    let open = Open::new();
    ask(&open, &[BY_FEEDER, "CREATE MATERIALIZED VIEW small AS SELECT * FROM meters"]);
    assert_eq!(indexes(&open), "by_feeder|meters|small");
    for sql in ["DROP INDEX by_feeder", "DROP INDEX by_feeder CASCADE"] {
        let said = refused(&open, sql);
        assert!(said.contains("2BP01") && said.contains("by_feeder is used by small"), "{said}");
        assert!(said.contains("DROP MATERIALIZED VIEW small comes first"), "{said}");
    }
    ask(&open, &["DROP MATERIALIZED VIEW small", "DROP INDEX by_feeder RESTRICT"]);
}

#[test]
fn plans_say_which_indexes_there_are() {
    let open = Open::new();
    ask(&open, &[BY_FEEDER, "CREATE MATERIALIZED VIEW small AS SELECT * FROM meters"]);
    let said = ask(&open, &["EXPLAIN VIEW small"]);
    assert!(said.contains("reads meters from the index by_feeder (feeder_id)"), "{said}");
    // Made before the index, it reads the meters themselves.
    let said = ask(&open, &["EXPLAIN ANALYZE VIEW feeder_kw"]);
    assert!(!said.contains("index"), "{said}");
    let select = "SELECT meter_id FROM meters";
    let create = format!("EXPLAIN CREATE MATERIALIZED VIEW v AS {select}");
    let there = "meters has the index by_feeder (feeder_id)";
    for sql in [create, format!("EXPLAIN MAINTAINED {select}")] {
        let said = ask(&open, &[&sql]);
        assert!(said.contains(there), "{said}");
    }
    open.engine.hydrating("by_feeder", 43);
    let said = ask(&open, &[&format!("EXPLAIN MAINTAINED {select}")]);
    assert!(said.contains(&format!("{there}, 43 % of its history worked off")), "{said}");
    let said = ask(&open, &["EXPLAIN MAINTAINED SELECT kw FROM readings"]);
    assert!(!said.contains("index"), "{said}");
}

#[test]
fn what_is_no_index_here_is_refused() {
    let open = Open::new();
    for (sql, said) in [
        ("CREATE UNIQUE INDEX i ON meters (meter_id)", "an index with UNIQUE is not kept"),
        ("CREATE INDEX i ON meters (meter_id) WHERE limit_kw > 6", "an index with WHERE"),
        ("CREATE INDEX i ON meters USING gin (meter_id)", "an index with USING GIN"),
        ("CREATE INDEX i ON meters (lower(meter_id))", "an index by lower(meter_id)"),
    ] {
        let refused = refused(&open, sql);
        assert!(refused.contains("0A000") && refused.contains(said), "{refused}");
    }
    let said = refused(&open, "CREATE INDEX i ON metres (meter_id)");
    assert!(said.contains("42P01") && said.contains("did you mean meters?"), "{said}");
    let place = format!("metres (meter_id)\n{}^", " ".repeat("LINE 1: CREATE INDEX i ON ".len()));
    assert!(said.contains(&place), "{said}");
    assert!(refused(&open, "CREATE INDEX i ON meters (meter)").contains("42703"));
    assert!(refused(&open, "CREATE INDEX i ON audit.actions (sequence)").contains("42P01"));
    for sql in [BY_FEEDER, "DROP INDEX IF EXISTS i"] {
        let denied = as_user(&open, "vera", &open.viewer, sql);
        assert!(denied.contains("42501") && denied.contains("INDEX is for engineers"), "{denied}");
    }
}

#[test]
fn psql_describes_indexes() {
    let open = Open::new();
    ask(&open, &[BY_FEEDER, "CREATE INDEX kw ON feeder_kw (feeder_id, meters)"]);
    let all = ask(&open, &["\\di"]);
    for part in ["by_feeder", "feeder_kw", "readings_pkey", "index"] {
        assert!(all.contains(part), "{all}");
    }
    let table = ask(&open, &["\\d meters"]);
    assert!(table.contains("\"by_feeder\" btree (feeder_id)"), "{table}");
    let view = ask(&open, &["\\d feeder_kw"]);
    assert!(view.contains("\"kw\" btree (feeder_id, meters)"), "{view}");
    let stream = ask(&open, &["\\d readings"]);
    assert!(stream.contains("\"readings_pkey\" PRIMARY KEY, btree (meter_id)"), "{stream}");
    let index = ask(&open, &["\\d by_feeder"]);
    for part in ["Index \"public.by_feeder\"", "feeder_id", "btree, for table \"public.meters\""] {
        assert!(index.contains(part), "{index}");
    }
    let key = ask(&open, &["\\d readings_pkey"]);
    assert!(key.contains("primary key, btree, for table \"public.readings\""), "{key}");
}

#[test]
fn the_catalog_knows_indexes() {
    let open = Open::new();
    ask(&open, &["CREATE INDEX \"By limit\" ON meters (limit_kw, feeder_id)"]);
    let sql = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename = 'meters'";
    let made = "CREATE INDEX \"By limit\" ON public.meters USING btree (limit_kw, feeder_id)";
    assert_eq!(rows(&open, sql), format!("meters|By limit|{made}"));
    let sql = "SELECT c.relname, c.relkind, c.relnatts, i.indisunique, i.indisprimary, i.indkey, \
               pg_get_indexdef(c.oid) FROM pg_class c JOIN pg_index i ON c.oid = i.indexrelid \
               JOIN pg_class t ON t.oid = i.indrelid WHERE t.relname = 'meters'";
    assert_eq!(rows(&open, sql), format!("By limit|i|2|f|f|{{3,2}}|{made}"));
    let sql = "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON a.attrelid = c.oid WHERE \
               c.relname = 'By limit' ORDER BY a.attnum";
    assert_eq!(rows(&open, sql), "limit_kw\nfeeder_id");
    let sql = "SELECT relhasindex FROM pg_class WHERE relname IN ('meters', 'feeder_kw') ORDER BY \
               relname";
    assert_eq!(rows(&open, sql), "f\nt");
    // As dbt asks for those of a view.
    let sql = "SELECT i.relname AS name, m.amname AS method, ix.indisunique AS \"unique\", \
               array_to_string(array_agg(a.attname), ',') AS column_names FROM pg_index ix \
               JOIN pg_class i ON i.oid = ix.indexrelid JOIN pg_am m ON m.oid = i.relam \
               JOIN pg_class t ON t.oid = ix.indrelid JOIN pg_namespace n ON \
               n.oid = t.relnamespace JOIN pg_attribute a ON a.attrelid = t.oid AND \
               a.attnum = ANY(ix.indkey) WHERE t.relname = 'feeder_kw' AND n.nspname = 'public' \
               AND t.relkind IN ('r', 'm') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    assert_eq!(rows(&open, sql), "");
    ask(&open, &["CREATE INDEX kw ON feeder_kw (feeder_id)"]);
    assert_eq!(rows(&open, sql), "kw|btree|f|feeder_id");
}

#[test]
fn a_view_that_works_off_its_history_may_have_an_index() {
    let open = Open::new();
    open.engine.hydrating("feeder_kw", 43);
    let said = ask(&open, &["CREATE INDEX kw ON feeder_kw (feeder_id)"]);
    assert!(said.contains("kw takes effect at tick"), "{said}");
    assert_eq!(indexes(&open), "kw|feeder_kw|");
}

/// What dbt sends for a view with an index, its name being made of the time.
fn made(view: &str, columns: &str, index: &str) -> String {
    let view = format!("\"gridloom\".\"public\".\"{view}\"");
    format!(
        "create materialized view if not exists {view} as select {columns} from meters;\n\
         create  index if not exists\n  \"{index}\"\n  on {view} using btree\n  (feeder_id)"
    )
}

#[test]
fn a_transaction_makes_a_view_with_its_index() {
    let open = Open::new();
    let make = made("v", "*", "0a");
    ask(&open, &["BEGIN", &make, "ROLLBACK"]);
    assert_eq!(indexes(&open), "");
    let said = ask(&open, &["BEGIN", &make, "COMMIT"]);
    assert!(said.contains("0a takes effect at COMMIT"), "{said}");
    let sql = "SELECT name, relation, sql FROM gridloom.indexes";
    assert_eq!(rows(&open, sql), "0a|v|CREATE INDEX \"0a\" ON v (feeder_id)");
    // In one text, and both are there.
    ask(&open, &[&make]);
    let said = refused(&open, "BEGIN; DROP INDEX gone");
    assert!(said.contains("42704"), "{said}");
    ask(&open, &["BEGIN", "drop index if exists \"public\".\"0a\"", "COMMIT"]);
    assert_eq!(indexes(&open), "");
}

#[test]
fn a_view_that_is_replaced_leaves_its_indexes() {
    let open = Open::new();
    ask(&open, &[&made("v", "*", "0a")]);
    // As dbt does it, with other columns.
    ask(
        &open,
        &[
            "BEGIN",
            &made("v__tmp", "feeder_id, meter_id", "0b"),
            "alter materialized view \"gridloom\".\"public\".\"v\" rename to \"v__backup\"",
            "alter materialized view \"gridloom\".\"public\".\"v__tmp\" rename to \"v\"",
            "drop materialized view if exists \"gridloom\".\"public\".\"v__backup\" cascade",
            "COMMIT",
        ],
    );
    assert_eq!(indexes(&open), "0b|v|");
    assert_eq!(rows(&open, "SELECT * FROM v ORDER BY meter_id LIMIT 1"), "f1|m1");
    // What is dropped and made again as it was stays.
    let make = "CREATE MATERIALIZED VIEW v AS SELECT feeder_id, meter_id FROM meters";
    let index = "CREATE INDEX \"0b\" ON v (feeder_id)";
    let said = ask(&open, &[&format!("DROP MATERIALIZED VIEW v; {make}; {index}")]);
    assert!(!said.contains("gridloom.indexes shows"), "{said}");
    assert_eq!(indexes(&open), "0b|v|");
}

#[test]
fn an_index_that_others_use_stays_when_its_view_is_replaced() {
    let open = Open::new();
    ask(&open, &[&made("v", "*", "0a"), "CREATE MATERIALIZED VIEW w AS SELECT * FROM v"]);
    let make = "CREATE MATERIALIZED VIEW v AS SELECT * FROM meters WHERE limit_kw > 6";
    let said = ask(&open, &[&format!("DROP MATERIALIZED VIEW v; {make}")]);
    assert!(said.contains("0a is used by w, and stays"), "{said}");
    assert_eq!(indexes(&open), "0a|v|w");
    assert_eq!(rows(&open, "SELECT count(*) FROM w"), "2");
}

#[test]
fn indexes_go_with_what_they_are_on_and_follow_it_to_another_name() {
    let open = Open::new();
    ask(&open, &[&made("v", "*", "0a")]);
    ask(&open, &["ALTER MATERIALIZED VIEW v RENAME TO \"V\""]);
    let sql = "SELECT name, sql FROM gridloom.indexes";
    assert_eq!(rows(&open, sql), "0a|CREATE INDEX \"0a\" ON \"V\" (feeder_id)");
    let said = ask(&open, &["DROP MATERIALIZED VIEW \"V\""]);
    assert!(said.contains("0a arranged V and is dropped too"), "{said}");
    assert_eq!(indexes(&open), "");
    ask(&open, &[&made("v", "*", "0a"), "CREATE MATERIALIZED VIEW w AS SELECT * FROM v"]);
    let said = refused(&open, "DROP MATERIALIZED VIEW v");
    assert!(said.contains("2BP01") && said.contains("w"), "{said}");
    assert_eq!(indexes(&open), "0a|v|w");
    ask(&open, &["DROP MATERIALIZED VIEW v CASCADE"]);
    assert_eq!(indexes(&open), "");
    assert_eq!(rows(&open, "SELECT name FROM gridloom.views"), "feeder_kw");
}

#[test]
fn what_uses_an_index_may_go_with_it_in_one_transaction() {
    let open = Open::new();
    ask(&open, &[&made("v", "*", "0a"), "CREATE MATERIALIZED VIEW w AS SELECT * FROM v"]);
    ask(&open, &["DROP INDEX \"0a\"; DROP MATERIALIZED VIEW w; DROP MATERIALIZED VIEW v"]);
    assert_eq!(indexes(&open), "");
    assert_eq!(rows(&open, "SELECT name FROM gridloom.views"), "feeder_kw");
}
