//! The house rules that a compiler does not know: floors, purity, words, sizes.
//!
//! Each rule is a function over the sources that returns what breaks it; a test fails with the
//! whole list, so that a room is tidied once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// Which room may know which. `*` is any.
const FLOORS: [(&str, &[&str]); 13] = [
    ("schemas", &[]),
    ("grid", &[]),
    ("cases", &["grid"]),
    ("forecast", &[]),
    ("operators", &["schemas", "grid", "forecast"]),
    // The simulator is a power flow behind a door.
    ("connectors", &["schemas", "grid"]),
    ("pipeline", &["schemas", "operators", "connectors"]),
    ("queries", &["schemas"]),
    ("archive", &["schemas"]),
    ("desk", &["schemas", "queries"]),
    ("gridloom", &["*"]),
    ("benches", &["*"]),
    ("xtask", &[]),
];

/// Rooms that only the tests of a room below them know: they read its cases.
const FOR_TESTS: [(&str, &str); 2] = [("grid", "cases"), ("operators", "cases")];

/// Foreign libraries and the only rooms that may name them.
const KEPT: [(&str, &[&str]); 6] = [
    ("datafusion", &["queries", "archive", "desk", "benches"]),
    ("deltalake-core", &["archive"]),
    ("timely", &["operators", "pipeline", "benches"]),
    ("differential-dataflow", &["operators", "pipeline", "benches"]),
    ("rdkafka", &["connectors"]),
    ("anyhow", &["gridloom", "xtask"]),
];

/// What judgement may not touch, in files that hold nothing else.
const IMPURE: [&str; 6] =
    ["use timely", "tokio", "std::fs", "SystemTime", "Instant::now", "differential_dataflow"];

/// Lines of a file, beyond which it is two.
const FILE_LINES_MAX: usize = 800;

/// Columns of a line.
const COLUMNS_MAX: usize = 100;

/// Lines of a function, beyond which it is two.
const FUNCTION_LINES_MAX: usize = 70;

/// Lines of a file from which on it must open with an argument, not with a title.
const ARGUED_LINES_MIN: usize = 180;

/// Lines that an argument has at least.
const HEADER_LINES_MIN: usize = 3;

/// Rooms that may ask the environment: the binary, and what is run by hand.
const ASKING: [&str; 3] = ["gridloom", "benches", "xtask"];

/// Older functions that are longer, with their lines. The list only ever gets shorter.
const LONG_FUNCTIONS: [(&str, &str, usize); 6] = [
    ("benches/src/feeder_cost/by_hand.rs", "run", 78),
    ("benches/src/feeder_cost/planned.rs", "run", 82),
    ("pipeline/src/ingest/session.rs", "batch", 77),
    ("pipeline/src/render/join.rs", "join", 83),
    ("queries/src/plan/prune.rs", "prune", 71),
    ("queries/tests/it/answers.rs", "grid", 81),
];

fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("a package is a folder of the workspace")
}

/// A source file of ours.
struct Source {
    path: PathBuf,
    text: String,
}

/// The Rust files of every room.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for (room, _) in FLOORS {
        walk(&root().join(room), &mut files);
    }
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        Source { path: path.strip_prefix(root()).unwrap().to_owned(), text }
    };
    files.into_iter().map(read).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                walk(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The libraries that a room names in its manifest, for any purpose.
fn dependencies(room: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
    let manifest = toml_edit::Document::parse(text).unwrap();
    let mut names = BTreeSet::new();
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let table = manifest.as_table().get(kind).and_then(|item| item.as_table_like());
        names.extend(table.into_iter().flat_map(|t| t.iter()).map(|(name, _)| name.to_owned()));
    }
    names
}

#[track_caller]
fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}: {}\n  {}", broken.len(), broken.join("\n  "));
}

/// What `rule` finds in each file, with the file's name.
fn each(rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let name = |source: &Source, what: String| format!("{}{what}", source.path.display());
    let sources = sources();
    let found = sources.iter().flat_map(|s| rule(s).into_iter().map(move |what| name(s, what)));
    found.collect()
}

/// What `rule` says of single lines.
fn each_line(rule: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
    each(|source| {
        let lines = source.text.lines().enumerate();
        lines.filter_map(|(n, line)| Some(format!(":{}: {}", n + 1, rule(line)?))).collect()
    })
}

#[test]
fn rooms_know_only_the_floors_below() {
    let rooms: BTreeMap<&str, &[&str]> = FLOORS.into_iter().collect();
    let mut broken = Vec::new();
    for (room, allowed) in FLOORS {
        let for_tests = |name: &String| FOR_TESTS.contains(&(room, name.as_str()));
        for name in dependencies(room).into_iter().filter(|name| !for_tests(name)) {
            let ours = rooms.contains_key(name.as_str());
            if ours && !allowed.contains(&"*") && !allowed.contains(&name.as_str()) {
                broken.push(format!("{room} must not know {name}"));
            }
        }
    }
    none("floors", &broken);
}

#[test]
fn every_member_has_its_floor() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest = toml_edit::Document::parse(text).unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<&str> = members.iter().filter_map(|member| member.as_str()).collect();
    assert_eq!(members, FLOORS.iter().map(|(room, _)| *room).collect());
}

#[test]
fn foreign_libraries_stay_in_their_rooms() {
    let mut broken = Vec::new();
    for (room, _) in FLOORS {
        let named = dependencies(room);
        for (library, rooms) in KEPT {
            if named.contains(library) && !rooms.contains(&room) {
                broken.push(format!("{room} must not name {library}: only {}", rooms.join(", ")));
            }
        }
    }
    none("foreign libraries", &broken);
}

#[test]
fn files_open_with_what_they_are() {
    let rule = |s: &Source| if s.text.starts_with("//!") { vec![] } else { vec![String::new()] };
    none("files that do not open with //!", &each(rule));
}

#[test]
fn long_files_open_with_why_they_are_so() {
    let broken = each(|source| {
        let header = source.text.lines().take_while(|line| line.starts_with("//!"));
        let header: Vec<&str> = header.collect();
        // A kernel's reasons stand in the face before it.
        let elsewhere = header.iter().any(|line| line.contains("](super"));
        let short = source.text.lines().count() < ARGUED_LINES_MIN;
        let argued = header.len() >= HEADER_LINES_MIN;
        match short || argued || elsewhere || of_tests(&source.path) {
            true => vec![],
            false => vec![format!(": {} lines of //!", header.len())],
        }
    });
    none("long files without an argument", &broken);
}

#[test]
fn only_the_binary_asks_the_environment() {
    let broken = each(|source| {
        let room = source.path.iter().next().and_then(|room| room.to_str()).unwrap();
        // Tests may ask, and what builds a room is no part of it.
        let code = source.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let asks = code.contains("std::env");
        let builds = source.path.file_name().is_some_and(|name| name == "build.rs");
        match asks && !ASKING.contains(&room) && !builds && !of_tests(&source.path) {
            true => vec![": take it as an argument, or as a setting".to_owned()],
            false => vec![],
        }
    });
    none("rooms that ask the environment", &broken);
}

/// Whether a file holds tests and nothing else.
fn of_tests(path: &Path) -> bool {
    let named = |part: &std::ffi::OsStr| part == "tests" || part == "tests.rs";
    path.iter().any(named)
}

#[test]
fn lines_fit() {
    let rule = |line: &str| {
        let long = line.chars().count() > COLUMNS_MAX && !line.contains("://");
        long.then_some("longer than 100 columns")
    };
    none("lines", &each_line(rule));
}

#[test]
fn files_fit() {
    let broken = each(|source| match source.text.lines().count() {
        lines if lines > FILE_LINES_MAX => vec![format!(": {lines} lines")],
        _ => vec![],
    });
    none("files", &broken);
}

#[test]
fn functions_fit() {
    let broken = each(|source| {
        let path = source.path.to_str().unwrap();
        let known = |name: &str| {
            LONG_FUNCTIONS.iter().find(|(file, listed, _)| *file == path && *listed == name)
        };
        let long = functions(&source.text).into_iter().filter(|(name, lines)| {
            *lines > known(name).map_or(FUNCTION_LINES_MAX, |(_, _, lines)| *lines)
        });
        long.map(|(name, lines)| format!(": fn {name} has {lines} lines")).collect()
    });
    none("functions", &broken);
}

/// The functions of a text that rustfmt has seen, with their lines.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let Some(name) = function_name(code) else { continue };
        let end = lines[start..].iter().position(|line| {
            let own = line.len() > indent && line[..indent].trim().is_empty();
            let rest = if own { &line[indent..] } else { "" };
            let closes = rest.starts_with('}') || (rest.starts_with(')') && rest.ends_with(';'));
            closes || (rest == code && (rest.ends_with(';') || rest.ends_with('}')))
        });
        found.push((name.to_owned(), end.map_or(lines.len() - start, |end| end + 1)));
    }
    found
}

/// The name of the function that this line begins, if it begins one.
fn function_name(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
    if !before.split_whitespace().all(|word| words.contains(&word)) {
        return None;
    }
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then(|| &after[..end])
}

#[test]
fn judgement_is_pure() {
    let broken = each(|source| {
        let name = source.path.file_name().and_then(|name| name.to_str());
        if !matches!(name, Some("kernel.rs" | "decide.rs")) {
            return vec![];
        }
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let text: String = code.flat_map(|line| [line, "\n"]).collect();
        let found = IMPURE.iter().filter(|word| text.contains(**word));
        found.map(|word| format!(": {word}")).collect()
    });
    none("kernels that touch the world", &broken);
}

#[test]
fn what_is_left_to_do_has_a_name() {
    let rule = |line: &str| {
        // Written apart, so that this file does not find itself.
        let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
        let named = |word: &str| line.contains(&format!("{word}("));
        let left = words.iter().any(|word| line.contains(word) && !named(word));
        left.then_some("say who, in brackets, or do it")
    };
    none("left to do", &each_line(rule));
}

#[test]
fn no_code_sleeps_in_comments() {
    let rule = |line: &str| {
        let text = line.trim_start().strip_prefix("// ")?.trim();
        let begins = ["let ", "use ", "pub ", "fn ", "if ", "for ", "return ", "self.", "#["];
        let code = (text.ends_with(';') || text.ends_with('{') || text.ends_with("},"))
            && (begins.iter().any(|begin| text.starts_with(begin)) || text.contains("();"));
        (code || text == "}").then_some("code in a comment: git remembers it")
    };
    none("sleeping code", &each_line(rule));
}

#[test]
fn every_file_is_reached() {
    let sources = sources();
    let text = |path: &Path| sources.iter().find(|s| s.path == path).map(|s| s.text.as_str());
    let mut broken = Vec::new();
    for source in &sources {
        let name = source.path.file_stem().unwrap().to_str().unwrap();
        let folder = source.path.parent().unwrap();
        if name == "mod" {
            broken.push(format!("{}: name it after its folder", source.path.display()));
        }
        // What cargo finds by itself: roots, and the files directly in tests and benches.
        let by_cargo = ["main", "lib", "build"].contains(&name)
            || ["tests", "benches", "examples"].iter().any(|kind| folder.ends_with(kind));
        if by_cargo {
            continue;
        }
        let parents = [folder.join("lib.rs"), folder.join("main.rs"), folder.with_extension("rs")];
        let declared = parents.iter().filter_map(|path| text(path)).any(|text| {
            let declares =
                |line: &str| line.trim_end().strip_suffix(&format!("mod {name};")).is_some();
            text.lines().any(declares)
        });
        if !declared {
            broken.push(source.path.display().to_string());
        }
    }
    none("files that no module declares", &broken);
}

#[test]
fn functions_are_measured_from_name_to_brace() {
    let text = "fn a() {}\n\
                impl B {\n    pub fn c(\n        x: u8,\n    ) -> u8 {\n        x\n    }\n}\n\
                trait D {\n    fn e(&self);\n    fn f(\n        &self,\n    ) -> u8;\n}\n";
    let expected = [("a", 1), ("c", 5), ("e", 1), ("f", 3)];
    assert_eq!(functions(text), expected.map(|(name, lines)| (name.to_owned(), lines)));
}
