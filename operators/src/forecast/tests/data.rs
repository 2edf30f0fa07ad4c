//! Files of the data that may not be bundled; `GRIDLOOM_DATA` says where they are.

use std::path::Path;
use std::path::PathBuf;

/// The columns of `forecast/{file}`, by name; NaN where a cell is no number. `None`, said loudly,
/// where the file is absent.
pub(in crate::forecast) fn table(file: &str) -> Option<impl Fn(&str) -> Vec<f64>> {
    let folder = std::env::var_os("GRIDLOOM_DATA").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let Ok(text) = std::fs::read_to_string(folder.join("forecast").join(file)) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{file} is absent");
        println!("NOT TESTED: {file} is absent; GRIDLOOM_DATA names the folder with forecast/");
        return None;
    };
    Some(move |name: &str| {
        let mut lines = text.lines();
        let at = lines.next().unwrap().split(',').position(|found| found == name).unwrap();
        let cell = |line: &str| line.split(',').nth(at).unwrap().parse().unwrap_or(f64::NAN);
        lines.map(cell).collect()
    })
}
