//! `cargo bench -p gridloom-benches --bench tpch`: the 22 rows of the table.
//!
//! Under `cargo test` it runs a small scale, and fails unless all 22 queries are maintained and
//! equal to batch after every batch. `GRIDLOOM_TPCH_SCALE` sets another scale,
//! `GRIDLOOM_TPCH_QUERY` runs one query alone.

#![expect(clippy::print_stdout, reason = "a benchmark's table is its output")]

use benches::meter::machine;
use benches::meter::smoke;
use benches::tpch::QUERIES;
use benches::tpch::data::Database;
use benches::tpch::run::Measured;
use benches::tpch::run::Outcome;
use benches::tpch::run::run;

#[global_allocator]
static ALLOCATOR: benches::meter::Counting = benches::meter::Counting;

/// 240,000 lines of 60,000 orders: about 10,000 changes a batch.
const SCALE: f64 = 0.04;
const BATCHES: usize = 20;

/// 12,000 lines: the least at which most queries have rows to show.
const SMOKE_SCALE: f64 = 0.002;
const SMOKE_BATCHES: usize = 4;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let smoke = smoke();
    let (scale, batches) = if smoke { (SMOKE_SCALE, SMOKE_BATCHES) } else { (SCALE, BATCHES) };
    let scale = setting("GRIDLOOM_TPCH_SCALE").unwrap_or(scale);
    let only = setting("GRIDLOOM_TPCH_QUERY");
    println!("TPC-H, scale factor {scale}, {batches} batches of orders that come and go");
    println!("{}; one worker; processor time", machine());
    println!(
        "{:>5} {:<10} {:<6} {:>6} {:>9} {:>7} {:>9} {:>9} {:>10} {:>9} {:>7} {:>9}",
        "query",
        "",
        "equal",
        "rows",
        "load ms",
        "changes",
        "p50 ms",
        "p99 ms",
        "rows/cpu-s",
        "anew ms",
        "ratio",
        "bytes/row"
    );
    // What the generator keeps for itself is no query's state.
    drop(Database::new(SMOKE_SCALE, 1));
    let (mut equal, mut shown) = (0, 0);
    for (number, sql) in QUERIES {
        if only.is_some_and(|only| only != f64::from(number)) {
            continue;
        }
        match run(sql, scale, batches) {
            Outcome::Refused(error) => println!("{number:>5} refused    {}", error.full()),
            Outcome::Maintained(measured) => {
                row(number, &measured);
                equal += usize::from(measured.different.is_none());
                shown += usize::from(measured.shown > 0);
            }
        }
    }
    println!("tpch: {equal} of {} maintained and equal, {shown} with rows to show", QUERIES.len());
    if smoke && only.is_none() {
        assert_eq!(equal, QUERIES.len(), "every query is maintained and equal");
        assert!(shown >= 18, "equal to nothing proves nothing: {shown} queries show rows");
    }
}

fn row(number: u32, measured: &Measured) {
    println!(
        "{number:>5} {:<10} {:<6} {:>6} {:>9.1} {:>7} {:>9.2} {:>9.2} {:>10.0} {:>9.1} {:>6.1}x \
         {:>9.1}",
        "maintained",
        if measured.different.is_none() { "yes" } else { "NO" },
        measured.rows,
        measured.load_ms,
        measured.changes,
        measured.batch_ms,
        measured.batch_p99_ms,
        measured.changes_per_cpu_second,
        measured.asked_ms,
        measured.asked_ms / measured.batch_ms,
        measured.state_bytes_per_row,
    );
    if let Some(different) = &measured.different {
        println!("      {different}");
    }
}

fn setting(name: &str) -> Option<f64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}
