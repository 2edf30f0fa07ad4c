//! `cargo bench -p gridloom-benches --bench feeder_cost`: the table, JSON lines, and the two
//! closing lines.
//!
//! `--test` (as `cargo test --benches` passes) runs one variant and only compares digests.

#![expect(clippy::print_stdout, reason = "a benchmark's table is its output")]

use benches::feeder_cost::METERS;
use benches::feeder_cost::SEED;
use benches::feeder_cost::TICKS;
use benches::feeder_cost::VARIANTS;
use benches::feeder_cost::Workload;
use benches::feeder_cost::batch;
use benches::feeder_cost::by_hand;
use benches::feeder_cost::planned;
use benches::meter::machine;

#[global_allocator]
static ALLOCATOR: benches::meter::Counting = benches::meter::Counting;

/// Each variant is measured this often; the best run counts, because noise only ever adds.
const RUNS: usize = 3;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let smoke = std::env::args().any(|argument| argument == "--test");
    let (variants, runs) = if smoke { (&VARIANTS[..1], 1) } else { (&VARIANTS[..], RUNS) };
    println!("feeder cost: {METERS} meters x {TICKS} ticks, seed {SEED}; {}", machine());
    println!("one worker; processor time of the whole process");
    println!(
        "{:<22} {:<14} {:>14} {:>9} {:>9} {:>12} {:>9} {:>7}",
        "variant", "how", "readings/cpu-s", "p50 ms", "p99 ms", "bytes/reading", "changes", "ratio"
    );
    let (mut best, mut worst, mut state) = (0.0f64, f64::INFINITY, 0.0f64);
    for variant in variants {
        let prices = if variant.all_prices { "all prices" } else { "one price" };
        let name = format!("{} s ticks, {prices}", variant.step_ms / 1_000);
        let mut hand = None;
        let mut digests = Vec::new();
        for how in ["by hand", "SQL planned", "batch once"] {
            let run = || match how {
                "by hand" => by_hand::run(Workload::new(*variant)),
                "SQL planned" => planned::run(Workload::new(*variant)),
                _ => batch::run(&Workload::new(*variant)),
            };
            let rate = |m: &benches::feeder_cost::Measured| m.readings_per_cpu_second;
            let all = (0..runs).map(|_| run());
            let measured = all.max_by(|a, b| rate(a).total_cmp(&rate(b))).expect("at least one");
            let ceiling = *hand.get_or_insert(rate(&measured));
            if how == "SQL planned" {
                best = best.max(rate(&measured));
                worst = worst.min(rate(&measured));
                state = state.max(measured.state_bytes_per_reading);
            }
            println!(
                "{name:<22} {how:<14} {:>14.0} {:>9.2} {:>9.2} {:>12.1} {:>9} {:>6.2}x",
                rate(&measured),
                measured.tick_p50_ms,
                measured.tick_p99_ms,
                measured.state_bytes_per_reading,
                measured.changes,
                rate(&measured) / ceiling,
            );
            let json = serde_json::json!({
                "workload": "feeder_cost", "variant": name, "how": how, "seed": SEED,
                "machine": machine(), "measured": measured,
            });
            eprintln!("{json}");
            digests.push(measured.digest);
        }
        assert!(digests.iter().all(|d| *d == digests[0]), "{name}: digests differ: {digests:x?}");
    }
    println!("digests of all three agree");
    println!("feeder_cost: best {best:.0} worst {worst:.0} readings/cpu-s");
    println!("feeder_cost: state {state:.1} bytes/reading");
}
