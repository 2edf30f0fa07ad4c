//! `cargo bench -p gridloom-benches --bench live`: readers and readings beside each other, and how
//! long a new view takes.
//!
//! Everything is real: the log with its syncs, the PostgreSQL door with its passwords, on loopback.
//! Readers and engine share the machine's cores. Without `--bench` it runs for seconds, and fails
//! unless every question has an answer.

#![expect(clippy::print_stdout, reason = "a benchmark's table is its output")]

use benches::feeder_cost::METERS;
use benches::feeder_cost::SEED;
use benches::live::hydration;
use benches::live::readers;
use benches::live::readers::Load;
use benches::meter::machine;
use benches::meter::smoke;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let smoke = smoke();
    println!("live: {METERS} meters, ticks of 1 s, seed {SEED}; {}", machine());
    let (seconds, each, many) = if smoke { (3, 1, 10) } else { (30, 10, 100) };
    println!(
        "{:<34} {:>11} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9}",
        "load", "readings/s", "p50 ms", "p99 ms", "answers", "failed", "p50 ms", "p99 ms"
    );
    for (each, readers) in [(each, 0), (0, many), (each, many)] {
        let load = Load { each, readers, seconds };
        let measured = readers::run(load);
        let name = format!("{} readings/s, {readers} readers", each * METERS);
        println!(
            "{name:<34} {:>11.0} {:>9.1} {:>9.1} {:>9} {:>7} {:>9.1} {:>9.1}",
            measured.readings as f64 / seconds as f64,
            measured.tick_p50_ms,
            measured.tick_p99_ms,
            measured.answers,
            measured.failed,
            measured.answer_p50_ms,
            measured.answer_p99_ms,
        );
        let json = serde_json::json!({
            "workload": "live", "load": name, "seed": SEED, "machine": machine(),
            "measured": measured,
        });
        eprintln!("{json}");
        assert_eq!(measured.failed, 0, "questions without an answer");
        assert!(readers == 0 || measured.answers > 0, "nobody asked");
    }
    let seconds = if smoke { 5 } else { 100 };
    let all = hydration::run(seconds);
    println!(
        "{:<42} {:>9} {:>8} {:>11} {:>9} {:>9} {:>9}",
        "made while ticks go on",
        "retained",
        "rows",
        "readable ms",
        "before ms",
        "p50 ms",
        "max ms"
    );
    for measured in all {
        println!(
            "{:<42} {:>9} {:>8} {:>11.0} {:>9.1} {:>9.1} {:>9.1}",
            measured.made,
            measured.retained,
            measured.shown,
            measured.readable_ms,
            measured.before_p50_ms,
            measured.meanwhile_p50_ms,
            measured.meanwhile_max_ms,
        );
        let view = measured.made.starts_with("a view");
        assert!(!view || measured.shown >= METERS, "the view shows {} rows", measured.shown);
        eprintln!("{}", serde_json::json!({ "workload": "hydration", "measured": measured }));
    }
}
