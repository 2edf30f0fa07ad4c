//! `cargo bench -p gridloom-benches --bench forecast`: what a forecast costs, and how it does
//! beside LightGBM.
//!
//! The peer is installed from PyPI into the target directory by the first run, and is left out,
//! loudly, where that fails or where `GRIDLOOM_DATA` does not say where the series lie. Without
//! `--bench` it runs a handful of nodes and installs nothing.

#![expect(clippy::print_stdout, reason = "a benchmark's table is its output")]

use std::path::Path;
use std::path::PathBuf;

use benches::foresight::nodes::Cost;
use benches::foresight::nodes::WARM_DAYS;
use benches::foresight::nodes::backtest;
use benches::foresight::nodes::measure;
use benches::foresight::nodes::measure_whole;
use benches::foresight::real::SERIES;
use benches::meter::Counting;
use benches::meter::machine;
use benches::meter::smoke;
use benches::physics::peers::Environment;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Minutes of a step, nodes, days of history that the structure was chosen from, and what is to be
/// reached: microseconds and kilobytes a node.
const NODES: [(i64, usize, i64, f64, f64); 4] = [
    (60, 1_000, 60, 100.0, 300.0),
    (60, 10_000, 60, 100.0, 300.0),
    (60, 1_000, 310, 100.0, 300.0),
    (15, 1_000, 60, 300.0, 600.0),
];

fn main() {
    println!("forecast: two experts, quantiles, 24 h ahead; {}", machine());
    println!("made loads, node n of seed n; {WARM_DAYS} days learned before");
    println!("one core: what 10,000 nodes take of it when refreshed each 15 minutes");
    println!("| step | nodes | columns | µs a node | to reach | kB a node | to reach | one core |");
    println!("|---|---|---|---|---|---|---|---|");
    for (minutes, nodes, days, us, kilobytes) in NODES {
        let nodes = if smoke() { 3 } else { nodes };
        let cost = measure(minutes, nodes, days);
        print(
            &format!("{minutes} min"),
            nodes,
            cost,
            [us, kilobytes].map(|most| format!("{most:.0}")),
        );
    }
    for (nodes, days) in [(1_000, 60), (200, 400)] {
        let (nodes, days) = if smoke() { (2, 60) } else { (nodes, days) };
        let cost = measure_whole(nodes, days);
        print(&format!("60 min, whole, {days} days"), nodes, cost, ["-"; 2].map(str::to_owned));
    }
    let days = if smoke() { 90 } else { 3 * 365 };
    let (seconds, origins, wape) = backtest(days);
    println!();
    println!(
        "backtest of {days} days of half hours: {seconds:.1} s, {origins} origins, WAPE {wape:.2} %"
    );
    if !smoke() {
        races();
    }
}

fn print(step: &str, nodes: usize, cost: Cost, [us, kilobytes]: [String; 2]) {
    let core = 100.0 * cost.step_us * 1e-6 * 10_000.0 / 900.0;
    let measured = format!("{:.0} | {us} | {:.0} | {kilobytes}", cost.step_us, cost.kilobytes);
    println!("| {step} | {nodes} | {} | {measured} | {core:.2} % |", cost.columns);
    assert!(cost.digest.is_finite(), "forecasts are numbers");
}

fn races() {
    let Some(data) = std::env::var_os("GRIDLOOM_DATA").map(PathBuf::from) else {
        println!("!! GRIDLOOM_DATA does not say where the series lie: no race");
        return;
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("forecast");
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/forecast-requirements.txt");
    let made = std::fs::create_dir_all(&folder).map_err(|error| error.to_string());
    let environment = made.and_then(|()| Environment::prepare(&folder.join("python"), &wanted));
    let python = environment.as_ref().ok().map(|environment| environment.python.as_path());
    if let Err(why) = &environment {
        println!("!! LightGBM is absent: {why}");
    }
    println!();
    println!("MAPE in percent, targets 1-24 h after origins each 6 h, measured temperature;");
    println!("seconds of processor time");
    println!("| series | ours | 1 h | LightGBM, same features | 1 h | ours s | LightGBM s |");
    println!("|---|---|---|---|---|---|---|");
    for series in SERIES {
        match series.race(&data, &folder.join(series.name), python) {
            Err(error) => println!("!! {}: {error}", series.name),
            Ok(result) => {
                let (ours, ours_1h) = result.ours;
                let peer = match result.peer {
                    Ok(((mape, hour), seconds)) => {
                        format!("{mape:.2} | {hour:.2} | {:.1} | {seconds:.1}", result.ours_seconds)
                    }
                    Err(why) => format!("!! {why} | | {:.1} |", result.ours_seconds),
                };
                println!("| {} | {ours:.2} | {ours_1h:.2} | {peer} |", series.name);
            }
        }
    }
}
