//! What each measured value does to every residual.
//!
//! To first order the residuals are `r = S e` with `S = Ω R⁻¹` the residual sensitivity. Its
//! diagonal comes from the selected inverse (see [`covariance`](super::covariance)); what tells
//! rows apart is off the diagonal, and of that only a few columns are ever wanted: each is one
//! solution with the factor that is there, not a dense inverse. (A. Monticelli, *State Estimation
//! in Electric Power Systems*, 1999, chapter 8.)
//!
//! [`Influence`] is made at a state and a factor and says also what the residuals *would* be at the
//! optimum of the active rows, by one Gauss-Newton step that is not taken. So rows can be judged
//! from the state that is estimated without them, where the linearisation is not bent by them.

use crate::estimation::estimator::Estimator;
use crate::estimation::row::What;

/// Where a row's function is differentiated.
#[derive(Clone, Copy, Debug)]
enum Gradient {
    /// By states: these items.
    States(u32, u32),
    /// A balance: the place, and 0 for active or 1 for reactive. Its residual is the multiplier's.
    Balance(u32, u8),
    /// By nothing.
    Nothing,
}

/// The linearised rows of an estimator at its state and factor.
#[derive(Clone, Debug)]
pub struct Influence {
    gradient: Vec<Gradient>,
    items: Vec<(u32, [f64; 2])>,
    /// Weights of the rows, over the reference weight; zero where left out.
    weight: Vec<f64>,
    rhs: Vec<[f64; 4]>,
    /// Residuals at the optimum of the active rows, to first order.
    pub residual: Vec<f64>,
    /// Variances of these residuals.
    pub variance: Vec<f64>,
}

impl Influence {
    /// Factors the estimator at its state with the rows that are active, and linearises there.
    pub fn new(estimator: &mut Estimator) -> Influence {
        estimator.refresh();
        let variance = estimator.residual_variances().to_vec();
        let mut residual = estimator.residuals();
        let mut influence = Influence {
            gradient: Vec::with_capacity(residual.len()),
            items: Vec::new(),
            weight: Vec::with_capacity(residual.len()),
            rhs: Vec::new(),
            residual: Vec::new(),
            variance,
        };
        influence.differentiate(estimator);
        estimator.system.linearise::<false>();
        influence.rhs = estimator.system.rhs.clone();
        estimator.system.form.solve(&estimator.system.blocks, &mut influence.rhs);
        for (at, residual) in residual.iter_mut().enumerate() {
            *residual -= match influence.gradient[at] {
                Gradient::Balance(place, k) => {
                    // Of all rows of the balance together z - s = -Σ (λ + dλ); now it is z - s.
                    let (place, k) = (place as usize, usize::from(k));
                    let meter = &estimator.system.meters[place];
                    let multiplier = estimator.system.nodes[place].multiplier[k];
                    let moved = influence.rhs[place][2 + k];
                    let now = meter.z[2 + k] - part(estimator, place, k);
                    now + meter.variance[k] * (multiplier + moved)
                }
                _ => influence.along(at),
            };
        }
        influence.residual = residual;
        influence
    }

    fn differentiate(&mut self, estimator: &Estimator) {
        let system = &estimator.system;
        for row in &estimator.rows {
            let first = self.items.len() as u32;
            let states = |items: &mut Vec<(u32, [f64; 2])>, place: usize, by: [f64; 2]| {
                items.push((place as u32, by));
            };
            let terminal = match row.what {
                What::ActiveFlow(at) => Some((at, 0)),
                What::ReactiveFlow(at) => Some((at, 1)),
                What::Current(at) => Some((at, 2)),
                What::CurrentAngle(at) => Some((at, 3)),
                _ => None,
            };
            if let Some((at, kind)) = terminal {
                let gradient = system.terminal_gradient(at, kind);
                for (term, by) in system.terms[system.terminals[at].terms()].iter().zip(gradient) {
                    states(&mut self.items, term.place as usize, by);
                }
            }
            let place = |node: usize| system.form.place(node);
            let gradient = match row.what {
                What::Magnitude(node) => {
                    states(&mut self.items, place(node), [0.0, 1.0]);
                    Gradient::States(first, first + 1)
                }
                What::Angle(node) => {
                    states(&mut self.items, place(node), [1.0, 0.0]);
                    Gradient::States(first, first + 1)
                }
                What::ActiveInjection(node) => Gradient::Balance(place(node) as u32, 0),
                What::ReactiveInjection(node) => Gradient::Balance(place(node) as u32, 1),
                What::Agreement => Gradient::Nothing,
                _ => Gradient::States(first, self.items.len() as u32),
            };
            self.gradient.push(gradient);
            let weight = estimator.scale / (row.sigma * row.sigma);
            self.weight.push(if row.active { weight } else { 0.0 });
        }
    }

    /// How a row's function moves with the last solution, if it is one of states.
    fn along(&self, row: usize) -> f64 {
        let Gradient::States(first, end) = self.gradient[row] else { return 0.0 };
        let items = &self.items[first as usize..end as usize];
        items
            .iter()
            .map(|&(place, by)| {
                let x = &self.rhs[place as usize];
                by[0] * x[0] + by[1] * x[1]
            })
            .sum()
    }

    /// How all residuals move when the value of a row moves by its variance: the covariances of
    /// the row's residual with every residual. One solution with the factor.
    pub fn covariances(&mut self, estimator: &Estimator, row: usize) -> Vec<f64> {
        let mut change = vec![0.0; self.gradient.len()];
        let sigma = estimator.rows[row].sigma;
        change[row] = sigma * sigma;
        self.response(estimator, &change)
    }

    /// How all residuals move when the rows' values move.
    pub fn response(&mut self, estimator: &Estimator, change: &[f64]) -> Vec<f64> {
        let system = &estimator.system;
        let mut total = vec![[0.0; 2]; system.nodes.len()];
        self.rhs.fill([0.0; 4]);
        for (row, &by) in change.iter().enumerate().filter(|&(_, &by)| by != 0.0) {
            match self.gradient[row] {
                Gradient::States(first, end) => {
                    let pulled = self.weight[row] * by;
                    for &(place, gradient) in &self.items[first as usize..end as usize] {
                        let rhs = &mut self.rhs[place as usize];
                        rhs[0] += pulled * gradient[0];
                        rhs[1] += pulled * gradient[1];
                    }
                }
                Gradient::Balance(place, k) => {
                    let (place, k) = (place as usize, usize::from(k));
                    let meter = &system.meters[place];
                    let moved = self.weight[row] * meter.variance[k] * meter.mask[k] * by;
                    total[place][k] += moved;
                    self.rhs[place][2 + k] += moved;
                }
                Gradient::Nothing => {}
            }
        }
        system.form.solve(&system.blocks, &mut self.rhs);
        let moved = |row: usize| match self.gradient[row] {
            Gradient::Balance(place, k) => {
                let (place, k) = (place as usize, usize::from(k));
                total[place][k] + system.meters[place].variance[k] * self.rhs[place][2 + k]
            }
            _ => self.along(row),
        };
        change.iter().enumerate().map(|(row, &by)| by - moved(row)).collect()
    }
}

/// The power into a place at the last evaluation: active or reactive.
fn part(estimator: &Estimator, place: usize, k: usize) -> f64 {
    let power = estimator.system.powers[place];
    if k == 0 { power.re } else { power.im }
}
