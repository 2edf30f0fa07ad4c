//! A race: contestants take turns at one task, and the ratio of each round counts.
//!
//! Load from elsewhere slows whoever runs at the time, so a contestant's median over the run says
//! little and the ratio of turns that follow each other says much. The order of turns is reversed
//! every other round, lest one always runs in the other's wake.

use grid::Complex;

use crate::meter::quantile;

/// How long a contestant's turn should take, in milliseconds of what it measures.
const TURN_MS: f64 = 60.0;

/// Repetitions of a turn, whatever they take.
const REPETITIONS_MIN: usize = 3;

/// Repetitions of a turn at most: scenarios are numbered by thousands.
const REPETITIONS_MAX: usize = 1_000;

/// The round whose answers are compared: no other draws the same.
const CHECKED_ROUND: u64 = 99;

/// Voltages further apart than this, per unit, are not two answers to one question.
const WRONG_PU: f64 = 0.02;

/// What a turn brought.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// Times of the repetitions in milliseconds.
    pub ms: Vec<f64>,
    /// Voltages of all buses after the last repetition; may be empty.
    pub voltages: Vec<Complex>,
}

/// Whoever can do a task again and again.
pub trait Contestant {
    /// Does it so many times. Draws are those of the scenarios `1,000 round + k`.
    ///
    /// # Errors
    /// It cannot, or gives no solution; this is why.
    fn run(&mut self, round: u64, repetitions: usize) -> Result<Turn, String>;
}

/// One who cannot take part.
pub struct Absent(pub String);

impl Contestant for Absent {
    fn run(&mut self, _: u64, _: usize) -> Result<Turn, String> {
        Err(self.0.clone())
    }
}

/// A contestant beside ours.
pub struct Entrant {
    /// What heads its column.
    pub name: &'static str,
    /// What it does.
    pub runs: Box<dyn Contestant>,
    /// Whether the target is held against it.
    pub counts: bool,
    /// How many repetitions its turns have, where the race's own number would wrong it: what a
    /// batch costs once must be spread over a batch's scenarios and not over three.
    pub repetitions: Option<usize>,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The fastest entrant that counts takes at least so many times as long as ours.
    Faster(f64),
    /// Ours takes at most so many times as long as the entrant that counts.
    Within(f64),
    /// It is shown, no more.
    Shown,
}

/// A task on a network.
pub struct Race {
    /// What it is on.
    pub network: String,
    /// Ours.
    pub ours: Box<dyn Contestant>,
    /// The others.
    pub entrants: Vec<Entrant>,
    /// What is to be reached.
    pub target: Target,
    /// Where the angle is zero when answers are compared.
    pub reference: usize,
    /// How many repetitions a turn has; as many as its time allows where nothing is said.
    pub repetitions: Option<usize>,
}

/// What came of a contestant.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Milliseconds, the median of its rounds.
    pub ms: f64,
    /// Each round's ratio to ours.
    pub ratios: Vec<f64>,
    /// Largest distance of a voltage from ours, per unit; none where there is nothing to compare.
    pub apart_pu: Option<f64>,
}

/// What came of a race.
pub struct Outcome {
    /// What it was on.
    pub network: String,
    /// Ours: milliseconds, the median of its rounds.
    pub ours: Result<f64, String>,
    /// The others in their order.
    pub entrants: Vec<Result<Compared, String>>,
    /// Which entrant the target was held against.
    pub against: Option<usize>,
    /// What was to be reached.
    pub target: Target,
}

impl Outcome {
    /// The ratio that the target is about, with its least and greatest round.
    pub fn ratio(&self) -> Option<(f64, f64, f64)> {
        let entrant = self.entrants[self.against?].as_ref().ok()?;
        let of = |q: f64| quantile(&entrant.ratios, q);
        Some(match self.target {
            Target::Within(_) => (1.0 / of(0.5), 1.0 / of(1.0), 1.0 / of(0.0)),
            _ => (of(0.5), of(0.0), of(1.0)),
        })
    }

    /// Whether the target is met; nothing where there is none, or nothing to hold it against.
    pub fn met(&self) -> Option<bool> {
        let (ratio, ..) = self.ratio()?;
        match self.target {
            Target::Faster(at_least) => Some(ratio >= at_least),
            Target::Within(at_most) => Some(ratio <= at_most),
            Target::Shown => None,
        }
    }
}

impl Race {
    /// Runs it for so many rounds.
    pub fn run(mut self, rounds: u64) -> Outcome {
        let mut lanes: Vec<Lane> = Vec::new();
        lanes.push(Lane::new(self.ours.as_mut(), self.repetitions));
        for entrant in &mut self.entrants {
            let repetitions = entrant.repetitions.or(self.repetitions);
            lanes.push(Lane::new(entrant.runs.as_mut(), repetitions));
        }
        for round in 0..rounds {
            if round % 2 == 0 {
                lanes.iter_mut().for_each(|lane| lane.turn(round));
            } else {
                lanes.iter_mut().rev().for_each(|lane| lane.turn(round));
            }
        }
        let reference = self.reference;
        let checked: Vec<Vec<Complex>> =
            lanes.iter_mut().map(|lane| lane.answer(reference)).collect();
        let results: Vec<Result<Vec<f64>, String>> =
            lanes.into_iter().map(|lane| lane.ms).collect();
        let ours = results[0].as_ref();
        let entrants: Vec<_> = (1..results.len())
            .map(|n| compare(ours, &results[n], distance(&checked[0], &checked[n])))
            .collect();
        let speed = |n: &usize| entrants[*n].as_ref().map_or(f64::INFINITY, |e| e.ms);
        let against = (0..entrants.len())
            .filter(|&n| self.entrants[n].counts && entrants[n].is_ok() && ours.is_ok())
            .min_by(|a, b| speed(a).total_cmp(&speed(b)));
        let ours = ours.map(|ms| quantile(ms, 0.5)).map_err(Clone::clone);
        Outcome { network: self.network, ours, entrants, against, target: self.target }
    }
}

/// A contestant's turns.
struct Lane<'a> {
    runs: &'a mut dyn Contestant,
    repetitions: usize,
    ms: Result<Vec<f64>, String>,
}

impl Lane<'_> {
    /// Warms up, and finds how often it fits a turn.
    fn new(runs: &mut dyn Contestant, repetitions: Option<usize>) -> Lane<'_> {
        let first = runs.run(0, repetitions.unwrap_or(REPETITIONS_MIN));
        let fits = |turn: &Turn| (TURN_MS / quantile(&turn.ms, 0.5)) as usize;
        let wanted = first.as_ref().map_or(REPETITIONS_MIN, fits);
        let repetitions = repetitions.unwrap_or(wanted.clamp(REPETITIONS_MIN, REPETITIONS_MAX));
        Lane { runs, repetitions, ms: first.map(|_| Vec::new()) }
    }

    fn turn(&mut self, round: u64) {
        let Ok(all) = &mut self.ms else { return };
        match self.runs.run(round, self.repetitions) {
            Ok(turn) => all.push(quantile(&turn.ms, 0.5)),
            Err(why) => self.ms = Err(why),
        }
    }

    /// Its answer to the scenario that all answer.
    fn answer(&mut self, reference: usize) -> Vec<Complex> {
        if self.ms.is_err() {
            return Vec::new();
        }
        let turn = self.runs.run(CHECKED_ROUND, 1);
        let mut v = turn.map_or_else(|_| Vec::new(), |turn| turn.voltages);
        if let Some(&at) = v.get(reference) {
            let turned = at.conj().scale(1.0 / at.abs());
            v.iter_mut().for_each(|v| *v = *v * turned);
        }
        v
    }
}

fn compare(
    ours: Result<&Vec<f64>, &String>,
    theirs: &Result<Vec<f64>, String>,
    apart_pu: Option<f64>,
) -> Result<Compared, String> {
    let theirs = theirs.as_ref().map_err(Clone::clone)?;
    if let Some(far) = apart_pu.filter(|&pu| pu.is_nan() || pu > WRONG_PU) {
        return Err(format!("another answer, {far:.1} pu away from ours"));
    }
    let ratios = ours.map_or_else(
        |_| Vec::new(),
        |ours| ours.iter().zip(theirs).map(|(ours, theirs)| theirs / ours).collect(),
    );
    Ok(Compared { ms: quantile(theirs, 0.5), ratios, apart_pu })
}

fn distance(ours: &[Complex], theirs: &[Complex]) -> Option<f64> {
    if ours.is_empty() || ours.len() != theirs.len() {
        return None;
    }
    Some(ours.iter().zip(theirs).map(|(a, b)| (*a - *b).abs()).fold(0.0, f64::max))
}
