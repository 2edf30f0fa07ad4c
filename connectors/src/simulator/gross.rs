//! Gross errors: sensors and meters that say what is not, and the truth about it.
//!
//! Noise is what an instrument adds; a gross error is what its wiring, its configuration or a stuck
//! process does to it. Within an hour a seeded share of the instruments errs once, each in one of
//! four ways: a *spike* of one step, a *sign flip*, a *stuck* value, a wrong *scale*, the last
//! three for one to five minutes. Voltages and currents have no sign to flip.
//!
//! When who errs is a function of the seed, the instrument and the hour alone; it moves no other
//! number. What was wrong is told beside the readings, to whoever scores an estimator and to nobody
//! else.
//!
//! # What it does not do
//!
//! The head's active power does not err: whoever controls by it does so without an estimate, and a
//! flipped sign there would try the controller and not the estimator. Registers of energy count
//! what was really metered.

use std::collections::BTreeMap;

use crate::simulator::noise::Draws;
use crate::simulator::noise::Purpose;

/// Steps within which an instrument errs at most once: an hour of 5 s.
const BLOCK_STEPS: u64 = 720;
/// Steps that an error lasts, but for a spike.
const LASTS: (u64, u64) = (12, 60);

/// In which way a reading is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrossError {
    /// One reading is far off.
    Spike,
    /// It has the other sign.
    SignFlip,
    /// It stays as it was.
    Stuck,
    /// It is multiplied.
    Scale,
}

/// A reading that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct BadReading {
    /// The sensor or meter.
    pub point_id: String,
    /// In which way.
    pub error: GrossError,
    /// The step in which this error began: with the point, its name.
    pub since_step: u64,
    /// What was read less what an honest instrument would have read, in standard deviations of it.
    pub deviations: f64,
}

/// What an instrument can be off by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    /// Standard deviation of an honest reading.
    pub sigma: f64,
    /// The size of a spike.
    pub spike: f64,
    /// The least and the greatest factor of a wrong scale.
    pub scale: (f64, f64),
    /// Whether its sign can be wrong.
    pub signed: bool,
}

/// Which instruments err, and the values of those that are stuck.
#[derive(Clone, Debug)]
pub(super) struct GrossErrors {
    // Settings.
    seed: u64,
    share: f64,

    // State: by instrument, the step since which it is stuck and its value.
    stuck: BTreeMap<u64, (u64, f64)>,
}

/// An error that is under way.
struct Episode {
    error: GrossError,
    since_step: u64,
    draws: Draws,
}

impl GrossErrors {
    pub(super) fn new(seed: u64, share: f64) -> GrossErrors {
        GrossErrors { seed, share, stuck: BTreeMap::new() }
    }

    /// What an instrument says at a step in the place of its honest reading; noted if it is wrong.
    pub(super) fn said(
        &mut self,
        (point_id, subject): (&str, u64),
        step: u64,
        honest: f64,
        range: Range,
        wrong: &mut Vec<BadReading>,
    ) -> f64 {
        let Some(Episode { error, since_step, mut draws }) = self.episode(subject, step, range)
        else {
            return honest;
        };
        let value = match error {
            GrossError::Spike => {
                let size = draws.between(0.5, 1.5) * range.spike;
                honest + if draws.bits() & 1 == 0 { size } else { -size }
            }
            GrossError::SignFlip => -honest,
            GrossError::Scale => honest * draws.between(range.scale.0, range.scale.1),
            GrossError::Stuck => {
                let stuck = self.stuck.entry(subject).or_insert((since_step, honest));
                if stuck.0 != since_step {
                    *stuck = (since_step, honest);
                }
                stuck.1
            }
        };
        if value != honest {
            let point_id = point_id.to_owned();
            let deviations = (value - honest) / range.sigma;
            wrong.push(BadReading { point_id, error, since_step, deviations });
        }
        value
    }

    /// The error of an instrument at a step, if it errs.
    fn episode(&self, subject: u64, step: u64, range: Range) -> Option<Episode> {
        let block = step / BLOCK_STEPS;
        let mut draws = Draws::new(self.seed, Purpose::Gross, subject, block);
        if draws.fraction() >= self.share {
            return None;
        }
        let error = match draws.count(4) {
            1 => GrossError::Spike,
            2 if range.signed => GrossError::SignFlip,
            3 => GrossError::Stuck,
            _ => GrossError::Scale,
        };
        let (least, most) = LASTS;
        let lasts = match error {
            GrossError::Spike => 1,
            _ => least + draws.count(most - least),
        };
        let since_step = block * BLOCK_STEPS + draws.bits() % (BLOCK_STEPS - most);
        let under_way = (since_step..since_step + lasts).contains(&step);
        under_way.then_some(Episode { error, since_step, draws })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Range = Range { sigma: 0.1, spike: 5.0, scale: (1.5, 3.0), signed: true };

    /// What 200 instruments say over a day that is the step's number, and what of it is wrong.
    fn day(share: f64) -> (Vec<f64>, Vec<BadReading>) {
        let mut errors = GrossErrors::new(3, share);
        let (mut said, mut wrong) = (Vec::new(), Vec::new());
        for step in 0..24 * BLOCK_STEPS {
            for subject in 0..200 {
                let honest = 1.0 + step as f64;
                let point = (&*format!("p{subject}"), subject);
                said.push(errors.said(point, step, honest, RANGE, &mut wrong));
            }
        }
        (said, wrong)
    }

    #[test]
    fn the_share_of_instruments_errs_each_hour_in_all_four_ways() {
        let (_, wrong) = day(0.02);
        let mut episodes: BTreeMap<(String, u64), (GrossError, u64)> = BTreeMap::new();
        for bad in &wrong {
            let key = (bad.point_id.clone(), bad.since_step);
            episodes.entry(key).or_insert((bad.error, 0)).1 += 1;
        }
        // 200 · 24 · 0.02 are expected, with a deviation of 10.
        assert!((60..=136).contains(&episodes.len()), "{}", episodes.len());
        for error in [GrossError::Spike, GrossError::SignFlip, GrossError::Stuck, GrossError::Scale]
        {
            let of: Vec<u64> =
                episodes.values().filter(|(e, _)| *e == error).map(|(_, n)| *n).collect();
            assert!(of.len() > 5, "{error:?}: {}", of.len());
            let least = if error == GrossError::Spike { 1 } else { LASTS.0 };
            assert!(of.iter().all(|n| (least..=LASTS.1).contains(n)), "{error:?}: {of:?}");
        }
    }

    #[test]
    fn what_is_not_noted_is_honest() {
        let (said, wrong) = day(0.02);
        let off = said.iter().enumerate().filter(|(n, v)| **v != 1.0 + (n / 200) as f64).count();
        assert_eq!(off, wrong.len());
        let (said, wrong) = day(0.0);
        assert!(wrong.is_empty());
        assert!(said.iter().enumerate().all(|(n, v)| *v == 1.0 + (n / 200) as f64));
    }
}
