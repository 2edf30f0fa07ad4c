//! Power flow in a radial network by backward and forward sweeps.
//!
//! # Derivation
//!
//! A radial network is a tree with the source at its root. Node `i` has one parent `p(i)`, a series
//! impedance `z_i` towards it, a shunt admittance `y_i` to ground and an injected power `s_i`. Let
//! `v_i` be its voltage and `j_i` the current that flows from the parent through `z_i` towards it.
//! Kirchhoff's laws give two relations, all quantities per unit:
//!
//! ```text
//! backward   j_i = y_i v_i - (s_i / v_i)* + Σ j_k   over the children k of i      (current law)
//! forward    v_i = v_p(i) - z_i j_i                                               (voltage law)
//! ```
//!
//! The backward pass walks from the leaves to the root with the voltages held, the forward pass
//! back with the currents held, until no voltage moves. This is the ladder method for radial
//! distribution (D. Shirmohammadi, H. W. Hong, A. Semlyen, G. X. Luo, *A compensation-based power
//! flow method for weakly meshed distribution and transmission networks*, IEEE Trans. Power Systems
//! 3(2), 1988, eqs. 1-4). It is a fixed point whose contraction is about the voltage drop squared
//! away from collapse, so at a few percent of drop it gains about one and a half digits a pass.
//!
//! # Shape
//!
//! Nodes stand in breadth-first order, so that both passes are straight walks over arrays and a
//! parent always stands before its children. A transformer adds one inner node, its star point:
//! half of its impedance leads to it and half away, its magnetising branch is that node's shunt.
//! Phase shifts do not enter the iteration: each node has its own reference, and the sum of the
//! shifts above it is taken off when angles are reported.
//!
//! The last voltages are kept as the next start (a 5 s step moves them little); after a failed
//! solve the next one starts flat. All buffers are made once.
//!
//! **Invariant:** the answer does not depend on the start beyond the tolerance; only the number of
//! passes does.
//!
//! What it does not do: loops, several sources, voltage control, unbalance.

use crate::complex::Complex;
use crate::network::BusIndex;
use crate::network::Network;
use crate::network::NetworkError;
use crate::per_unit::BASE_KVA;
use crate::per_unit::base_a;
use crate::per_unit::kw_from_pu;
use crate::per_unit::pu_from_kw;
use crate::power_flow::BranchFlow;
use crate::power_flow::Flow;
use crate::power_flow::Injection;
use crate::power_flow::Solution;
use crate::power_flow::Status;
use crate::power_flow::TransformerFlow;
use crate::power_flow::sweep::tree::Tree;

mod tree;

/// No voltage may move more than this between the last two passes, per unit.
///
/// The remaining error is of the same order, four digits below the 1e-6 that results are judged by.
pub const TOLERANCE_PU: f64 = 1e-10;

/// Passes before a solve gives up. A feeder at half of its collapse load takes about fifteen.
pub const ITERATIONS_MAX: usize = 100;

/// Below this magnitude a voltage counts as collapsed, per unit. Stable operating points of a
/// feeder lie above one half: the maximum of power transfer into a matched load is there.
const COLLAPSED_PU: f64 = 0.1;

/// A radial network made ready for many solves.
#[derive(Clone, Debug)]
pub struct Sweep {
    // Made once.
    tree: Tree,
    branches: Vec<BranchEnds>,
    transformers: Vec<TransformerEnds>,

    // State.
    source_pu: Complex,
    v: Vec<Complex>,
    j: Vec<Complex>,
    s: Vec<Complex>,
    solution: Solution,
}

/// What the report of a branch needs.
#[derive(Clone, Copy, Debug)]
struct BranchEnds {
    node: usize,
    child_is_to: bool,
    y_end: Complex,
    percent_per_pu: f64,
}

/// What the report of a transformer needs.
#[derive(Clone, Copy, Debug)]
struct TransformerEnds {
    star_node: usize,
    far_node: usize,
    far_is_lv: bool,
    percent_per_pu: f64,
}

impl Sweep {
    /// Orders the network for sweeping; all branches are closed and the source is at 1 pu, 0
    /// degrees.
    ///
    /// # Errors
    /// The network has a loop, or a bus that no way leads to.
    pub fn new(network: &Network) -> Result<Sweep, NetworkError> {
        let tree = Tree::new(network)?;
        let nodes = tree.len();
        let branches = branch_ends(network, &tree);
        let transformers = transformer_ends(network, &tree);
        let solution = Solution {
            vm_pu: vec![0.0; network.buses().len()],
            va_deg: vec![0.0; network.buses().len()],
            branches: vec![BranchFlow::default(); branches.len()],
            transformers: vec![TransformerFlow::default(); transformers.len()],
            source: Flow::default(),
        };
        let mut sweep = Sweep {
            tree,
            branches,
            transformers,
            source_pu: Complex::ONE,
            v: vec![Complex::ONE; nodes],
            j: vec![Complex::ZERO; nodes],
            s: vec![Complex::ZERO; nodes],
            solution,
        };
        sweep.start_flat();
        Ok(sweep)
    }

    /// Sets the magnitude of the source's voltage; its angle is the reference, 0 degrees.
    pub fn set_source_vm_pu(&mut self, vm_pu: f64) {
        self.source_pu = Complex::new(vm_pu, 0.0);
    }

    /// Opens or closes a branch. What lies behind an open one is dead: no voltage, no current, and
    /// what it would inject is ignored.
    ///
    /// # Panics
    /// The network has no branch of that number.
    pub fn set_closed(&mut self, branch: usize, closed: bool) {
        let ends = self.branches[branch];
        self.tree.set_closed(ends.node, closed);
        for i in 0..self.v.len() {
            // A part that comes back starts from the source's voltage, not from zero.
            let comes_back = self.tree.live(i) && self.v[i] == Complex::ZERO;
            if comes_back {
                self.v[i] = self.source_pu;
            } else if !self.tree.live(i) {
                self.v[i] = Complex::ZERO;
                self.j[i] = Complex::ZERO;
            }
        }
    }

    /// True if a way of closed branches leads from the source to the bus.
    pub fn energised(&self, bus: BusIndex) -> bool {
        self.tree.live(self.tree.node_of_bus(bus))
    }

    /// Finds voltages and flows for these injections, one a bus; read them from
    /// [`Sweep::solution`].
    ///
    /// # Panics
    /// There is not one injection for each bus.
    pub fn solve(&mut self, injections: &[Injection]) -> Status {
        assert_eq!(injections.len(), self.solution.vm_pu.len(), "one injection a bus");
        for (bus, injection) in injections.iter().enumerate() {
            let s = Complex::new(pu_from_kw(injection.p_kw), pu_from_kw(injection.q_kvar));
            self.s[self.tree.node_of_bus(BusIndex(bus))] = s;
        }
        let status = self.iterate();
        if status == Status::Diverged {
            self.report_nothing();
        } else {
            self.report();
        }
        if !status.solved() {
            self.start_flat();
        }
        status
    }

    /// The outcome of the last solve.
    pub fn solution(&self) -> &Solution {
        &self.solution
    }

    /// Forgets the last voltages: the next solve starts from the source's voltage everywhere.
    pub fn start_flat(&mut self) {
        for i in 0..self.v.len() {
            self.v[i] = if self.tree.live(i) { self.source_pu } else { Complex::ZERO };
        }
        self.j.fill(Complex::ZERO);
    }

    fn iterate(&mut self) -> Status {
        self.v[0] = self.source_pu;
        for iterations in 1..=ITERATIONS_MAX {
            self.backward();
            let (moved_sqr, lowest_sqr) = self.forward();
            // Written so that NaN, which compares false, also counts as collapse.
            let stands = lowest_sqr > COLLAPSED_PU * COLLAPSED_PU && moved_sqr.is_finite();
            if !stands {
                return Status::Diverged;
            }
            if moved_sqr < TOLERANCE_PU * TOLERANCE_PU {
                // The currents belong to the voltages before the last move: bring them up to date.
                self.backward();
                return Status::Solved { iterations };
            }
        }
        Status::OutOfIterations
    }

    /// The current law, from the leaves to the root.
    fn backward(&mut self) {
        for i in 0..self.j.len() {
            // conj(s/v) = conj(s)·v/|v|²: one real division a node.
            let v = self.v[i];
            let drawn = self.tree.shunt_y(i) * v;
            let s = self.s[i];
            self.j[i] = if !self.tree.live(i) {
                Complex::ZERO
            } else if s == Complex::ZERO {
                drawn
            } else {
                drawn - (s.conj() * v).scale(1.0 / v.norm_sqr())
            };
        }
        for i in (1..self.j.len()).rev() {
            let current = self.j[i];
            self.j[self.tree.parent(i)] += current;
        }
    }

    /// The voltage law, from the root to the leaves; the greatest move and the lowest voltage,
    /// squared.
    fn forward(&mut self) -> (f64, f64) {
        let (mut moved_sqr, mut lowest_sqr) = (0.0_f64, f64::INFINITY);
        for i in 1..self.v.len() {
            if !self.tree.live(i) {
                continue;
            }
            let v = self.v[self.tree.parent(i)] - self.tree.series_z(i) * self.j[i];
            if !v.is_finite() {
                return (f64::NAN, f64::NAN);
            }
            moved_sqr = moved_sqr.max((v - self.v[i]).norm_sqr());
            lowest_sqr = lowest_sqr.min(v.norm_sqr());
            self.v[i] = v;
        }
        (moved_sqr, lowest_sqr)
    }

    fn report(&mut self) {
        for bus in 0..self.solution.vm_pu.len() {
            let node = self.tree.node_of_bus(BusIndex(bus));
            let v = self.v[node];
            self.solution.vm_pu[bus] = v.abs();
            self.solution.va_deg[bus] = if self.tree.live(node) {
                half_turn_deg(v.arg().to_degrees() - self.tree.shift_deg(node))
            } else {
                0.0
            };
        }
        for (branch, ends) in self.branches.iter().enumerate() {
            self.solution.branches[branch] = self.branch_flow(*ends);
        }
        for (transformer, ends) in self.transformers.iter().enumerate() {
            self.solution.transformers[transformer] = self.transformer_flow(*ends);
        }
        // The root's "current from its parent" is what the source delivers.
        self.solution.source = flow(self.v[0], self.j[0]);
    }

    fn report_nothing(&mut self) {
        let nothing = Flow { p_kw: f64::NAN, q_kvar: f64::NAN };
        let loading_percent = f64::NAN;
        self.solution.vm_pu.fill(f64::NAN);
        self.solution.va_deg.fill(f64::NAN);
        self.solution.branches.fill(BranchFlow { from: nothing, to: nothing, loading_percent });
        let transformer = TransformerFlow { hv: nothing, lv: nothing, loading_percent };
        self.solution.transformers.fill(transformer);
        self.solution.source = nothing;
    }

    fn branch_flow(&self, ends: BranchEnds) -> BranchFlow {
        let child = ends.node;
        if !self.tree.live(child) {
            return BranchFlow::default();
        }
        let (v_near, v_far) = (self.v[self.tree.parent(child)], self.v[child]);
        let i_near = ends.y_end * v_near + self.j[child];
        let i_far = ends.y_end * v_far - self.j[child];
        let (near, far) = (flow(v_near, i_near), flow(v_far, i_far));
        let (from, to) = if ends.child_is_to { (near, far) } else { (far, near) };
        let loading_percent = i_near.abs().max(i_far.abs()) * ends.percent_per_pu;
        BranchFlow { from, to, loading_percent }
    }

    fn transformer_flow(&self, ends: TransformerEnds) -> TransformerFlow {
        if !self.tree.live(ends.far_node) {
            return TransformerFlow::default();
        }
        let (i_near, i_far) = (self.j[ends.star_node], -self.j[ends.far_node]);
        let near = flow(self.v[self.tree.parent(ends.star_node)], i_near);
        let far = flow(self.v[ends.far_node], i_far);
        let (hv, lv) = if ends.far_is_lv { (near, far) } else { (far, near) };
        let loading_percent = i_near.abs().max(i_far.abs()) * ends.percent_per_pu;
        TransformerFlow { hv, lv, loading_percent }
    }
}

/// The power that a current into an element carries at a voltage.
fn flow(v: Complex, i: Complex) -> Flow {
    let s = v * i.conj();
    Flow { p_kw: kw_from_pu(s.re), q_kvar: kw_from_pu(s.im) }
}

/// The same angle in (-180, 180].
fn half_turn_deg(angle_deg: f64) -> f64 {
    let wrapped = angle_deg.rem_euclid(360.0);
    if wrapped > 180.0 { wrapped - 360.0 } else { wrapped }
}

fn branch_ends(network: &Network, tree: &Tree) -> Vec<BranchEnds> {
    let ends = |(number, branch): (usize, &crate::network::Branch)| {
        let kv = network.buses()[branch.from.0].nominal_kv;
        let node = tree.node_of_branch(number);
        BranchEnds {
            node,
            child_is_to: node == tree.node_of_bus(branch.to),
            y_end: branch.end_y_pu(kv, network.frequency_hz()),
            percent_per_pu: 100.0 * base_a(kv) / branch.rated_a,
        }
    };
    network.branches().iter().enumerate().map(ends).collect()
}

fn transformer_ends(network: &Network, tree: &Tree) -> Vec<TransformerEnds> {
    let ends = |(number, transformer): (usize, &crate::network::Transformer)| {
        let (star_node, far_node) = tree.nodes_of_transformer(number);
        TransformerEnds {
            star_node,
            far_node,
            far_is_lv: far_node == tree.node_of_bus(transformer.lv),
            percent_per_pu: 100.0 * BASE_KVA / transformer.rated_kva,
        }
    };
    network.transformers().iter().enumerate().map(ends).collect()
}
