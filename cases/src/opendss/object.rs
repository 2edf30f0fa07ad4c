//! Objects: what a file says of each element, with the defaults of OpenDSS where it says nothing.
//!
//! Properties are set in the order in which they stand, because that is part of their meaning: a
//! `kW` after a `kvar` takes the power factor back, a line code overrides what stood before it.

pub(crate) mod control;
pub(crate) mod line;
pub(crate) mod load;
pub(crate) mod shunt;
pub(crate) mod source;
pub(crate) mod transformer;

use std::collections::BTreeMap;

use self::control::CapControl;
use self::control::RegControl;
use self::line::Line;
use self::line::LineCode;
use self::load::Load;
use self::shunt::Capacitor;
use self::shunt::Reactor;
use self::source::Vsource;
use self::transformer::Transformer;
use crate::opendss::class::Class;
use crate::opendss::lexer::Value;

/// What came of setting a property.
pub(crate) type Setting = Result<(), String>;

/// A property that changes the answer and is not modelled.
pub(crate) fn unknown(property: &str) -> Setting {
    Err(format!("{property} is not understood here"))
}

/// Objects of one class by name, in order of definition.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    pub(crate) items: Vec<Item<T>>,
    index: BTreeMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { items: Vec::new(), index: BTreeMap::new() }
    }
}

/// An object with its name and where it is defined.
#[derive(Clone, Debug)]
pub(crate) struct Item<T> {
    pub(crate) name: String,
    pub(crate) place: String,
    pub(crate) enabled: bool,
    pub(crate) of: T,
}

impl<T: Clone + Default> Table<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.index.get(name).map(|&at| &self.items[at].of)
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Makes a new object and gives its position; one of the same name is replaced, which is true.
    fn add(&mut self, name: &str, place: &str) -> (usize, bool) {
        let item = Item {
            name: name.to_owned(),
            place: place.to_owned(),
            enabled: true,
            of: T::default(),
        };
        if let Some(&at) = self.index.get(name) {
            self.items[at] = item;
            return (at, true);
        }
        self.index.insert(name.to_owned(), self.items.len());
        self.items.push(item);
        (self.items.len() - 1, false)
    }

    /// Copies another object's properties, but for the buses, which `keep` takes from the old one.
    fn like(&mut self, at: usize, other: &str, keep: impl Fn(&mut T, T)) -> Setting {
        let of =
            self.get(other).cloned().ok_or_else(|| format!("there is no {other} to be like"))?;
        let old = std::mem::replace(&mut self.items[at].of, of);
        keep(&mut self.items[at].of, old);
        Ok(())
    }
}

/// All objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) sources: Table<Vsource>,
    pub(crate) lines: Table<Line>,
    pub(crate) linecodes: Table<LineCode>,
    pub(crate) transformers: Table<Transformer>,
    pub(crate) xfmrcodes: Table<Transformer>,
    pub(crate) loads: Table<Load>,
    pub(crate) capacitors: Table<Capacitor>,
    pub(crate) reactors: Table<Reactor>,
    pub(crate) regcontrols: Table<RegControl>,
    pub(crate) capcontrols: Table<CapControl>,
    /// Controls in order of definition.
    pub(crate) control_order: Vec<(Class, usize)>,
    /// Elements in order of definition.
    pub(crate) element_order: Vec<(Class, usize)>,
}

/// An object: its class and position.
pub(crate) type Handle = (Class, usize);

impl Objects {
    /// Makes a new object; true if one of that name was replaced.
    pub(crate) fn add(&mut self, class: Class, name: &str, place: &str) -> (Handle, bool) {
        let (at, replaced) = match class {
            Class::Vsource => self.sources.add(name, place),
            Class::Line => self.lines.add(name, place),
            Class::LineCode => self.linecodes.add(name, place),
            Class::Transformer => self.transformers.add(name, place),
            Class::XfmrCode => self.xfmrcodes.add(name, place),
            Class::Load => self.loads.add(name, place),
            Class::Capacitor => self.capacitors.add(name, place),
            Class::Reactor => self.reactors.add(name, place),
            Class::RegControl => self.regcontrols.add(name, place),
            Class::CapControl => self.capcontrols.add(name, place),
        };
        let handle = (class, at);
        match class {
            _ if replaced => {}
            Class::LineCode | Class::XfmrCode | Class::Load => {}
            Class::RegControl | Class::CapControl => self.control_order.push(handle),
            Class::Vsource
            | Class::Line
            | Class::Transformer
            | Class::Capacitor
            | Class::Reactor => self.element_order.push(handle),
        }
        (handle, replaced)
    }

    /// The position of an object.
    pub(crate) fn find(&self, class: Class, name: &str) -> Option<Handle> {
        let at = match class {
            Class::Vsource => self.sources.find(name),
            Class::Line => self.lines.find(name),
            Class::LineCode => self.linecodes.find(name),
            Class::Transformer => self.transformers.find(name),
            Class::XfmrCode => self.xfmrcodes.find(name),
            Class::Load => self.loads.find(name),
            Class::Capacitor => self.capacitors.find(name),
            Class::Reactor => self.reactors.find(name),
            Class::RegControl => self.regcontrols.find(name),
            Class::CapControl => self.capcontrols.find(name),
        };
        at.map(|at| (class, at))
    }

    /// The names of all objects of a class, in order.
    pub(crate) fn names(&self, class: Class) -> Vec<String> {
        fn of<T>(table: &Table<T>) -> Vec<String> {
            table.items.iter().map(|item| item.name.clone()).collect()
        }
        match class {
            Class::Vsource => of(&self.sources),
            Class::Line => of(&self.lines),
            Class::LineCode => of(&self.linecodes),
            Class::Transformer => of(&self.transformers),
            Class::XfmrCode => of(&self.xfmrcodes),
            Class::Load => of(&self.loads),
            Class::Capacitor => of(&self.capacitors),
            Class::Reactor => of(&self.reactors),
            Class::RegControl => of(&self.regcontrols),
            Class::CapControl => of(&self.capcontrols),
        }
    }

    /// Switches an object on or off.
    pub(crate) fn enable(&mut self, (class, at): Handle, on: bool) {
        match class {
            Class::Vsource => self.sources.items[at].enabled = on,
            Class::Line => self.lines.items[at].enabled = on,
            Class::Transformer => self.transformers.items[at].enabled = on,
            Class::Load => self.loads.items[at].enabled = on,
            Class::Capacitor => self.capacitors.items[at].enabled = on,
            Class::Reactor => self.reactors.items[at].enabled = on,
            Class::RegControl => self.regcontrols.items[at].enabled = on,
            Class::CapControl => self.capcontrols.items[at].enabled = on,
            Class::LineCode | Class::XfmrCode => {}
        }
    }

    /// Sets a property by its whole name.
    pub(crate) fn set(&mut self, handle: Handle, property: &str, value: &Value) -> Setting {
        if property == "enabled" {
            self.enable(handle, value.yes()?);
            return Ok(());
        }
        if property == "like" {
            return self.like(handle, &value.lower());
        }
        let (class, at) = handle;
        match class {
            Class::Vsource => self.sources.items[at].of.set(property, value),
            Class::Line => self.lines.items[at].of.set(property, value, &self.linecodes),
            Class::LineCode => self.linecodes.items[at].of.set(property, value),
            Class::Transformer => {
                self.transformers.items[at].of.set(property, value, &self.xfmrcodes)
            }
            Class::XfmrCode => self.xfmrcodes.items[at].of.set(property, value, &Table::default()),
            Class::Load => self.loads.items[at].of.set(property, value),
            Class::Capacitor => self.capacitors.items[at].of.set(property, value),
            Class::Reactor => self.reactors.items[at].of.set(property, value),
            Class::RegControl => {
                self.regcontrols.items[at].of.set(property, value, &mut self.transformers)
            }
            Class::CapControl => self.capcontrols.items[at].of.set(property, value),
        }
    }

    fn like(&mut self, (class, at): Handle, other: &str) -> Setting {
        match class {
            Class::Vsource => self.sources.like(at, other, |new, old| new.bus = old.bus),
            Class::Line => self.lines.like(at, other, |new, old| new.bus = old.bus),
            Class::LineCode => self.linecodes.like(at, other, |_, _| {}),
            Class::Transformer => self.transformers.like(at, other, |new, old| {
                let windings = new.buses.len();
                new.buses = old.buses;
                new.buses.resize(windings, String::new());
            }),
            Class::XfmrCode => self.xfmrcodes.like(at, other, |_, _| {}),
            Class::Load => self.loads.like(at, other, |new, old| new.bus = old.bus),
            Class::Capacitor => self.capacitors.like(at, other, |new, old| new.bus = old.bus),
            Class::Reactor => self.reactors.like(at, other, |new, old| new.bus = old.bus),
            Class::RegControl => self.regcontrols.like(at, other, |_, _| {}),
            Class::CapControl => self.capcontrols.like(at, other, |_, _| {}),
        }
    }
}

/// A bus as a file names it: the bus in lower case, and the nodes behind its dots.
pub(crate) fn bus(text: &str) -> Result<(String, Vec<usize>), String> {
    let mut parts = text.split('.');
    let name = parts.next().unwrap_or("").to_lowercase();
    if name.is_empty() {
        return Err("a bus is missing".to_owned());
    }
    let node = |part: &str| part.parse::<usize>().map_err(|_| format!("{text:?} is no bus"));
    Ok((name, parts.map(node).collect::<Result<_, _>>()?))
}

/// Delta or star, by the first letters.
pub(crate) fn is_delta(value: &Value) -> Result<bool, String> {
    let lower = value.lower();
    match lower.as_str() {
        text if text.starts_with(['w', 'y']) || text == "ln" => Ok(false),
        text if text.starts_with('d') || text == "ll" => Ok(true),
        _ => Err(format!("{lower:?} is neither wye nor delta")),
    }
}
