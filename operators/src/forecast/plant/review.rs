//! Which shape is to challenge the model of a plant, and who is better.
//!
//! Both are run through the whole past that is kept, in portions of ticks, and told the weather as
//! it was known a day ahead ([`Tape::foreseen`]); the errors of the newest
//! [`CONTEST_DAYS`] days decide, by a paired test. The one that answers is run anew as well: as it
//! lived it knew more. Who wins then learns the past like any other model, with the weather as it
//! was issued.
//!
//! What challenges is the station that goes with the power the most today or, where that is the one
//! that is told already and the plant is of a megawatt, the ridge without its cosines or with them.
//!
//! # Bounds
//!
//! Two models more, for as long as the contest goes on; two steps of models an hour of the past.

use forecast::model::Model;
use forecast::model::Said;
use forecast::plant::Breadth;
use forecast::plant::rival::Rival;
use forecast::plant::unit::Unit;
use forecast::score::CONTEST_DAYS;
use forecast::score::Verdict;
use forecast::series::Track;
use serde::Deserialize;
use serde::Serialize;

use super::shape::BROAD_KW;
use super::shape::Shape;
use super::tape::Tape;
use crate::forecast::weather::Weather;

/// A version that began to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// What it was made for.
    pub shape: Shape,
    /// The first hour that it has learned from, and the one after the last.
    pub window: (i64, i64),
    /// Why it began to answer.
    pub why: Why,
}

/// Why a model is to answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// There was none.
    #[default]
    First,
    /// The plant is another.
    Plant,
    /// What the one before was told is not forecast any more, or there is weather, and too short a
    /// past to judge it by.
    Weather,
    /// It won a contest, which was held for this reason.
    Contest(String, Verdict),
    /// A person went back to the version of this number.
    Back(u32),
}

impl Why {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Why::First => "the first with enough history".to_owned(),
            Why::Plant => "the rated power or the kind is another".to_owned(),
            Why::Weather => "other weather is forecast, or none".to_owned(),
            Why::Contest(why, verdict) => {
                let Verdict { gain, days, .. } = verdict;
                format!("{why}: {:.1} % less error over {days} days", 100.0 * gain)
            }
            Why::Back(number) => format!("rolled back to version {number}"),
        }
    }

    /// What decided, where it was a contest.
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Why::Contest(_, verdict) => Some(verdict),
            _ => None,
        }
    }
}

/// The shape that is to challenge the one that answers, if any is.
pub fn challenger(
    now: &Shape,
    past: &Track<f32>,
    weather: &Weather,
    present: u64,
) -> Option<Shape> {
    let best = Shape::today((now.kind, now.rated_kw), past, weather, present, None);
    if best.quantities != now.quantities && !best.quantities.is_empty() {
        return Some(Shape { quantities: best.quantities, ..now.clone() });
    }
    let breadth = if now.breadth == Breadth::Lean { Breadth::Broad } else { Breadth::Lean };
    (now.rated_kw >= BROAD_KW).then(|| Shape { breadth, ..now.clone() })
}

/// A contest that is held.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Duel {
    /// What challenges.
    pub shape: Shape,
    why: String,

    champion: (Vec<usize>, Rival),
    challenger: (Vec<usize>, Rival),
    /// The next hour that both are told.
    at: i64,
}

impl Duel {
    /// One that begins, of the plant whose past this is.
    pub fn new(why: &str, now: &Shape, shape: Shape, past: &Track<f32>, weather: &Weather) -> Duel {
        let (first, judged) = (past.first(), past.end() - 24 * (CONTEST_DAYS as i64 + 1));
        let rival = |shape: &Shape| {
            let unit = Unit::new(&shape.setup(weather), first, shape.breadth);
            (shape.quantities.clone(), Rival::new(unit, shape.rated_kw, judged))
        };
        let (champion, challenger) = (rival(now), rival(&shape));
        Duel { shape, why: why.to_owned(), champion, challenger, at: first }
    }

    /// Goes on within the budget. `Some` when it is over: with why the challenger is to answer,
    /// where it won.
    pub fn work(
        &mut self,
        past: &Track<f32>,
        tape: &Tape,
        weather: &Weather,
        budget: &mut usize,
    ) -> Option<Option<Why>> {
        while self.at < past.end() {
            if *budget < 2 {
                return None;
            }
            *budget -= 2;
            let said = tape.foreseen(weather, self.at);
            let kw = past.get(self.at).map_or(f64::NAN, f64::from);
            for (quantities, rival) in [&mut self.champion, &mut self.challenger] {
                let mine = numbered(&said, quantities);
                rival.step(self.at, kw, |unit| {
                    unit.know(&mine);
                    unit.observe(kw);
                });
            }
            self.at += 1;
        }
        let verdict = self.champion.1.loses_to(&self.challenger.1);
        Some(verdict.map(|verdict| Why::Contest(self.why.clone(), verdict)))
    }
}

/// What a model is told of what is said of the weather, by its own numbers.
pub fn numbered(said: &[Said], quantities: &[usize]) -> Vec<Said> {
    let mine = said.iter().filter_map(|said| {
        let quantity = quantities.iter().position(|quantity| *quantity == said.quantity)?;
        Some(Said { quantity, ..*said })
    });
    mine.collect()
}
