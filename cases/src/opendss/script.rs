//! The interpreter: commands, files, and which object is being described.
//!
//! One object is active at a time; `~` goes on with it, and a value without a name belongs to the
//! property behind the last one. Files are looked for beside the file that names them, whatever the
//! case of their letters, because scripts are written on systems that do not tell case apart.
//! **Bounds**: files within files [`DEPTH_MAX`] deep, [`FILES_MAX`] in all.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use grid::network::Severity;

use super::class::Class;
use super::lexer;
use super::lexer::Value;
use super::lexer::Word;
use super::object::Handle;
use super::object::Objects;
use crate::Error;
use crate::Remark;

/// Files within files, at most.
const DEPTH_MAX: usize = 20;

/// Files that are read, at most, each as often as it is read.
const FILES_MAX: usize = 1000;

/// Commands that change nothing in a network.
const HARMLESS: &[&str] = &[
    "buscoords",
    "latlongcoords",
    "calcvoltagebases",
    "show",
    "export",
    "plot",
    "visualize",
    "summary",
    "makebuslist",
    "reset",
    "sample",
    "help",
    "quit",
    "cd",
    "var",
    "interpolate",
    "get",
    "rephase",
    "guids",
    "reprocessbuses",
    "dump",
    "save",
    "fileedit",
    "cktlosses",
    "losses",
    "currents",
    "powers",
    "voltages",
    "about",
    "formedit",
    "init",
    "closedi",
    "doscmd",
    "?",
    "uuids",
    "setbusxy",
];

/// Classes without effect on a power flow of one instant.
const HARMLESS_CLASSES: &[&str] = &[
    "monitor",
    "energymeter",
    "loadshape",
    "growthshape",
    "spectrum",
    "sensor",
    "tcc_curve",
    "xycurve",
    "priceshape",
    "tshape",
    "tempshape",
    "cnddata",
    "dynamicexp",
];

/// What a script has said so far.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) objects: Objects,
    pub(crate) circuit: String,
    pub(crate) remarks: Vec<Remark>,
    pub(crate) base_hz: Option<f64>,
    pub(crate) bases_kv: Vec<f64>,
    pub(crate) load_factor: Option<f64>,
    /// Where controls were switched off, if they are.
    pub(crate) controls_off: Option<String>,
    active: Option<Handle>,
    /// The next property without a name, by its position in the class.
    position: usize,
    /// True while the lines of an object that is not understood go on.
    skipping: bool,
    active_name: String,
    folder: PathBuf,
    pub(super) place: String,
    /// The files that are being read, each redirected to by the one before.
    reading: Vec<PathBuf>,
    /// How many files have been read.
    files: usize,
}

impl Script {
    /// Runs a file.
    pub(crate) fn run_file(&mut self, path: &Path) -> Result<(), Error> {
        let bytes =
            fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let before = std::mem::replace(&mut self.folder, folder);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.reading.push(same_always(path));
        self.files += 1;
        self.run_text(&name, &text);
        self.reading.pop();
        self.folder = before;
        Ok(())
    }

    /// Runs lines of a file with this name.
    pub(crate) fn run_text(&mut self, file: &str, text: &str) {
        for (number, line) in lexer::lines(text) {
            self.place = format!("{file}:{number}");
            self.run_line(&line);
        }
    }

    pub(super) fn say(&mut self, severity: Severity, element: &str, problem: impl Into<String>) {
        self.remarks.push(Remark {
            severity,
            place: self.place.clone(),
            element: element.to_owned(),
            problem: problem.into(),
        });
    }

    fn run_line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix('~') {
            self.more(&lexer::words(rest));
            return;
        }
        if line.starts_with('?') {
            return;
        }
        let words = lexer::words(line);
        let Some(first) = words.first() else { return };
        if first.name.is_some() {
            self.set_by_full_names(&words);
            return;
        }
        let command = first.value.lower();
        let rest = &words[1..];
        match command.as_str() {
            "new" => self.new_object(rest),
            "edit" => self.edit(rest),
            "more" | "m" => self.more(rest),
            "set" => self.set_options(rest),
            "redirect" | "compile" => self.redirect(rest),
            "open" | "close" => self.open_or_close(rest, command == "open"),
            "enable" | "disable" => self.enable(rest, command == "enable"),
            "batchedit" => self.batch_edit(rest),
            "setkvbase" => self.say(Severity::Warning, "", "setkvbase is not understood here"),
            other if means(other, "select") => self.select(rest),
            other if means(other, "clearall") => self.clear(),
            // What stands behind it is set first.
            other if means(other, "solve") => self.set_options(rest),
            other if is_harmless(other) => {}
            other => self.say(Severity::Warning, "", format!("command {other} is not understood")),
        }
    }

    /// `object=class.name` or `class.name`, in lower case.
    fn object_of(words: &[Word]) -> Option<(String, String, &[Word])> {
        let (first, rest) = words.split_first()?;
        let named = first.name.as_deref().is_none_or(|name| "object".starts_with(name));
        let full = first.value.lower();
        let (class, name) = full.split_once('.').unwrap_or((full.as_str(), ""));
        named.then(|| (class.to_owned(), name.to_owned(), rest))
    }

    fn new_object(&mut self, words: &[Word]) {
        let Some((class_name, name, rest)) = Self::object_of(words) else {
            self.say(Severity::Fatal, "", "new without an object");
            return;
        };
        self.active_name = format!("{class_name}.{name}");
        self.active = None;
        let Some(class) = Class::named(&class_name) else {
            self.skipping = true;
            if !HARMLESS_CLASSES.contains(&class_name.as_str()) {
                let element = self.active_name.clone();
                let problem = format!("class {class_name} is not understood; it is left out");
                self.say(Severity::Fatal, &element, problem);
            }
            return;
        };
        let name = if class_name == "circuit" {
            self.circuit = name;
            "source".to_owned()
        } else {
            name
        };
        let (handle, replaced) = self.objects.add(class, &name, &self.place);
        self.begin(handle);
        if replaced {
            let element = self.active_name.clone();
            self.say(Severity::Warning, &element, "is defined twice; the last one counts");
        }
        self.set_properties(rest);
    }

    fn begin(&mut self, handle: Handle) {
        self.active = Some(handle);
        self.position = 0;
        self.skipping = false;
    }

    fn edit(&mut self, words: &[Word]) {
        let Some((class, name, rest)) = Self::object_of(words) else {
            self.say(Severity::Fatal, "", "edit without an object");
            return;
        };
        if self.activate(&class, &name) {
            self.set_properties(rest);
        }
    }

    /// Makes an object the one that `~` goes on with.
    fn select(&mut self, words: &[Word]) {
        let mut words = words.to_vec();
        if let Some(first) = words.first_mut()
            && first.name.as_deref().is_some_and(|name| "element".starts_with(name))
        {
            first.name = None;
        }
        let Some((class, name, _)) = Self::object_of(&words) else {
            self.say(Severity::Fatal, "", "select without an object");
            return;
        };
        self.activate(&class, &name);
    }

    /// Forgets the circuit and all objects; what was said of them and the frequency stay.
    fn clear(&mut self) {
        self.objects = Objects::default();
        self.circuit.clear();
        self.bases_kv.clear();
        self.load_factor = None;
        self.controls_off = None;
        self.active = None;
        self.active_name.clear();
        self.position = 0;
        self.skipping = false;
    }

    /// Makes an object the one that is described; false, with a remark, where there is none.
    fn activate(&mut self, class_name: &str, name: &str) -> bool {
        self.active_name = format!("{class_name}.{name}");
        let found = Class::named(class_name).and_then(|class| {
            let name = if class_name == "circuit" { "source" } else { name };
            self.objects.find(class, name)
        });
        self.active = None;
        self.skipping = true;
        match found {
            Some(handle) => self.begin(handle),
            None if HARMLESS_CLASSES.contains(&class_name) => {}
            None => {
                let element = self.active_name.clone();
                self.say(Severity::Fatal, &element, "is edited and not there");
            }
        }
        found.is_some()
    }

    fn more(&mut self, words: &[Word]) {
        if self.active.is_some() {
            self.set_properties(words);
        } else if !self.skipping {
            self.say(Severity::Fatal, "", "goes on with an object where there is none");
        }
    }

    fn set_properties(&mut self, words: &[Word]) {
        let Some(handle) = self.active else { return };
        for word in words {
            self.set_property(handle, word.name.as_deref(), &word.value);
        }
    }

    fn set_property(&mut self, handle: Handle, name: Option<&str>, value: &Value) {
        let class = handle.0;
        let property = match name {
            Some(name) => class.property(name),
            None => class.properties().get(self.position).copied(),
        };
        let element = self.active_name.clone();
        let Some(property) = property else {
            let name = name.unwrap_or(&value.text);
            self.say(Severity::Fatal, &element, format!("has no property {name}"));
            return;
        };
        let at = class.properties().iter().position(|other| *other == property);
        self.position = at.map_or(self.position, |at| at + 1);
        if Class::is_harmless(property) {
            return;
        }
        if let Err(problem) = self.objects.set(handle, property, value) {
            self.say(Severity::Fatal, &element, format!("{property}: {problem}"));
        }
    }

    /// `Transformer.Reg1.Taps=[…]`, several on a line.
    fn set_by_full_names(&mut self, words: &[Word]) {
        for word in words {
            let Some(name) = &word.name else { continue };
            let mut parts = name.splitn(2, '.');
            let (class, rest) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            // Names of objects may hold dots, names of properties do not.
            let Some((object, property)) = rest.rsplit_once('.') else {
                self.say(Severity::Fatal, name, "is neither a command nor a property of an object");
                continue;
            };
            if self.activate(class, object)
                && let Some(handle) = self.active
            {
                self.set_property(handle, Some(property), &word.value);
            }
        }
    }

    fn redirect(&mut self, words: &[Word]) {
        let Some(word) = words.first() else { return };
        let name = word.value.text.replace('\\', "/");
        let Some(path) = find_file(&self.folder, &name) else {
            self.say(Severity::Fatal, "", format!("{name} is not there"));
            return;
        };
        if self.reading.contains(&same_always(&path)) {
            self.say(Severity::Fatal, "", format!("{name} is already being read"));
            return;
        }
        // The first file is in no other.
        if self.reading.len() > DEPTH_MAX {
            self.say(Severity::Fatal, "", format!("{name}: more than {DEPTH_MAX} files in files"));
            return;
        }
        if self.files >= FILES_MAX {
            self.say(Severity::Fatal, "", format!("{name}: more than {FILES_MAX} files in all"));
            return;
        }
        let place = self.place.clone();
        let done = self.run_file(&path);
        self.place = place;
        if let Err(error) = done {
            self.say(Severity::Fatal, "", error.to_string());
        }
    }

    fn open_or_close(&mut self, words: &[Word], open: bool) {
        let Some((class, name, rest)) = Self::object_of(words) else { return };
        let element = format!("{class}.{name}");
        let Some((Class::Line, at)) =
            Class::named(&class).and_then(|c| self.objects.find(c, &name))
        else {
            self.say(Severity::Fatal, &element, "is opened or closed and is no line");
            return;
        };
        let number = |at: usize, key: &str| {
            let named = rest.iter().find(|w| w.name.as_deref().is_some_and(|n| key.starts_with(n)));
            let bare = rest.get(at).filter(|word| word.name.is_none());
            named.or(bare).map(|word| word.value.count())
        };
        let terminal = number(0, "terminal").unwrap_or(Ok(1));
        let conductor = number(1, "conductor").unwrap_or(Ok(0));
        match (terminal, conductor) {
            (Ok(terminal @ 1..=2), Ok(0)) => {
                self.objects.lines.items[at].of.open[terminal - 1] = open;
            }
            _ => self.say(
                Severity::Fatal,
                &element,
                "only whole terminals, 1 or 2, are opened and closed here",
            ),
        }
    }

    fn enable(&mut self, words: &[Word], on: bool) {
        let Some((class, name, _)) = Self::object_of(words) else { return };
        if self.activate(&class, &name)
            && let Some(handle) = self.active
        {
            self.objects.enable(handle, on);
        }
    }

    /// `batchedit class.. property=value`: only all objects of a class, `..` or `.*`.
    fn batch_edit(&mut self, words: &[Word]) {
        let Some((class_name, pattern, rest)) = Self::object_of(words) else { return };
        let all = matches!(pattern.as_str(), "." | ".*" | "*");
        let Some(class) = Class::named(&class_name).filter(|_| all) else {
            let problem = "batchedit is understood for all objects of a class only";
            self.say(Severity::Fatal, &format!("{class_name}.{pattern}"), problem);
            return;
        };
        for name in self.objects.names(class) {
            if self.activate(&class_name, &name) {
                self.set_properties(rest);
            }
        }
    }
}

fn is_harmless(command: &str) -> bool {
    HARMLESS.iter().any(|known| means(command, known))
}

/// True if a command is this one, maybe cut short.
pub(super) fn means(command: &str, known: &str) -> bool {
    known == command || (command.len() >= MEANT_FROM && known.starts_with(command))
}

/// A command may be cut short down to so many letters.
const MEANT_FROM: usize = 3;

/// A path that is the same however a file was named.
fn same_always(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A file below a folder, whatever the case of its letters.
fn find_file(folder: &Path, name: &str) -> Option<PathBuf> {
    let direct = folder.join(name);
    if direct.is_file() {
        return Some(direct);
    }
    let mut found = if name.starts_with('/') { PathBuf::from("/") } else { folder.to_owned() };
    for part in name.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            found.push("..");
            continue;
        }
        let here = if found.as_os_str().is_empty() { PathBuf::from(".") } else { found.clone() };
        let mut names: Vec<_> = fs::read_dir(&here)
            .ok()?
            .filter_map(Result::ok)
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        let matching =
            names.into_iter().find(|n| n.to_string_lossy().eq_ignore_ascii_case(part))?;
        found.push(matching);
    }
    found.is_file().then_some(found)
}
