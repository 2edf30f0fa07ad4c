//! The loop: one step after the other, and the question at each origin.

use crate::backtest::Frame;
use crate::backtest::FrameError;
use crate::model::Model;
use crate::model::Outlook;

/// Why a run could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The history cannot be told again.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The model answered another question.
    #[error("asked at {origin} for {horizon} steps, the model answered for {answered}")]
    Answer {
        /// The index of the newest reading that it was told.
        origin: i64,
        /// Steps that were asked for.
        horizon: usize,
        /// What it answered for.
        answered: String,
    },
}

/// Tells `model` the history of `frame` and calls `said` with what it says at each origin, in
/// order; `told` is called after each reading with how many have been told. Readings after the last
/// origin are not told.
///
/// # Errors
///
/// The frame is not sound, or the model answers for other steps than was asked.
pub fn run(
    frame: &Frame,
    model: &mut dyn Model,
    told: &mut dyn FnMut(u64),
    said: &mut dyn FnMut(&Outlook),
) -> Result<(), RunError> {
    let origins = frame.origins()?;
    let mut next = 0;
    let mut origins = origins.into_iter().peekable();
    for (at, reading) in frame.readings.iter().enumerate() {
        let Some(&origin) = origins.peek() else { break };
        let index = frame.first + at as i64;
        let known = frame.weather[next..].partition_point(|word| word.issued <= index);
        if known > 0 {
            model.know(&frame.weather[next..next + known]);
            next += known;
        }
        model.observe(*reading);
        if index == origin {
            let outlook = model.outlook();
            check(frame, origin, &outlook)?;
            said(&outlook);
            origins.next();
        }
        told(at as u64 + 1);
    }
    Ok(())
}

/// Whether it is an answer to the question. A model that is too young to say anything says so by no
/// points at all.
fn check(frame: &Frame, origin: i64, outlook: &Outlook) -> Result<(), RunError> {
    let horizon = frame.setup.horizon;
    if outlook.origin == origin && outlook.points.is_empty() && outlook.models.is_empty() {
        return Ok(());
    }
    let whole = outlook.origin == origin && outlook.points.len() == horizon;
    let in_order = || outlook.points.iter().zip(origin + 1..).all(|(p, index)| p.index == index);
    let alike = || outlook.models.iter().all(|(_, values)| values.len() == horizon);
    if whole && in_order() && alike() {
        return Ok(());
    }
    let indices: Vec<i64> = outlook.points.iter().map(|point| point.index).collect();
    let answered = match (indices.first(), indices.last()) {
        (Some(first), Some(last)) => {
            format!("{} steps {first}..={last} at {}", indices.len(), outlook.origin)
        }
        _ => format!("no steps at {}", outlook.origin),
    };
    Err(RunError::Answer { origin, horizon, answered })
}
