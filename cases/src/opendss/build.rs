//! Objects become a network: buses become nodes, data sheets become matrices, names become
//! positions.
//!
//! All names are resolved here, at the end, because a script may name what it defines later. What
//! cannot be built is left out with a remark at the line that defined it; the rest goes on. What is
//! not enabled makes no nodes, so that the network has the nodes that OpenDSS has.

use std::collections::BTreeMap;

use grid::network::Severity;
use grid::three_phase::CapacitorControl;
use grid::three_phase::Control;
use grid::three_phase::Element;
use grid::three_phase::Kind;
use grid::three_phase::Matrix;
use grid::three_phase::Node;
use grid::three_phase::Regulator;
use grid::three_phase::control::Watches;
use grid::three_phase::line;

use super::class::Class;
use super::object;
use super::object::control::CapControl;
use super::object::control::RegControl;
use super::object::line::Line;
use super::script::Script;
use crate::Remark;
use crate::UnbalancedImport;

/// A network, and the voltages its bases are chosen from.
pub(crate) struct Built {
    pub(crate) import: UnbalancedImport,
    /// In kV, line to line.
    pub(crate) bases_kv: Vec<f64>,
}

struct Builder {
    import: UnbalancedImport,
    nodes: BTreeMap<String, usize>,
    elements: BTreeMap<String, usize>,
    hz: f64,
    may_add_nodes: bool,
}

/// Builds what a script described.
pub(crate) fn build(script: Script) -> Built {
    let hz = script.base_hz.unwrap_or(60.0);
    let mut builder = Builder {
        import: UnbalancedImport::default(),
        nodes: BTreeMap::new(),
        elements: BTreeMap::new(),
        hz,
        may_add_nodes: true,
    };
    builder.import.remarks.clone_from(&script.remarks);
    builder.import.network.name.clone_from(&script.circuit);
    builder.import.network.frequency_hz = hz;
    for enabled in [true, false] {
        for &(class, at) in &script.objects.element_order {
            builder.element(&script, class, at, enabled);
        }
    }
    builder.loads(&script);
    for &(class, at) in &script.objects.control_order {
        builder.control(&script, class, at);
    }
    builder.switch_off_controls(&script);
    Built { import: builder.import, bases_kv: script.bases_kv }
}

impl Builder {
    fn fatal(&mut self, place: &str, element: &str, problem: impl Into<String>) {
        self.import.remarks.push(Remark {
            severity: Severity::Fatal,
            place: place.to_owned(),
            element: element.to_owned(),
            problem: problem.into(),
        });
    }

    /// The nodes of a terminal: those named, then `1, 2, 3, …` for phases and ground for the rest.
    fn terminal(
        &mut self,
        bus: &str,
        phases: usize,
        conductors: usize,
    ) -> Result<Vec<Option<usize>>, String> {
        let (name, named) = object::bus(bus)?;
        let number = |at: usize| match named.get(at) {
            Some(&node) => node,
            None if at < phases => at + 1,
            None => 0,
        };
        (0..conductors).map(|at| self.node(&name, number(at))).collect()
    }

    fn node(&mut self, bus: &str, number: usize) -> Result<Option<usize>, String> {
        if number == 0 {
            return Ok(None);
        }
        let id = format!("{bus}.{number}");
        if !self.may_add_nodes && !self.nodes.contains_key(&id) {
            return Err(format!("nothing else is at {id}"));
        }
        let nodes = &mut self.import.network.nodes;
        let at = *self.nodes.entry(id.clone()).or_insert_with(|| {
            nodes.push(Node { id, bus: bus.to_owned(), base_volt: 0.0 });
            nodes.len() - 1
        });
        Ok(Some(at))
    }

    /// Two terminals; the second is ground where no bus is named.
    fn two_terminals(
        &mut self,
        bus: &[String; 2],
        phases: usize,
    ) -> Result<Vec<Option<usize>>, String> {
        let mut nodes = self.terminal(&bus[0], phases, phases)?;
        if bus[1].is_empty() {
            nodes.resize(2 * phases, None);
        } else {
            nodes.extend(self.terminal(&bus[1], phases, phases)?);
        }
        Ok(nodes)
    }

    /// Builds an element, if it is enabled, or not, as asked. One that is not makes no nodes of its
    /// own: it is left out where it would need some.
    fn element(&mut self, script: &Script, class: Class, at: usize, asked: bool) {
        let objects = &script.objects;
        let (prefix, name, place, enabled) = match class {
            Class::Vsource => head("vsource", &objects.sources.items[at]),
            Class::Line => head("line", &objects.lines.items[at]),
            Class::Transformer => head("transformer", &objects.transformers.items[at]),
            Class::Capacitor => head("capacitor", &objects.capacitors.items[at]),
            Class::Reactor => head("reactor", &objects.reactors.items[at]),
            _ => return,
        };
        if enabled != asked {
            return;
        }
        let name = format!("{prefix}.{name}");
        self.may_add_nodes = enabled;
        let built = match class {
            Class::Vsource => self.source(&name, &objects.sources.items[at].of),
            Class::Line => self.line(&name, &objects.lines.items[at].of),
            Class::Transformer => self.transformer(&name, &objects.transformers.items[at].of),
            Class::Capacitor => self.capacitor(&name, &objects.capacitors.items[at].of),
            _ => self.reactor(&name, &objects.reactors.items[at].of),
        };
        match built {
            Ok(element) => {
                let in_service = enabled && element.in_service;
                self.elements.insert(name, self.import.network.elements.len());
                self.import.network.elements.push(Element { in_service, ..element });
            }
            Err(problem) if enabled => self.fatal(&place, &name, problem),
            Err(problem) => self.import.remarks.push(Remark {
                severity: Severity::Note,
                place,
                element: name,
                problem: format!("is not enabled and is left out: {problem}"),
            }),
        }
    }

    fn source(&mut self, name: &str, of: &object::source::Vsource) -> Result<Element, String> {
        let nodes = self.two_terminals(&of.bus, of.phases)?;
        let (y, drives) = of.sheet().norton().ok_or("has no impedance")?;
        let element = Element::fixed(name.to_owned(), 2, nodes, y);
        Ok(Element { kind: Kind::Source, drives, ..element })
    }

    fn line(&mut self, name: &str, of: &Line) -> Result<Element, String> {
        let n = of.parameters.phases;
        if of.bus[1].is_empty() {
            return Err("has no second bus".to_owned());
        }
        let nodes = self.two_terminals(&of.bus, n)?;
        let length = grid::Complex::new(of.length(), 0.0);
        let (z, y) = of.parameters.matrices(self.hz);
        let (z, y) = (z.scale(length), y.scale(length));
        let own = match line::primitive(&z, &y) {
            Some(own) => own,
            // A switch without impedance makes its ends one node.
            None if of.is_switch => Matrix::zeros(2 * n),
            None => return Err("has no impedance; is its length 0?".to_owned()),
        };
        let shunt = line::charging(&y);
        let element = Element::fixed(name.to_owned(), 2, nodes, own);
        if of.is_switch {
            let kind = Kind::Switch { closed: of.open == [false, false] };
            return Ok(Element { kind, shunt, ..element });
        }
        match of.open {
            [false, false] => Ok(Element { shunt, ..element }),
            [true, true] => Ok(Element { in_service: false, ..element }),
            [first, _] => open_end(element, n, first),
        }
    }

    fn transformer(
        &mut self,
        name: &str,
        of: &object::transformer::Transformer,
    ) -> Result<Element, String> {
        let sheet = of.sheet();
        for (at, winding) in sheet.windings.iter().enumerate() {
            let (least, greatest) = (winding.tap_min, winding.tap_max);
            let ordered = least <= greatest;
            if !ordered {
                return Err(format!("winding {}: taps from {least} to {greatest}", at + 1));
            }
        }
        let phases = sheet.phases;
        let mut nodes = Vec::new();
        for (winding, bus) in of.buses.iter().enumerate() {
            let at = self.terminal(bus, phases, phases + 1);
            nodes.extend(at.map_err(|_| format!("winding {} has no bus", winding + 1))?);
        }
        let y = sheet.primitive().ok_or("has no leakage impedance")?;
        let element = Element::fixed(name.to_owned(), sheet.windings.len(), nodes, y);
        Ok(Element { kind: Kind::Transformer(sheet), ..element })
    }

    fn capacitor(&mut self, name: &str, of: &object::shunt::Capacitor) -> Result<Element, String> {
        let (terminals, nodes) = if of.delta {
            (1, self.terminal(&of.bus[0], of.phases, of.phases)?)
        } else {
            (2, self.two_terminals(&of.bus, of.phases)?)
        };
        let sheet = of.sheet();
        let y = sheet.primitive();
        let element = Element::fixed(name.to_owned(), terminals, nodes, y.clone());
        Ok(Element { kind: Kind::Capacitor(sheet), shunt: y, ..element })
    }

    fn reactor(&mut self, name: &str, of: &object::shunt::Reactor) -> Result<Element, String> {
        let (terminals, nodes) = if of.delta {
            (1, self.terminal(&of.bus[0], of.phases, of.phases)?)
        } else {
            (2, self.two_terminals(&of.bus, of.phases)?)
        };
        let y = of.primitive().ok_or("has no impedance")?;
        let is_shunt = of.delta || of.bus[1].is_empty();
        let shunt = if is_shunt { y.clone() } else { Matrix::default() };
        Ok(Element { shunt, ..Element::fixed(name.to_owned(), terminals, nodes, y) })
    }

    fn loads(&mut self, script: &Script) {
        self.may_add_nodes = true;
        let factor = script.load_factor.unwrap_or(1.0);
        for item in &script.objects.loads.items {
            let name = format!("load.{}", item.name);
            let of = &item.of;
            match self.terminal(&of.bus, of.phases, of.conductors()) {
                Ok(nodes) => {
                    let load = of.at(name, &nodes, factor, item.enabled);
                    self.import.network.loads.push(load);
                }
                Err(problem) => self.fatal(&item.place, &name, problem),
            }
        }
    }

    fn control(&mut self, script: &Script, class: Class, at: usize) {
        let (name, place, built) = if class == Class::RegControl {
            let item = &script.objects.regcontrols.items[at];
            let name = format!("regcontrol.{}", item.name);
            let built = self.regulator(name.clone(), &item.of, item.enabled);
            (name, &item.place, built.map(Control::Regulator))
        } else {
            let item = &script.objects.capcontrols.items[at];
            let name = format!("capcontrol.{}", item.name);
            let built = self.capacitor_control(name.clone(), &item.of, item.enabled);
            (name, &item.place, built.map(Control::Capacitor))
        };
        match built {
            Ok(control) => self.import.network.controls.push(control),
            Err(problem) => self.fatal(place, &name, problem),
        }
    }

    /// Takes controls out of service where the script ends with them off.
    fn switch_off_controls(&mut self, script: &Script) {
        let Some(place) = script.controls_off.clone() else { return };
        let network = &mut self.import.network;
        network.controls.iter_mut().for_each(Control::switch_off);
        let controls = match network.controls.len() {
            0 => return,
            1 => "1 control is".to_owned(),
            count => format!("{count} controls are"),
        };
        let stay = "taps and capacitor steps stay where the file has them";
        self.import.remarks.push(Remark {
            severity: Severity::Note,
            place,
            element: String::new(),
            problem: format!("set controlmode=off: {controls} off; {stay}"),
        });
    }

    fn position(&self, name: &str) -> Result<usize, String> {
        self.elements.get(name).copied().ok_or_else(|| format!("{name} is not there"))
    }

    fn regulator(
        &self,
        name: String,
        of: &RegControl,
        in_service: bool,
    ) -> Result<Regulator, String> {
        let element = self.position(&format!("transformer.{}", of.transformer))?;
        let Kind::Transformer(sheet) = &self.import.network.elements[element].kind else {
            return Err(format!("transformer.{} is no transformer", of.transformer));
        };
        let tap_winding = of.tap_winding.unwrap_or(of.winding);
        if of.winding.max(tap_winding) > sheet.windings.len() || of.phase > sheet.phases {
            return Err("names a winding or phase that its transformer has not".to_owned());
        }
        let remote = match &of.bus {
            None => None,
            Some(bus) => {
                let (bus, nodes) = object::bus(bus)?;
                let id = format!("{bus}.{}", nodes.first().copied().unwrap_or(of.phase));
                let at = self.nodes.get(&id).copied();
                let at = at.ok_or_else(|| format!("regulates {id}, which is not there"))?;
                Some((at, of.remote_pt_ratio.unwrap_or(of.pt_ratio)))
            }
        };
        Ok(Regulator {
            name,
            element,
            winding: of.winding - 1,
            tap_winding: tap_winding - 1,
            phase: of.phase - 1,
            pt_ratio: of.pt_ratio,
            remote,
            set_volt: of.vreg,
            band_volt: of.band,
            ct_primary_ampere: of.ct_primary,
            r_volt: of.r,
            x_volt: of.x,
            delay_s: of.delay,
            steps_max: of.steps_max as u32,
            in_service,
        })
    }

    fn capacitor_control(
        &self,
        name: String,
        of: &CapControl,
        in_service: bool,
    ) -> Result<CapacitorControl, String> {
        let element = self.position(&of.element)?;
        let watched = &self.import.network.elements[element];
        if of.terminal > watched.terminals || of.ct_phase.max(of.pt_phase) > watched.conductors() {
            return Err(format!("names a terminal or phase that {} has not", of.element));
        }
        Ok(CapacitorControl {
            name,
            capacitor: self.position(&format!("capacitor.{}", of.capacitor))?,
            element,
            terminal: of.terminal - 1,
            watches: match of.kind.chars().next() {
                Some('v') => Watches::Voltage,
                Some('k') => Watches::Kvar,
                Some('t') => Watches::Time,
                _ => Watches::Current,
            },
            on: of.on,
            off: of.off,
            pt_ratio: of.pt_ratio,
            ct_ratio: of.ct_ratio,
            pt_phase: of.pt_phase - 1,
            ct_phase: of.ct_phase - 1,
            volt_override: of.overrides.then_some((of.min, of.max)),
            delay_on_s: of.delay_on,
            delay_off_s: of.delay_off,
            dead_time_s: of.dead_time,
            in_service,
        })
    }
}

fn head<T>(prefix: &'static str, item: &object::Item<T>) -> (&'static str, String, String, bool) {
    (prefix, item.name.clone(), item.place.clone(), item.enabled)
}

/// A line open at one end: its matrix as seen from the other, where no current leaves the open one,
/// whose conductors are at no node any more.
fn open_end(mut element: Element, n: usize, first: bool) -> Result<Element, String> {
    let (kept, opened) = if first { (n, 0) } else { (0, n) };
    let order: Vec<usize> = (kept..kept + n).chain(opened..opened + n).collect();
    let mut moved = Matrix::zeros(2 * n);
    for (row, &a) in order.iter().enumerate() {
        for (column, &b) in order.iter().enumerate() {
            moved.set(row, column, element.y.get(a, b));
        }
    }
    let seen = moved.kron(n).ok_or("has no impedance")?;
    element.y = Matrix::zeros(2 * n);
    for row in 0..n {
        for column in 0..n {
            element.y.set(kept + row, kept + column, seen.get(row, column));
        }
    }
    element.nodes[opened..opened + n].fill(None);
    Ok(element)
}
