//! What only the user knows of a day: closures, planned outages, events.
//!
//! An annotation says of an interval what may be learned from it. They come and go as rows of a
//! table do: adding and removing one restores what was before.

use serde::Deserialize;
use serde::Serialize;

/// Annotations that are kept. A lookup walks those that begin before the instant, so this bounds
/// its cost too.
pub const ANNOTATIONS_MAX: usize = 10_000;

/// What an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A factory or a school is shut.
    Closure,
    /// The line or the meter is out of service.
    PlannedOutage,
    /// Something else out of the ordinary.
    Event,
}

/// What is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Readings of this interval teach nothing.
    LearnNothing,
    /// The days are like a holiday, for learning and for forecasts.
    LikeHoliday,
}

/// An interval and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Annotation {
    /// The first instant, in milliseconds since the epoch on the clock of the series.
    pub from_ms: i64,
    /// The first instant after it.
    pub to_ms: i64,
    /// What it is.
    pub kind: Kind,
    /// The node, feeder or zone that it is about; empty is all of them.
    pub subject: String,
    /// What is made of it.
    pub effect: Effect,
}

/// Why an annotation was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// It ends before it begins.
    #[error("an annotation must end after it begins")]
    Empty,
    /// There are [`ANNOTATIONS_MAX`] already.
    #[error("{ANNOTATIONS_MAX} annotations are kept, remove old ones first")]
    TooMany,
}

/// All annotations, ordered by their beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotations(Vec<Annotation>);

impl Annotations {
    /// Adds one; the same twice counts twice.
    ///
    /// # Errors
    ///
    /// [`AnnotationError`] where it is empty or there are too many.
    pub fn add(&mut self, annotation: Annotation) -> Result<(), AnnotationError> {
        if annotation.from_ms >= annotation.to_ms {
            return Err(AnnotationError::Empty);
        }
        if self.0.len() >= ANNOTATIONS_MAX {
            return Err(AnnotationError::TooMany);
        }
        let index = self.0.partition_point(|other| *other < annotation);
        self.0.insert(index, annotation);
        Ok(())
    }

    /// Takes one away again and says whether it was there.
    pub fn remove(&mut self, annotation: &Annotation) -> bool {
        let Ok(index) = self.0.binary_search(annotation) else { return false };
        self.0.remove(index);
        true
    }

    /// What holds for `subject` at an instant. Where intervals overlap, nothing is learned if one
    /// says so; otherwise the one that began first is told.
    #[must_use]
    pub fn at(&self, at_ms: i64, subject: &str) -> Option<&Annotation> {
        let begun = self.0.partition_point(|annotation| annotation.from_ms <= at_ms);
        let holds = |annotation: &&Annotation| {
            let meant = annotation.subject.is_empty() || annotation.subject == subject;
            meant && annotation.to_ms > at_ms
        };
        self.0[..begun].iter().filter(holds).min_by_key(|annotation| annotation.effect)
    }

    /// All of them, by their beginning.
    #[must_use]
    pub fn all(&self) -> &[Annotation] {
        &self.0
    }
}
