//! Observability: which nodes' voltages the rows determine, and which parts hang together.
//!
//! The question is asked of the same matrix at the flat state with unit weights (A. Monticelli,
//! F. F. Wu, *Network observability: theory*, IEEE PAS-104, 1985). There a zero pivot names a node;
//! here, where an injection's multiplier is eliminated beside its state, a zero pivot may come
//! before the row that mends it, so every node is held by a tiny weight ε instead, and the pivots
//! that nothing but ε holds up are found from the other end: the inverse is `P/ε` plus something of
//! the size of one, `P` the projector on what no row sees. A node where `P` is not zero is
//! unobservable; two neighbours whose difference has no part in `P` are of one observable island.
//!
//! Ampere rows do not count: they leave two solutions where nothing else says the direction.

use crate::estimation::estimator::Estimator;
use crate::estimation::row::What;
use crate::estimation::system::System;
use crate::sparse::Block;

/// What holds every state, as a share of a row's weight.
const EPSILON: f64 = 1e-11;
/// A part of the projector above this is not zero. What the rows see weakest stays below it.
const PART: f64 = 1e-3;

/// What the rows determine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observability {
    /// By node: true where the angle is determined.
    pub angle: Vec<bool>,
    /// By node: true where the magnitude is determined.
    pub magnitude: Vec<bool>,
    /// Nodes that are not determined, in groups whose voltages are determined relative to each
    /// other; by least node, each ascending.
    pub islands: Vec<Vec<usize>>,
}

impl Observability {
    /// True if a node's voltage is determined.
    pub fn is_observable(&self, node: usize) -> bool {
        self.angle[node] && self.magnitude[node]
    }

    /// Nodes that are not determined, ascending.
    pub fn unobservable(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.angle.len()).filter(|&node| !self.is_observable(node))
    }
}

impl Estimator {
    pub(super) fn find_observable(&self) -> Observability {
        let mut system = self.system.clone();
        self.weigh_equally(&mut system);
        system.linearise::<true>();
        system.factor();
        let mut inverse = vec![Block::ZERO; system.blocks.len()];
        system.form.selected_inverse(&system.blocks, &mut inverse);
        let own = |place: usize, k: usize| {
            let z: &[[f64; 4]; 4] = &inverse[system.form.diagonal(place)];
            EPSILON * z[k][k]
        };
        let nodes = self.nodes();
        let seen = |node: usize, k: usize| own(system.form.place(node), k) < PART;
        let angle: Vec<bool> = (0..nodes).map(|node| seen(node, 0)).collect();
        let magnitude: Vec<bool> = (0..nodes).map(|node| seen(node, 1)).collect();
        let mut group: Vec<usize> = (0..nodes).collect();
        for place in 0..nodes {
            for block in system.form.right(place) {
                let other = system.form.column(block);
                let z: &[[f64; 4]; 4] = &inverse[block];
                let apart = |k: usize| own(place, k) + own(other, k) - 2.0 * EPSILON * z[k][k];
                let [there, back] = system.admittance(block);
                let connected = there.norm_sqr() + back.norm_sqr() > 0.0;
                if connected && apart(0) < PART && apart(1) < PART {
                    join(&mut group, system.form.node(place), system.form.node(other));
                }
            }
        }
        let mut islands: Vec<Vec<usize>> = vec![Vec::new(); nodes];
        for node in 0..nodes {
            if !(angle[node] && magnitude[node]) {
                islands[first(&mut group, node)].push(node);
            }
        }
        islands.retain(|island| !island.is_empty());
        Observability { angle, magnitude, islands }
    }

    /// Every row with a gradient of about one, at the flat state.
    fn weigh_equally(&self, system: &mut System) {
        for place in 0..self.nodes() {
            let node = system.form.node(place);
            let zero = self.is_zero_injection(node);
            let meter = &mut system.meters[place];
            *meter = Default::default();
            meter.mask = if zero { [1.0; 2] } else { [0.0; 2] };
            meter.own = if zero { 0.0 } else { 1.0 };
            meter.variance = if zero { [0.0; 2] } else { [1.0; 2] };
            meter.hold = [EPSILON; 2];
        }
        for &node in self.pinned() {
            system.meters[system.form.place(node)].hold[0] = 1.0;
        }
        for terminal in &mut system.terminals {
            terminal.weight = [0.0; 4];
        }
        for row in self.rows.iter().filter(|row| row.active) {
            match row.what {
                What::Magnitude(node) => system.meters[system.form.place(node)].weight[1] = 1.0,
                What::Angle(node) => system.meters[system.form.place(node)].weight[0] = 1.0,
                What::ActiveInjection(node) | What::ReactiveInjection(node) => {
                    let k = usize::from(matches!(row.what, What::ReactiveInjection(_)));
                    let place = system.form.place(node);
                    let around = system.around(place);
                    let meter = &mut system.meters[place];
                    meter.variance[k] = around;
                    meter.mask[k] = 1.0;
                }
                What::ActiveFlow(at) | What::ReactiveFlow(at) => {
                    let k = usize::from(matches!(row.what, What::ReactiveFlow(_)));
                    let terminal = system.terminals[at];
                    let terms = &system.terms[terminal.terms()];
                    let size: f64 = terms.iter().map(|term| term.y.norm_sqr()).sum();
                    system.terminals[at].weight[k] = 1.0 / size;
                }
                What::Current(_) | What::CurrentAngle(_) | What::Agreement => {}
            }
        }
    }
}

impl System {
    /// The sum of squared admittances in a node's row: the square of a balance's gradient.
    fn around(&self, place: usize) -> f64 {
        self.own_squared[place]
    }
}

fn first(group: &mut [usize], mut of: usize) -> usize {
    while group[of] != of {
        group[of] = group[group[of]];
        of = group[of];
    }
    of
}

fn join(group: &mut [usize], a: usize, b: usize) {
    let (a, b) = (first(group, a), first(group, b));
    group[a.max(b)] = a.min(b);
}
