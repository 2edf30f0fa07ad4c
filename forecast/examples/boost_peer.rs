//! Fits and predicts one case of `benches/peers/boost.py`, and says what it cost.
//!
//! Each line of its input names a folder with `case.json` (see [`Case`]), `columns.f32` (feature
//! after feature, rows learned from before rows judged by, little-endian) and `targets.f32` (as
//! many rows). A line of JSON answers each; the predictions go to `ours.f64` in the folder. Times
//! are seconds of processor time of the only thread.

use std::io::Write;
use std::path::Path;

use forecast::boost::Booster;
use forecast::boost::Params;
use serde::Deserialize;
use serde_json::json;

/// What to fit.
#[derive(Deserialize)]
struct Case {
    /// Columns.
    features: usize,
    /// Rows learned from.
    learned: usize,
    /// How.
    params: Params,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for folder in std::io::stdin().lines() {
        let answer = answer(Path::new(&folder?))?;
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

/// Fits and predicts the case in a folder.
fn answer(folder: &Path) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let case: Case = serde_json::from_slice(&std::fs::read(folder.join("case.json"))?)?;
    let targets = floats(&folder.join("targets.f32"))?;
    let columns = floats(&folder.join("columns.f32"))?;
    let columns: Vec<&[f32]> = columns.chunks_exact(targets.len()).collect();
    assert_eq!(columns.len(), case.features, "columns.f32 fits case.json");
    let learned: Vec<&[f32]> = columns.iter().map(|column| &column[..case.learned]).collect();
    let rows: Vec<f32> = (case.learned..targets.len())
        .flat_map(|row| columns.iter().map(move |column| column[row]))
        .collect();
    let mut out = vec![0.0; targets.len() - case.learned];

    let begin = cpu_seconds()?;
    let booster = Booster::fit(&learned, &targets[..case.learned], None, &case.params)?;
    let middle = cpu_seconds()?;
    booster.predict_into(&rows, &mut out);
    let end = cpu_seconds()?;

    let bytes: Vec<u8> = out.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.join("ours.f64"), bytes)?;
    Ok(json!({
        "fit_s": middle - begin,
        "predict_s": end - middle,
        "trees": booster.trees(),
        "record_bytes": serde_json::to_vec(&booster)?.len(),
    }))
}

/// A file of little-endian f32.
fn floats(path: &Path) -> std::io::Result<Vec<f32>> {
    let bytes = std::fs::read(path)?;
    let (fours, _) = bytes.as_chunks::<4>();
    Ok(fours.iter().map(|four| f32::from_le_bytes(*four)).collect())
}

/// Processor time of this process's first thread, which is its only one.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: f64 = text.split_whitespace().next().ok_or("schedstat is empty")?.parse()?;
    Ok(nanoseconds * 1e-9)
}
