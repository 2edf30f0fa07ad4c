//! Bad data: whether the measurements fit together, which do not, and what is probably wrong.
//!
//! Two tests. The sum of squares is held against chi-square with the degrees of freedom there are:
//! it says *that* something is wrong, also where every single residual is small. The largest
//! normalised residual over **all** rows (balances included, which are exact rows of the matrix)
//! says *what*. One row after the other would reject good rows where several errors act together;
//! how the rows are chosen stands in [`select`]. Those chosen are left out, the state is estimated
//! without them, and from that state everything is judged once more, until nothing changes: rows
//! that are good given the others are back in, and the linearisation is not bent by the bad ones.
//!
//! A rejected row comes with the error it has ([`Suspect::error`], by the others' word), what it
//! probably is (a sign, a zero, a unit, a spike), the meters among which the culprit is where the
//! row is the total of several, and the rows that would explain everything as well.
//!
//! # What no residual shows
//!
//! - A *critical* row, without which something is not observable: its residual is zero whatever it
//!   reads. [`blind_spots`] lists them, and the groups of rows of which any one could be the bad
//!   one.
//! - An error within a few sigma of its row.
//! - An attack `a = H c` that moves all measurements as a change `c` of the state would: the
//!   residuals are those of the untouched set, and **it is undetectable here** by any threshold.
//!   (Y. Liu, P. Ning, M. Reiter, *False data injection attacks against state estimation*, ACM
//!   TISSEC 14, 2011.) What can see it is outside: forecasts, the state before, a meter that was
//!   not touched.

use crate::estimation::estimator;
use crate::estimation::estimator::Estimator;
use crate::estimation::estimator::Outcome;
use crate::estimation::influence::Influence;

mod select;

mod cause;

mod blind;

pub use self::blind::BlindSpots;
pub use self::blind::blind_spots;
pub use self::cause::Cause;
use self::select::Correlated;

/// Rounds of choosing, leaving out and choosing again from the better state.
const ROUNDS: usize = 6;

/// How bad data are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How estimations are made.
    pub solve: estimator::Settings,
    /// The share of estimations, in each tail, in which a good row may be rejected.
    pub false_alarm: f64,
    /// The probability with which a good set stays below the limit of the sum of squares.
    pub confidence: f64,
    /// Most rows to reject: more than this is another fault, such as a wrong switch.
    pub most: usize,
    /// Two explanations that differ by less in the sum of squares cannot be told apart
    /// (10.83: the 99.9 percent point of chi-square with one degree of freedom; there are many
    /// rows that could come near by chance).
    pub margin: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            solve: estimator::Settings::default(),
            false_alarm: 0.0005,
            confidence: 0.99,
            most: 16,
            margin: 10.83,
        }
    }
}

/// A sum of squares against what it may be by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    /// The sum of squared residuals, each by its sigma.
    pub objective: f64,
    /// Rows more than are needed.
    pub freedom: usize,
    /// What a good set stays below, with the confidence that was asked for.
    pub limit: f64,
}

impl ChiSquare {
    /// The test of an estimator at its state.
    pub fn of(estimator: &mut Estimator, confidence: f64) -> ChiSquare {
        let objective = estimator.objective();
        ChiSquare::that(estimator, objective, confidence)
    }

    fn that(estimator: &mut Estimator, objective: f64, confidence: f64) -> ChiSquare {
        let freedom = estimator.degrees_of_freedom();
        let limit = estimator.limits.chi_square(freedom, confidence);
        ChiSquare { objective, freedom, limit }
    }

    /// True if something is wrong.
    pub fn alarms(&self) -> bool {
        self.freedom > 0 && (self.objective > self.limit || self.objective.is_nan())
    }
}

/// A row that was rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The row.
    pub row: usize,
    /// Its value per unit (radians).
    pub value: f64,
    /// The value less what the rows that were kept say it should be: the error it has.
    pub error: f64,
    /// The standard deviation of that difference if the row were good.
    pub deviation: f64,
    /// What it probably is.
    pub cause: Cause,
    /// The measurements among which the culprit is, by position: the row's only one, as a rule;
    /// of a node's total all, or those whose error would be of this kind and size.
    pub culprits: Vec<usize>,
    /// Rows that, rejected in its place, would explain everything as well.
    pub instead: Vec<usize>,
}

impl Suspect {
    /// The error over its standard deviation: the normalised residual of the row, given that the
    /// other suspects are left out.
    pub fn normalised(&self) -> f64 {
        self.error / self.deviation
    }
}

/// What came of looking for bad data.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The outcome of the last estimation, without the suspects.
    pub outcome: Outcome,
    /// The sum of squares of all rows; not a number where they had no estimate.
    pub before: ChiSquare,
    /// The sum of squares without the suspects.
    pub after: ChiSquare,
    /// The size a normalised residual may have by chance.
    pub limit: f64,
    /// The rows that were rejected, worst first. They are left out of the estimator now.
    pub suspects: Vec<Suspect>,
}

impl Verdict {
    /// True if everything fits together as it is.
    pub fn is_clean(&self) -> bool {
        self.suspects.is_empty() && !self.is_unexplained()
    }

    /// True if the sum of squares is still too large, or there is no estimate: many small errors,
    /// sigmas that are too small, or a model that is wrong, such as the position of a switch.
    pub fn is_unexplained(&self) -> bool {
        !self.outcome.is_solved() || self.after.alarms()
    }

    /// Names the meters of each suspect row that may be wrong, from the measurements' values: where
    /// a row is the total of several, those are left whose sign, zero or unit would make the error;
    /// all if none would. (What a row of one meter is, it has from the start.)
    ///
    /// # Panics
    /// There are fewer values than measurements.
    pub fn blame(&mut self, estimator: &Estimator, values: &[f64]) {
        for suspect in &mut self.suspects {
            let row = &estimator.rows()[suspect.row];
            let (cause, culprits) = cause::among(row, values, suspect.error, suspect.deviation);
            (suspect.cause, suspect.culprits) = (cause, culprits);
        }
    }

    /// Takes the rejected rows in again; the next estimation has them.
    pub fn take_back(&self, estimator: &mut Estimator) {
        self.suspects.iter().for_each(|suspect| estimator.set_active(suspect.row, true));
    }
}

/// Finds bad data among the active rows and leaves them out.
///
/// The estimator is estimated first if it is not at its optimum. Where nothing is suspicious this
/// costs one evaluation of the residuals, as long as the factor stands (see
/// [`Estimator::residual_variances`]); else two factorisations a round and one solution for each
/// row that is looked at. Afterwards the estimator is at the optimum of the rows that are left.
pub fn identify(estimator: &mut Estimator, settings: &Settings) -> Verdict {
    let active = estimator.rows().iter().filter(|row| row.active).count();
    let limit = estimator.limits.residual(active, settings.false_alarm);
    let outcome = settle(estimator, settings);
    let (objective, largest) =
        if outcome.is_solved() { estimator.misfit() } else { (f64::NAN, f64::NAN) };
    let before = ChiSquare::that(estimator, objective, settings.confidence);
    let mut verdict = Verdict { outcome, before, after: before, limit, suspects: Vec::new() };
    if matches!(verdict.outcome, Outcome::NoSource | Outcome::Unobservable) {
        return verdict;
    }
    let hidden = before.alarms();
    if verdict.outcome.is_solved() && !hidden && largest < limit {
        return verdict;
    }
    let rows = estimator.rows().iter().enumerate();
    let all: Vec<usize> = rows.filter(|(_, row)| row.active).map(|(at, _)| at).collect();
    if !verdict.outcome.is_solved() {
        // No state to judge from but the flat one: no pass leaves it there.
        estimator.solve(&estimator::Settings { passes: 0, ..settings.solve });
    }
    let mut chosen = judge(estimator).best(settings, limit, hidden);
    if chosen.is_empty() {
        return verdict;
    }
    let mut appraised = Vec::new();
    for round in 0..ROUNDS {
        leave_out(estimator, &all, &chosen);
        settle(estimator, settings);
        leave_out(estimator, &all, &[]);
        let mut judged = judge(estimator);
        let again = if judged.stands(&chosen, limit) {
            chosen.clone()
        } else {
            judged.best(settings, limit, hidden)
        };
        if again == chosen || round + 1 == ROUNDS {
            appraised = judged.appraise(&chosen, settings, limit);
            break;
        }
        chosen = again;
    }
    leave_out(estimator, &all, &chosen);
    verdict.outcome = settle(estimator, settings);
    verdict.after = ChiSquare::of(estimator, settings.confidence);
    verdict.suspects = describe(estimator, &chosen, appraised);
    verdict
}

/// The state's optimum: kept if it is there, from where the state stands, else from flat.
fn settle(estimator: &mut Estimator, settings: &Settings) -> Outcome {
    let outcome = estimator.track(&settings.solve);
    if outcome.is_solved() { outcome } else { estimator.solve(&settings.solve) }
}

fn leave_out(estimator: &mut Estimator, all: &[usize], chosen: &[usize]) {
    for &row in all {
        estimator.set_active(row, !chosen.contains(&row));
    }
}

/// The rows as they are judged from a state.
struct Judged<'a> {
    correlated: Correlated<'a>,
    /// Sigma squared over the standard deviation of the residual: what a normalised residual is
    /// multiplied with to be an error.
    error: Vec<f64>,
}

/// Of a chosen row: the standard deviation of its error, and the rows that would do as well.
struct Appraised {
    deviation: f64,
    instead: Vec<usize>,
}

/// Judges from the state as it is, all rows being active.
fn judge(estimator: &mut Estimator) -> Judged<'_> {
    let mut influence = Influence::new(estimator);
    let critical = estimator.critical();
    let rows = estimator.rows().iter().zip(&critical).enumerate();
    let judged: Vec<bool> = rows
        .map(|(at, (row, critical))| row.active && !critical && estimator.is_determined(at))
        .collect();
    let deviation: Vec<f64> = influence.variance.iter().map(|variance| variance.sqrt()).collect();
    let rows = estimator.rows().iter().zip(&deviation);
    let error = rows.map(|(row, deviation)| row.sigma * row.sigma / deviation).collect();
    let mut residual = Vec::with_capacity(deviation.len());
    for (row, &judged) in judged.iter().enumerate() {
        residual.push(if judged { influence.residual[row] / deviation[row] } else { 0.0 });
    }
    let estimator = &*estimator;
    let column = move |row: usize| {
        let mut column = influence.covariances(estimator, row);
        for (other, value) in column.iter_mut().enumerate() {
            let scale = deviation[row] * deviation[other];
            *value = if judged[other] { *value / scale } else { 0.0 };
        }
        column
    };
    Judged { correlated: Correlated::new(residual, Box::new(column)), error }
}

impl Judged<'_> {
    /// The rows to leave out, ascending.
    fn best(&mut self, settings: &Settings, limit: f64, hidden: bool) -> Vec<usize> {
        let mut chosen = self.correlated.choose(limit, settings.most, hidden);
        chosen.sort_unstable();
        chosen
    }

    /// True if one row was chosen, is still far off, and nothing else is.
    fn stands(&mut self, chosen: &[usize], limit: f64) -> bool {
        let [row] = *chosen else { return false };
        let Some(deleted) = self.correlated.deleted(chosen) else { return false };
        let off = |at: usize| deleted[at].abs() >= limit;
        (0..deleted.len()).all(|at| off(at) == (at == row))
    }

    fn appraise(&mut self, chosen: &[usize], settings: &Settings, limit: f64) -> Vec<Appraised> {
        let mut appraised = Vec::with_capacity(chosen.len());
        for &row in chosen {
            let others: Vec<usize> = chosen.iter().copied().filter(|&of| of != row).collect();
            let left = self.correlated.left(&others, row);
            let deleted = self.correlated.deleted(&others).unwrap_or_default();
            let least = deleted.get(row).map_or(0.0, |own| own * own - settings.margin);
            let least = least.max(limit * limit);
            let does = |other: &usize| deleted[*other] * deleted[*other] > least;
            let rows = (0..deleted.len()).filter(|other| *other != row && !others.contains(other));
            let instead = rows.filter(does).collect();
            appraised.push(Appraised { deviation: self.error[row] / left.sqrt(), instead });
        }
        appraised
    }
}

fn describe(estimator: &mut Estimator, rows: &[usize], appraised: Vec<Appraised>) -> Vec<Suspect> {
    let residuals = estimator.residuals();
    let mut suspects: Vec<Suspect> = Vec::with_capacity(rows.len());
    for (&row, Appraised { deviation, instead }) in rows.iter().zip(appraised) {
        let of = &estimator.rows()[row];
        let (value, error) = (of.value, residuals[row]);
        let culprits: Vec<usize> = of.members.iter().map(|&(meter, _)| meter).collect();
        let cause = Cause::of(value, error, deviation, of.sigma).unwrap_or(Cause::Spike);
        suspects.push(Suspect { row, value, error, deviation, cause, culprits, instead });
    }
    suspects.sort_by(|a, b| b.normalised().abs().total_cmp(&a.normalised().abs()));
    suspects
}
