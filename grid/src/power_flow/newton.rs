//! Newton's method, with a factor that is kept for as long as it serves.
//!
//! A step solves with a factored Jacobian. Its mismatch is always the true one, so a step with an
//! old factor (a chord step) leads to the same solution, and costs a quarter. Whether the factor
//! still serves is asked after each step: at the rate at which the mismatch falls, how many more
//! steps would there be? More than [`CHORD_STEPS`], and a new factor is the cheaper way.
//!
//! A state is turned and stretched by a step, never made of sines: the turn by `θ` is
//! `(1 + jθ/2)/(1 - jθ/2)` (Cayley), whose magnitude is one by construction and whose angle is
//! `θ - θ³/12`, which leaves Newton's rate as it is and shortens steps that are too long.

use crate::complex::Complex;
use crate::power_flow::system::Mismatch;
use crate::power_flow::system::Square;
use crate::power_flow::system::System;
use crate::sparse::pivoting;

/// As many chord steps are worth a factorisation.
pub(super) const CHORD_STEPS: f64 = 4.0;

/// A step that leaves more than this share of the mismatch calls for a new factor at once.
pub(super) const POOR_RATE: f64 = 0.3;

/// From a mismatch above this, per unit, the first step does not end near enough for the factor of
/// the start to serve once more.
const AFAR_PU: f64 = 0.01;

/// No step takes more than this share of a magnitude away.
pub(super) const SHRINK_MAX: f64 = 0.7;

/// A pivot this weak, as a share of its block, is not to be relied on.
pub(super) const WEAK_PIVOT: f64 = 1e-13;

/// A damped step changes no logarithm of a magnitude and no angle in radians by more than this.
const TRUST: f64 = 0.2;

/// A damped step shorter than this share leads nowhere.
const STEP_MIN: f64 = 1e-3;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The mismatch is within the tolerance.
    Solved,
    /// The mismatch is not finite, or no step lessens it.
    Lost,
    /// There were not enough iterations.
    Tired,
}

/// A state, and the factor that led to it.
#[derive(Clone, Debug)]
pub(super) struct Newton {
    pub(super) v: Vec<Complex>,
    /// The last factored Jacobian, where `factored`.
    pub(super) blocks: Vec<Square>,
    /// True while the blocks hold a factor that belongs to the equations, at whatever state.
    pub(super) factored: bool,
    /// Steps since this was last set to zero.
    pub(super) iterations: usize,
    pub(super) mismatch: Mismatch,
    /// What the equations are off, then the step.
    pub(super) x: Vec<[f64; 2]>,
    before: Vec<Complex>,
}

impl Newton {
    /// A state for equations of so many places and blocks.
    pub(super) fn new(places: usize, blocks: usize) -> Newton {
        Newton {
            v: vec![Complex::ZERO; places],
            blocks: vec![[[0.0; 2]; 2]; blocks],
            factored: false,
            iterations: 0,
            mismatch: Mismatch { largest: f64::INFINITY, squares: f64::INFINITY },
            x: vec![[0.0; 2]; places],
            before: vec![Complex::ZERO; places],
        }
    }

    /// Full steps from the present state until the mismatch is within the tolerance.
    pub(super) fn iterate(&mut self, system: &mut System, tolerance_pu: f64, steps: usize) -> End {
        let most = self.iterations + steps;
        let mut last = f64::NAN;
        let (mut afar, mut old) = (false, false);
        loop {
            // Where a Jacobian is wanted anyway, it and the mismatch are one pass.
            let mut assembled = !self.factored || afar;
            self.mismatch = if assembled {
                self.assemble(system)
            } else {
                system.mismatch(&self.v, &mut self.x)
            };
            let now = self.mismatch;
            if system.settled(now, &self.x, tolerance_pu) {
                return End::Solved;
            }
            if !assembled && !serves(now, last, tolerance_pu) {
                let away = !now.squares.is_finite() || now.largest >= last;
                if away && old {
                    // The old factor led away: back, and once more with a new one. A new factor
                    // may lead away, too; from the same state it would only do so again.
                    self.v.copy_from_slice(&self.before);
                }
                self.mismatch = self.assemble(system);
                assembled = true;
            }
            if !self.mismatch.squares.is_finite() {
                self.factored = false;
                return End::Lost;
            }
            if self.iterations >= most {
                return End::Tired;
            }
            afar = assembled && last.is_nan() && now.largest > AFAR_PU;
            last = self.mismatch.largest;
            old = !assembled;
            if assembled {
                self.factor_and_solve(system);
            } else {
                system.plan.pattern.solve(&self.blocks, &mut self.x);
            }
            self.before.copy_from_slice(&self.v);
            turn_and_stretch(&mut self.v, &self.before, &self.x, 1.0);
            self.iterations += 1;
        }
    }

    /// Steps that are halved until they lessen the sum of squares: slower, and it goes on where
    /// full steps swing (a line search after L. Armijo, Pacific J. Math. 16, 1966).
    pub(super) fn iterate_damped(
        &mut self,
        system: &mut System,
        tolerance_pu: f64,
        steps: usize,
    ) -> End {
        let most = self.iterations + steps;
        loop {
            self.mismatch = self.assemble(system);
            let now = self.mismatch;
            if !now.squares.is_finite() {
                return End::Lost;
            }
            if system.settled(now, &self.x, tolerance_pu) {
                return End::Solved;
            }
            if self.iterations >= most {
                return End::Tired;
            }
            self.factor_and_solve(system);
            self.iterations += 1;
            let step = self.x.clone();
            self.before.copy_from_slice(&self.v);
            // A linear model of powers is good for no more than this; largest of all, as one
            // direction is to be kept.
            let longest = step.iter().flatten().fold(0.0_f64, |most, x| most.max(x.abs()));
            let mut share = f64::min(1.0, TRUST / longest);
            loop {
                turn_and_stretch(&mut self.v, &self.before, &step, share);
                let then = system.mismatch(&self.v, &mut self.x);
                if then.squares < now.squares * (1.0 - 1e-4 * share) {
                    break;
                }
                share *= 0.5;
                if share < STEP_MIN {
                    self.v.copy_from_slice(&self.before);
                    self.factored = false;
                    return End::Lost;
                }
            }
        }
    }

    /// Brings the factor up to the present state.
    pub(super) fn refactor(&mut self, system: &mut System) {
        self.mismatch = self.assemble(system);
        let weakest = system.plan.pattern.factor(&mut self.blocks);
        self.factored = weakest.share > WEAK_PIVOT;
    }

    fn assemble(&mut self, system: &mut System) -> Mismatch {
        self.factored = false;
        system.assemble(&self.v, &mut self.x, &mut self.blocks)
    }

    /// A step with the Jacobian that has just been assembled.
    fn factor_and_solve(&mut self, system: &mut System) {
        let pattern = &system.plan.pattern;
        let weakest = pattern.factor(&mut self.blocks);
        self.factored = weakest.share > WEAK_PIVOT;
        if self.factored {
            pattern.solve(&self.blocks, &mut self.x);
            return;
        }
        // A pivot vanished that need not: rows of several nodes have to be exchanged.
        system.assemble(&self.v, &mut self.x, &mut self.blocks);
        pivoting::solve(&system.plan.pattern, &self.blocks, &mut self.x);
    }
}

/// True if the factor that led here leads on, for what it costs.
fn serves(now: Mismatch, last: f64, tolerance_pu: f64) -> bool {
    if last.is_nan() || !now.squares.is_finite() {
        return now.squares.is_finite();
    }
    let rate = now.largest / last;
    rate < POOR_RATE && (tolerance_pu / now.largest).ln() / rate.ln() <= CHORD_STEPS
}

/// The state before, moved by a share of a step.
fn turn_and_stretch(v: &mut [Complex], before: &[Complex], step: &[[f64; 2]], share: f64) {
    for ((v, before), [turn, stretch]) in v.iter_mut().zip(before).zip(step) {
        let half = 0.5 * share * turn;
        let factor = (1.0 + (share * stretch).max(-SHRINK_MAX)) / (1.0 + half * half);
        let turned = Complex::new(1.0 - half * half, 2.0 * half);
        *v = *before * turned.scale(factor);
    }
}
