//! `cargo bench -p gridloom-benches --bench extremes`: the table, JSON lines, and the closing line.
//!
//! Under `cargo test` it runs small variants once. Either way it fails unless every way shows the
//! right rows at the end of every batch.

#![expect(clippy::print_stdout, reason = "a benchmark's table is its output")]

use std::sync::Arc;

use benches::extremes::Measured;
use benches::extremes::SEED;
use benches::extremes::SMOKE;
use benches::extremes::VARIANTS;
use benches::extremes::Workload;
use benches::extremes::by_hand;
use benches::extremes::planned;
use benches::meter::machine;
use benches::meter::smoke;

#[global_allocator]
static ALLOCATOR: benches::meter::Counting = benches::meter::Counting;

/// Each way is measured this often; the best run counts, because noise only ever adds.
const RUNS: usize = 3;

/// A way of maintaining the view.
type Way = fn(Arc<Workload>) -> Measured;

const WAYS: [(&str, Way); 3] = [
    ("SQL, planned", planned::run),
    ("one reduce", by_hand::reduce),
    ("a hierarchy", by_hand::hierarchy),
];

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let smoke = smoke();
    let (variants, runs) = if smoke { (&SMOKE[..], 1) } else { (&VARIANTS[..], RUNS) };
    println!("extremes: least and greatest of each group, seed {SEED}; {}", machine());
    println!("one worker; processor time of the whole process; half of what goes is an extreme");
    println!(
        "{:<34} {:<13} {:>14} {:>9} {:>9} {:>9} {:>13} {:>8} {:>8}",
        "groups x readings, changes a batch",
        "how",
        "changes/cpu-s",
        "load ms",
        "p50 ms",
        "p99 ms",
        "bytes/reading",
        "said",
        "ratio"
    );
    for variant in variants {
        let workload = Arc::new(Workload::new(*variant));
        let (groups, readings, changes) = (variant.groups, variant.readings, variant.changes * 2);
        let name = format!("{groups} x {readings}, {changes}");
        let mut ours = None;
        let mut digests = Vec::new();
        for (how, way) in WAYS {
            let rate = |m: &Measured| m.changes_per_cpu_second;
            let all = (0..runs).map(|_| way(Arc::clone(&workload)));
            let measured = all.max_by(|a, b| rate(a).total_cmp(&rate(b))).expect("at least one");
            let of = *ours.get_or_insert(rate(&measured));
            println!(
                "{name:<34} {how:<13} {:>14.0} {:>9.1} {:>9.3} {:>9.3} {:>13.1} {:>8} {:>7.3}x",
                rate(&measured),
                measured.load_ms,
                measured.batch_p50_ms,
                measured.batch_p99_ms,
                measured.state_bytes_per_reading,
                measured.said,
                rate(&measured) / of,
            );
            let json = serde_json::json!({
                "workload": "extremes", "variant": name, "batches": variant.batches, "how": how,
                "seed": SEED, "machine": machine(), "measured": measured,
            });
            eprintln!("{json}");
            digests.push(measured.digest);
        }
        assert!(digests.iter().all(|d| *d == digests[0]), "{name}: digests differ: {digests:x?}");
    }
    println!("all three show the right rows at the end of every batch");
}
