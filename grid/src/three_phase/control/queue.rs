//! The loop of controls: solve, ask everybody, do what is due first, again.
//!
//! As OpenDSS's static mode: time stands still, and the delays only say who goes first. Whoever
//! wants something is armed once and stays in the queue until it acted or wants it no more; a round
//! does all actions of the earliest due time. So a regulator
//! at the head with 15 s settles before those with 30 s move.

use crate::three_phase::Control;
use crate::three_phase::Kind;
use crate::three_phase::Outcome;
use crate::three_phase::Solver;
use crate::three_phase::control::decide;
use crate::three_phase::control::decide::Wish;

/// What a loop of controls came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// How the last power flow ended.
    pub outcome: Outcome,
    /// True if nobody wants anything any more; false if the rounds ran out.
    pub settled: bool,
    /// How many power flows were solved.
    pub rounds: usize,
    /// How often anything moved.
    pub moves: usize,
}

/// What is armed.
#[derive(Clone, Copy, Debug)]
struct Armed {
    due_s: f64,
    control: usize,
}

impl Solver {
    /// Solves with all controls, in at most `rounds` power flows.
    pub fn settle(&mut self, rounds: usize) -> Settled {
        let controls = self.network().controls.clone();
        let mut wishes: Vec<Option<Wish>> = vec![None; controls.len()];
        let mut opened_at: Vec<f64> = controls.iter().map(|_| f64::NEG_INFINITY).collect();
        let mut queue: Vec<Armed> = Vec::new();
        let mut moves = 0;
        for round in 1..=rounds {
            let outcome = self.solve();
            if !outcome.is_solved() {
                return Settled { outcome, settled: false, rounds: round, moves };
            }
            for (at, control) in controls.iter().enumerate() {
                wishes[at] = wish(self, control);
                let waits = queue.iter().any(|armed| armed.control == at);
                match wishes[at] {
                    None => queue.retain(|armed| armed.control != at),
                    Some(wish) if !waits => {
                        let due_s = delay_s(control, wish, opened_at[at]);
                        queue.push(Armed { due_s, control: at });
                    }
                    Some(_) => {}
                }
            }
            let Some(first) = queue.iter().map(|armed| armed.due_s).min_by(f64::total_cmp) else {
                return Settled { outcome, settled: true, rounds: round, moves };
            };
            for armed in queue.extract_if(.., |armed| armed.due_s <= first) {
                let Some(wish) = wishes[armed.control] else { continue };
                if wish == Wish::Open {
                    opened_at[armed.control] = 0.0;
                }
                act(self, &controls[armed.control], wish);
                moves += 1;
            }
        }
        let outcome = self.solve();
        Settled { outcome, settled: false, rounds: rounds + 1, moves }
    }
}

fn wish(solver: &Solver, control: &Control) -> Option<Wish> {
    match control {
        Control::Regulator(of) if of.in_service => decide::regulator(solver, of),
        Control::Capacitor(of) if of.in_service => decide::capacitor(solver, of),
        Control::Regulator(_) | Control::Capacitor(_) => None,
    }
}

fn delay_s(control: &Control, wish: Wish, opened_at: f64) -> f64 {
    match (control, wish) {
        (Control::Regulator(of), _) => of.delay_s,
        (Control::Capacitor(of), Wish::Open) => of.delay_off_s,
        // Time stands still at zero.
        (Control::Capacitor(of), _) if 0.0 - opened_at < of.dead_time_s => {
            of.delay_on_s.max(of.dead_time_s + of.delay_on_s + opened_at)
        }
        (Control::Capacitor(of), _) => of.delay_on_s,
    }
}

fn act(solver: &mut Solver, control: &Control, wish: Wish) {
    match (control, wish) {
        (Control::Regulator(of), Wish::Tap(change)) => {
            let Kind::Transformer(sheet) = &solver.network().elements[of.element].kind else {
                return;
            };
            let tap = decide::new_tap(of, sheet, change);
            solver.set_tap(of.element, of.tap_winding, tap);
        }
        (Control::Capacitor(of), Wish::Close | Wish::Open) => {
            let Kind::Capacitor(sheet) = &solver.network().elements[of.capacitor].kind else {
                return;
            };
            let closed = sheet.steps_closed();
            let steps = if wish == Wish::Close { closed + 1 } else { closed.saturating_sub(1) };
            solver.set_steps(of.capacitor, steps);
        }
        (Control::Regulator(_), Wish::Close | Wish::Open)
        | (Control::Capacitor(_), Wish::Tap(_)) => {}
    }
}
