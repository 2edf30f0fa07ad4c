//! Elements: a primitive admittance matrix over the nodes of some terminals.

use crate::complex::Complex;
use crate::three_phase::matrix::Matrix;
use crate::three_phase::shunt::Capacitor;
use crate::three_phase::transformer::Transformer;

/// What an element is, as far as something can be set on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Lines, reactors, matrices read as such.
    Fixed,
    /// A line that is a switch: conductor by conductor it joins its two terminals when closed.
    Switch {
        /// Its position.
        closed: bool,
    },
    /// A transformer, whose taps can move.
    Transformer(Transformer),
    /// A capacitor bank, whose steps can be switched.
    Capacitor(Capacitor),
    /// A source behind its impedance.
    Source,
}

/// An element: the current into it is `i = Y v - j` with `j` its own source.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its name with its class, as in `line.650632`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How many terminals it has.
    pub terminals: usize,
    /// The node of each conductor, terminal by terminal; nothing is ground.
    pub nodes: Vec<Option<usize>>,
    /// Its primitive admittance in siemens, in the order of its nodes.
    pub y: Matrix,
    /// The current it drives out of itself into its nodes, in amperes; empty where it is passive.
    pub drives: Vec<Complex>,
    /// What of `y` is a shunt to ground (line charging, capacitors), which a look for the voltage
    /// bases leaves out; of the order of `y`, or of order 0 where there is none.
    pub shunt: Matrix,
    /// False if it is not there.
    pub in_service: bool,
}

impl Element {
    /// A passive element with a fixed matrix.
    pub fn fixed(name: String, terminals: usize, nodes: Vec<Option<usize>>, y: Matrix) -> Element {
        Element {
            name,
            kind: Kind::Fixed,
            terminals,
            nodes,
            y,
            drives: Vec::new(),
            shunt: Matrix::default(),
            in_service: true,
        }
    }

    /// How many conductors a terminal has.
    pub fn conductors(&self) -> usize {
        self.nodes.len() / self.terminals.max(1)
    }

    /// The nodes of a terminal (from 0).
    pub fn terminal(&self, terminal: usize) -> &[Option<usize>] {
        let conductors = self.conductors();
        &self.nodes[terminal * conductors..(terminal + 1) * conductors]
    }

    /// Makes its matrix anew after something was set on it; false where it has none (a
    /// transformer without leakage impedance).
    pub fn refresh(&mut self) -> bool {
        let y = match &self.kind {
            Kind::Transformer(sheet) => sheet.primitive(),
            Kind::Capacitor(sheet) => Some(sheet.primitive()),
            Kind::Fixed | Kind::Switch { .. } | Kind::Source => return true,
        };
        let Some(y) = y else { return false };
        if matches!(self.kind, Kind::Capacitor(_)) {
            self.shunt = y.clone();
        }
        self.y = y;
        true
    }

    /// Currents into the element in amperes, conductor by conductor, from the voltages at its nodes
    /// in volts, ground as zero.
    pub fn currents(&self, voltages: &[Complex]) -> Vec<Complex> {
        let mut currents = self.y.apply(voltages);
        for (current, &driven) in currents.iter_mut().zip(&self.drives) {
            *current -= driven;
        }
        currents
    }
}
