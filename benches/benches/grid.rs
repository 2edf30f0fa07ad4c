//! `cargo bench -p gridloom-benches --bench grid`: the table of ratios against the peers.
//!
//! The peers are installed from PyPI into the target directory by the first run. Without `--bench`
//! it runs one small race of each kind and installs nothing. `GRIDLOOM_GRID_ONLY` names tasks
//! and networks: what holds none of its words, separated by commas, is left out.

#![expect(clippy::print_stdout, reason = "a benchmark's table is its output")]

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use benches::meter::machine;
use benches::meter::smoke;
use benches::physics::SEED;
use benches::physics::TOLERANCE_PU;
use benches::physics::field::Field;
use benches::physics::field::SHIPPED;
use benches::physics::native;
use benches::physics::race::Target;
use benches::physics::tasks;

/// Rounds of a race.
const ROUNDS: u64 = 7;

fn main() {
    let rounds = if smoke() { 1 } else { ROUNDS };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("grid");
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut field = Field::prepare(&folder, &peers, !smoke());
    let mut head = vec![
        format!("grid: ratios against the peers, {rounds} rounds in turn, medians"),
        format!("{}; built for {}", machine(), native::built_for()),
        format!("seed {SEED}, tolerance {TOLERANCE_PU:e} pu; {}", field.versions_text()),
    ];
    head.extend(native::missing().map(|what| format!("!! {what}")));
    let shipped: &[&str] = if smoke() { &[] } else { &SHIPPED };
    let cases = tasks::cases(&mut field, shipped);
    head.extend(field.loud.iter().map(|what| format!("!! {what}")));
    head.iter().for_each(|line| println!("{line}"));
    println!();
    let mut markdown = format!("{}\n\n", head.join("  \n"));
    let data = std::env::var_os("GRIDLOOM_DATA").map(PathBuf::from);
    let only = std::env::var("GRIDLOOM_GRID_ONLY").unwrap_or_default();
    let mut verdicts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for task in tasks::all(&cases, data.as_deref()) {
        let block = task.run(&mut field, rounds, &only);
        if block.rows.is_empty() {
            continue;
        }
        println!("{}", block.text());
        markdown.push_str(&block.markdown());
        for row in block.rows.iter().filter(|row| row.target != Target::Shown) {
            let name = format!("{} on {}", block.title, row.network);
            let verdict = row.met().map_or("with nobody to hold against, or without us", |met| {
                if met { "met" } else { "missed" }
            });
            verdicts.entry(verdict).or_default().push(name);
        }
    }
    for (verdict, of) in &verdicts {
        let names = if *verdict == "met" { String::new() } else { format!(": {}", of.join("; ")) };
        println!("{} targets {verdict}{names}", of.len());
    }
    let path = folder.join("speed.md");
    match std::fs::write(&path, markdown) {
        Ok(()) => println!("as Markdown: {}", path.display()),
        Err(why) => println!("!! {}: {why}", path.display()),
    }
}
