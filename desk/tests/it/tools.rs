//! What Grafana and DBeaver ask, in their own words, asked through psql.

use crate::desk::Open;
use crate::psql::refused;
use crate::psql::rows;

/// Where Grafana looks for names.
const SEARCHED: &str = r#"
          quote_ident(table_schema) IN (
          SELECT
            CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM
            generate_series(
              array_lower(string_to_array(current_setting('search_path'),','),1),
              array_upper(string_to_array(current_setting('search_path'),','),1)
            ) as i,
            string_to_array(current_setting('search_path'),',') s
          )"#;

#[test]
fn grafana_learns_what_it_talks_to() {
    let open = Open::new();
    assert_eq!(rows(&open, "SELECT current_setting('server_version_num')::int/100"), "1500");
    assert_eq!(rows(&open, "SHOW server_version_num"), "150009");
    assert!(rows(&open, "SELECT version()").starts_with("PostgreSQL 15.9"));
    let timescale = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
    assert_eq!(rows(&open, timescale), "");
    assert_eq!(rows(&open, "SELECT * FROM pg_extension"), "");
}

#[test]
fn grafana_offers_relations_and_columns() {
    let open = Open::new();
    let sql = format!(
        r#"select quote_ident(table_name) as "table" from information_schema.tables
    where quote_ident(table_schema) not in ('information_schema',
                             'pg_catalog',
                             '_timescaledb_cache',
                             '_timescaledb_catalog',
                             '_timescaledb_internal',
                             '_timescaledb_config',
                             'timescaledb_information',
                             'timescaledb_experimental')
      and {SEARCHED} order by 1"#
    );
    assert_eq!(rows(&open, &sql), "feeder_kw\nmeters\nreadings");
    let sql = format!(
        r#"select quote_ident(column_name) as "column", data_type as "type"
    from information_schema.columns
    where quote_ident(table_name) = 'readings' and {SEARCHED}"#
    );
    let expected = "meter_id|text\nat|timestamp with time zone\nkw|double precision\nn|bigint";
    assert_eq!(rows(&open, &sql), expected);
}

/// What Grafana makes of `$__timeFilter(at)`.
const FILTER: &str = "at BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-01T00:01:00.123Z'";

#[test]
fn grafana_draws_series() {
    let open = Open::new();
    open.engine.step();
    let sql = format!(r#"SELECT at AS "time", kw FROM readings WHERE {FILTER} ORDER BY 2 LIMIT 1"#);
    assert_eq!(rows(&open, &sql), "2026-01-01 00:00:05+00|1.5");
    // $__timeGroup(at, '1m'), and $__unixEpochFilter on it.
    let sql = format!(
        r#"SELECT floor(extract(epoch from at)/60)*60 AS "time", meter_id AS metric, avg(kw) AS kw
           FROM readings WHERE {FILTER} AND kw IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"#
    );
    assert_eq!(rows(&open, &sql), "1767225600.0|m1|1.5\n1767225600.0|m2|2.0");
    let sql = "SELECT extract(epoch from at) AS time, kw FROM readings WHERE \
               extract(epoch from at) >= 1767225600 AND extract(epoch from at) <= 1767225700 \
               ORDER BY 2 LIMIT 1";
    assert_eq!(rows(&open, sql), "1767225605.0|1.5");
    let sql = format!(
        "SELECT date_trunc('minute', at) AS time, max(n) FROM readings WHERE {FILTER} GROUP BY 1"
    );
    assert_eq!(rows(&open, &sql), "2026-01-01 00:00:00+00|1");
    assert_eq!(rows(&open, "SELECT DISTINCT meter_id FROM readings ORDER BY 1"), "m1\nm2\nm3");
    // Columns without a name of their own may be alike.
    assert_eq!(rows(&open, "SELECT 1, 1, NULL, NULL"), "1|1||");
}

#[test]
fn dbeaver_lists_everything() {
    let open = Open::new();
    for sql in [
        "SET application_name = 'DBeaver 24.2.0 - Main <gridloom>'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ] {
        rows(&open, sql);
    }
    assert_eq!(rows(&open, "SELECT current_schema(),session_user"), "public|admin");
    assert_eq!(rows(&open, "SHOW search_path"), "public");
    let count = |sql: &str| rows(&open, sql).lines().count();
    assert_eq!(
        count(
            "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE 1 = 1 AND datallowconn AND \
             NOT datistemplate ORDER BY db.datname"
        ),
        1
    );
    let words = rows(
        &open,
        "select string_agg(word, ',') from pg_catalog.pg_get_keywords() where word <> ALL \
         ('{a,abs,absolute,action}'::text[])",
    );
    assert!(words.contains("select"), "{words}");
    let schemas = "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN \
                   pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND \
                   d.classoid='pg_namespace'::regclass ORDER BY nspname";
    assert_eq!(count(schemas), 5);
    let relations = "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) \
         as partition_expr,  pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM \
         pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND \
         d.objsubid=0 AND d.classoid='pg_class'::regclass WHERE c.relnamespace=2200 AND c.relkind \
         not in ('i','I','c')";
    assert_eq!(count(relations), 3);
    let columns = "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as \
         def_value,dsc.description,dep.objid FROM pg_catalog.pg_attribute a INNER JOIN \
         pg_catalog.pg_class c ON (a.attrelid=c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON \
         (a.attrelid=ad.adrelid AND a.attnum = ad.adnum) LEFT OUTER JOIN pg_catalog.pg_description \
         dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) LEFT OUTER JOIN pg_depend dep on \
         dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and \
         dep.classid = dep.refclassid WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') \
         AND c.oid='public.meters'::regclass ORDER BY a.attnum";
    assert_eq!(count(columns), 3);
    let keys = "SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace, \
         d.description, case when c.contype='c' then \"substring\"(pg_get_constraintdef(c.oid), 7) \
         else null end consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN \
         pg_catalog.pg_class t ON \
         t.oid=c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid LEFT OUTER \
         JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND \
         d.classoid='pg_constraint'::regclass WHERE c.conrelid='readings'::regclass ORDER BY c.oid";
    assert_eq!(count(keys), 1);
}

#[test]
fn what_tools_do_not_get_is_refused_by_name() {
    let open = Open::new();
    for (sql, said) in [
        ("CREATE UNIQUE INDEX i ON feeder_kw (feeder_id)", "an index with UNIQUE is not kept"),
        ("COMMENT ON MATERIALIZED VIEW feeder_kw IS 'x'", "comments are not kept"),
        ("ALTER TABLE meters ADD COLUMN x text", "this ALTER is not done here"),
        ("CREATE SCHEMA IF NOT EXISTS other", "views are in the one schema public"),
    ] {
        let refused = refused(&open, sql);
        assert!(refused.contains("0A000") && refused.contains(said), "{refused}");
    }
}
