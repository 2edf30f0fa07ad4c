//! Golden files: each case is a name, a text, and what comes of it.
//!
//! ```text
//! == name of the case
//! SELECT …
//! ----
//! what comes of it
//! ```
//!
//! A run computes what comes of each text and compares the whole file; `UPDATE_EXPECT=1` writes it.

use expect_test::ExpectFile;

/// Runs every case of the file.
#[track_caller]
pub(crate) fn check(file: &ExpectFile, text: &str, run: impl Fn(&str) -> String) {
    let mut actual = String::new();
    for case in text.split("== ").filter(|case| !case.trim().is_empty()) {
        let (name, rest) = case.split_once('\n').expect("a case begins with its name");
        let sql = rest.split("\n----").next().expect("a split has a first part").trim_end();
        let outcome = run(sql);
        actual.push_str(&format!("== {name}\n{sql}\n----\n{}\n\n", outcome.trim_end()));
    }
    file.assert_eq(&actual);
}
