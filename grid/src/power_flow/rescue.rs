//! What is tried where full steps of Newton's method do not arrive.
//!
//! First full steps from angles that carry the active powers already; many a large network was
//! written by programs that start so. Then steps that must lessen the mismatch, from a flat start
//! and from those angles. Then a path: without load there is
//! a state near the flat one; it is followed while the load grows to what was asked for, in strides
//! that shrink where a stride fails (load scaling as a natural parameter, the simplest continuation
//! of V. Ajjarapu, C. Christy, *The continuation power flow*, IEEE Trans. Power Systems 7(1),
//! 1992). The path stays on the branch of high voltages, so it also judges a solution with low
//! ones, which Newton's method may end in.

use crate::complex::Complex;
use crate::power_flow::PowerFlow;
use crate::power_flow::Settings;
use crate::power_flow::newton::End;
use crate::power_flow::system::Kind;

/// Operating points of a network lie above: the most power into a matched load is at one half.
pub(super) const LOW_VM_PU: f64 = 0.5;

/// Active power that angles need not carry before magnitudes may move, per unit.
const ANGLES_WITHIN_PU: f64 = 0.01;

/// Steps that are worth it to find them.
const ANGLE_STEPS: usize = 8;

/// Damped steps are shorter, so there may be so many times more of them.
const PATIENCE: usize = 3;

/// The first stride of the path, as a share of the load.
const STRIDE: f64 = 0.25;

/// A stride shorter than this means that the path has come to its end: the network collapses.
const STRIDE_MIN: f64 = 1.0 / 1024.0;

impl PowerFlow {
    /// True if a solution has voltages that no operating point has.
    pub(super) fn suspect(&self) -> bool {
        self.lowest_vm_pu() < LOW_VM_PU
    }

    fn lowest_vm_pu(&self) -> f64 {
        let live = self.newton.v.iter().zip(&self.system.kind);
        lowest(live.map(|(v, kind)| (v.norm_sqr(), kind)))
    }

    /// A solution by slower ways; `end` is how the fast one ended, solved if with low voltages.
    pub(super) fn rescue(&mut self, end: End, settings: &Settings) -> End {
        let found = (end == End::Solved).then(|| (self.newton.v.clone(), self.newton.mismatch));
        let (tolerance_pu, steps) = (settings.tolerance_pu, settings.iterations_max);
        self.start_with_angles();
        let end = self.newton.iterate(&mut self.system, tolerance_pu, steps);
        if end == End::Solved && !self.suspect() {
            return End::Solved;
        }
        for start in [PowerFlow::start_flat, PowerFlow::start_with_angles] {
            start(self);
            let patience = PATIENCE * steps;
            let end = self.newton.iterate_damped(&mut self.system, tolerance_pu, patience);
            if end == End::Solved && !self.suspect() {
                return End::Solved;
            }
        }
        let path = self.path(settings);
        let Some((v, mismatch)) = found else { return path };
        if path != End::Solved {
            self.newton.v = v;
            self.newton.mismatch = mismatch;
            self.newton.factored = false;
        }
        End::Solved
    }

    fn start_flat(&mut self) {
        self.newton.v.fill(Complex::ZERO);
        self.newton.factored = false;
        self.take_up();
    }

    /// A flat start, then the angles that carry the active powers at magnitudes of one everywhere:
    /// a problem without a collapse of voltages in it, and without reactive flows between machines.
    fn start_with_angles(&mut self) {
        self.start_flat();
        let kinds = self.system.kind.clone();
        for (kind, v) in self.system.kind.iter_mut().zip(&mut self.newton.v) {
            if matches!(kind, Kind::Power | Kind::Magnitude) {
                *kind = Kind::Magnitude;
                *v = v.scale(1.0 / v.abs());
            }
        }
        self.newton.iterate_damped(&mut self.system, ANGLES_WITHIN_PU, ANGLE_STEPS);
        self.system.kind = kinds;
        self.newton.factored = false;
        self.take_up();
    }

    fn path(&mut self, settings: &Settings) -> End {
        let steps = settings.iterations_max;
        self.start_with_angles();
        let v = &self.newton.v;
        let flat: Vec<Complex> =
            (0..v.len()).map(|at| v[at] * self.system.current(v, at).conj()).collect();
        let (mut share, mut stride) = (0.0, STRIDE);
        let mut end = End::Solved;
        while end == End::Solved && share < 1.0 {
            let before = self.newton.v.clone();
            let next = f64::min(share + stride, 1.0);
            self.blend(next, &flat);
            let went = self.newton.iterate(&mut self.system, settings.tolerance_pu, steps);
            if went == End::Solved && !self.suspect() {
                share = next;
                stride *= 1.5;
                continue;
            }
            self.newton.v = before;
            self.newton.factored = false;
            stride *= 0.5;
            if stride < STRIDE_MIN {
                end = End::Lost;
            }
        }
        self.system.find_powers(&self.model, &self.topology, &self.freed);
        end
    }

    /// Takes a share of all power that is given, and the rest of what the flat state has.
    fn blend(&mut self, share: f64, flat: &[Complex]) {
        let system = &mut self.system;
        system.find_powers(&self.model, &self.topology, &self.freed);
        for (s, flat) in system.constant.iter_mut().zip(flat) {
            *s = s.scale(share) + flat.scale(1.0 - share);
        }
        for follows in &mut system.follows {
            follows.current = follows.current.scale(share);
            follows.impedance = follows.impedance.scale(share);
        }
        system.s.copy_from_slice(&system.constant);
    }
}

/// The lowest magnitude of live places, from squares of magnitudes.
pub(super) fn lowest<'a>(vm_sqr: impl Iterator<Item = (f64, &'a Kind)>) -> f64 {
    let live = vm_sqr.filter(|(_, kind)| **kind != Kind::Dead);
    live.fold(f64::INFINITY, |least, (square, _)| least.min(square)).sqrt()
}
