//! `cargo bench -p gridloom-benches --bench feeder_cost`: the table, JSON lines, and the two
//! closing lines.
//!
//! Under `cargo test` it runs one variant once, and compares digests.

#![expect(clippy::print_stdout, reason = "a benchmark's table is its output")]

use benches::feeder_cost::METERS;
use benches::feeder_cost::SEED;
use benches::feeder_cost::SQL;
use benches::feeder_cost::SQL_LOOKUP;
use benches::feeder_cost::TICKS;
use benches::feeder_cost::VARIANTS;
use benches::feeder_cost::Workload;
use benches::feeder_cost::batch;
use benches::feeder_cost::by_hand;
use benches::feeder_cost::planned;
use benches::meter::machine;
use benches::meter::smoke;

#[global_allocator]
static ALLOCATOR: benches::meter::Counting = benches::meter::Counting;

/// Each variant is measured this often; the best run counts, because noise only ever adds.
const RUNS: usize = 3;

/// The best and the worst variant.
struct Rates {
    best: f64,
    worst: f64,
}

impl Rates {
    fn new() -> Rates {
        Rates { best: 0.0, worst: f64::INFINITY }
    }

    fn see(&mut self, rate: f64) {
        (self.best, self.worst) = (self.best.max(rate), self.worst.min(rate));
    }
}

impl std::fmt::Display for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "best {:.0} worst {:.0}", self.best, self.worst)
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let smoke = smoke();
    let (variants, runs) = if smoke { (&VARIANTS[..1], 1) } else { (&VARIANTS[..], RUNS) };
    println!("feeder cost: {METERS} meters x {TICKS} ticks, seed {SEED}; {}", machine());
    println!("one worker; processor time of the whole process");
    println!(
        "{:<22} {:<14} {:>14} {:>9} {:>9} {:>12} {:>9} {:>7}",
        "variant", "how", "readings/cpu-s", "p50 ms", "p99 ms", "bytes/reading", "changes", "ratio"
    );
    let (mut planned, mut lookup, mut state) = (Rates::new(), Rates::new(), 0.0f64);
    for variant in variants {
        let prices = if variant.all_prices { "all prices" } else { "one price" };
        let name = format!("{} s ticks, {prices}", variant.step_ms / 1_000);
        let mut hand = None;
        let mut digests = Vec::new();
        for how in ["by hand", "SQL planned", "SQL, lookup", "batch once"] {
            let run = || match how {
                "by hand" => by_hand::run(Workload::new(*variant)),
                "SQL planned" => planned::run(Workload::new(*variant), SQL),
                "SQL, lookup" => planned::run(Workload::new(*variant), SQL_LOOKUP),
                _ => batch::run(&Workload::new(*variant)),
            };
            let rate = |m: &benches::feeder_cost::Measured| m.readings_per_cpu_second;
            let all = (0..runs).map(|_| run());
            let measured = all.max_by(|a, b| rate(a).total_cmp(&rate(b))).expect("at least one");
            let ceiling = *hand.get_or_insert(rate(&measured));
            match how {
                "SQL planned" => {
                    planned.see(rate(&measured));
                    state = state.max(measured.state_bytes_per_reading);
                }
                "SQL, lookup" => lookup.see(rate(&measured)),
                _ => {}
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
    println!("digests of all four agree");
    println!("feeder_cost, tables as lookups: {lookup} readings/cpu-s");
    println!("feeder_cost: {planned} readings/cpu-s");
    println!("feeder_cost: state {state:.1} bytes/reading");
}
