//! What the estimates of a day were worth: against the plant's own truth, which no agent sees.
//!
//! Voltages are compared at every tick with those of the plant's power flow. An error that the
//! plant made on purpose counts as found if an alarm about its instrument was raised while it
//! lasted, or stood; as narrowed down if its instrument was among those of which one is wrong and
//! nothing tells them apart. An alarm about an instrument that did not err lately is a false
//! accusation.
//!
//! # Bounds
//!
//! One entry a gross error.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use connectors::simulator::PlantData;
use connectors::simulator::Truth;
use schemas::decision::Alarm;
use schemas::decision::BAD_DATA;
use schemas::estimate::EstimateObservability;
use schemas::estimate::EstimateResidual;
use schemas::estimate::EstimatedBus;
use schemas::relation::Relation;
use schemas::time::Timestamp;

/// Ticks after an error's last reading in which an alarm is still about it: as long as the link may
/// hold a reading back.
const GRACE_TICKS: u64 = connectors::simulator::link::LATE_STEPS_MAX;

/// The verdict on points of which one is wrong.
const UNDECIDED: &str = "undecided";

/// Deviations from which an error is called gross whatever the network.
pub const GROSS_DEVIATIONS: f64 = 10.0;

/// One error that the plant made.
#[derive(Clone, Copy, Debug, Default)]
struct Error {
    /// The tick of its last wrong reading, counted from the first.
    last: u64,
    /// The furthest that a reading was off, in standard deviations.
    deviations: f64,
    found: bool,
    narrowed: bool,
}

/// The score so far.
#[derive(Clone, Debug, Default)]
pub struct Score {
    place_of_bus: BTreeMap<String, usize>,

    ticks: u64,
    compared: u64,
    squares: f64,
    worst_pu: f64,
    worst_at: Option<(String, Timestamp)>,
    /// Buses alive, by what is estimated of them, added up over the ticks.
    unobservable: u64,
    unobservable_most: u64,
    /// Energised in truth and dead by the estimate, or the other way round.
    mistaken: u64,
    unsolved: u64,
    errors: BTreeMap<(String, u64), Error>,
    /// Points with an alarm.
    accused: BTreeSet<String>,
    falsely: u64,
}

impl Score {
    /// A score of nothing, for a plant of this data.
    pub fn new(data: &PlantData) -> Score {
        let places = data.buses().iter().enumerate();
        let place_of_bus = places.map(|(place, bus)| (bus.bus_id.clone(), place)).collect();
        Score { place_of_bus, ..Score::default() }
    }

    /// Takes a tick: the collections `estimates.buses`, `.observability` and `.residuals` as they
    /// stand, the tick's alarms, the truth.
    pub fn add(
        &mut self,
        at: Timestamp,
        [buses, observability, residuals]: [&RecordBatch; 3],
        alarms: &[Alarm],
        truth: &Truth,
    ) {
        self.ticks += 1;
        self.alarms(alarms, truth);
        for row in EstimateResidual::from_batch(residuals).unwrap_or_default() {
            let undecided = row.verdict == UNDECIDED;
            if let Some(error) = self.last_error(&row.point_id).filter(|_| undecided) {
                error.narrowed = true;
            }
        }
        let observability = EstimateObservability::from_batch(observability);
        for row in observability.unwrap_or_default() {
            self.unsolved += u64::from(row.status != "estimated");
            let blind = row.unobservable_buses.max(0) as u64;
            self.unobservable += blind;
            self.unobservable_most = self.unobservable_most.max(blind);
        }
        if !truth.solved {
            return;
        }
        for row in EstimatedBus::from_batch(buses).unwrap_or_default() {
            let place = self.place_of_bus.get(&row.bus_id);
            let really = place.and_then(|&place| truth.vm_pu.get(place)).copied();
            let Some((really, estimated)) = really.zip(row.vm_pu) else { continue };
            if (really > 0.0) != row.energised {
                self.mistaken += 1;
                continue;
            }
            let off_pu = (estimated - really).abs();
            self.compared += 1;
            self.squares += off_pu * off_pu;
            if off_pu > self.worst_pu {
                self.worst_pu = off_pu;
                self.worst_at = Some((row.bus_id, at));
            }
        }
    }

    /// Brings together who erred and who is accused.
    fn alarms(&mut self, alarms: &[Alarm], truth: &Truth) {
        let tick = self.ticks;
        for wrong in &truth.wrong {
            let key = (wrong.point_id.clone(), wrong.since_step);
            let error = self.errors.entry(key).or_default();
            error.last = tick;
            error.deviations = error.deviations.max(wrong.deviations.abs());
            error.found |= self.accused.contains(&wrong.point_id);
        }
        for alarm in alarms.iter().filter(|alarm| alarm.kind == BAD_DATA) {
            if alarm.state != "raised" {
                self.accused.remove(&alarm.subject);
                continue;
            }
            self.accused.insert(alarm.subject.clone());
            match self.last_error(&alarm.subject) {
                Some(error) => error.found = true,
                None => self.falsely += 1,
            }
        }
    }

    /// The last error of a point, if it is not long ago.
    fn last_error(&mut self, point_id: &str) -> Option<&mut Error> {
        let tick = self.ticks;
        let of_point = (point_id.to_owned(), 0)..=(point_id.to_owned(), u64::MAX);
        let (_, error) = self.errors.range_mut(of_point).next_back()?;
        (tick <= error.last + GRACE_TICKS).then_some(error)
    }

    /// The root of the mean squared error of voltages, per unit; not a number before any is known.
    pub fn rms_pu(&self) -> f64 {
        (self.squares / self.compared as f64).sqrt()
    }

    /// The greatest error of a voltage, per unit.
    pub fn worst_pu(&self) -> f64 {
        self.worst_pu
    }

    /// Errors that were made, those of [`GROSS_DEVIATIONS`] and more among them, errors that were
    /// found, those that were narrowed down and no more, and false accusations.
    pub fn bad_data(&self) -> [u64; 5] {
        let count = |which: &dyn Fn(&Error) -> bool| {
            self.errors.values().filter(|error| which(error)).count() as u64
        };
        let gross = |error: &Error| error.deviations >= GROSS_DEVIATIONS;
        [
            count(&|_| true),
            count(&gross),
            count(&|error| error.found),
            count(&|error| error.narrowed && !error.found),
            self.falsely,
        ]
    }

    /// What to tell, a name and a sentence each.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let worst = self.worst_at.as_ref().map_or_else(String::new, |(bus, at)| {
            format!(", worst {:.3} % ({bus} at {at})", 100.0 * self.worst_pu)
        });
        let estimate = format!(
            "voltages rms {:.4} % off the truth{worst}, over {} buses and ticks",
            100.0 * self.rms_pu(),
            self.compared
        );
        let [made, gross, found, narrowed, falsely] = self.bad_data();
        let bad_data = format!(
            "{made} injected ({gross} of 10 deviations and more), {found} found, {narrowed} \
             narrowed down, {falsely} accused falsely"
        );
        let blind = format!(
            "{} buses at most, {} over all ticks; {} taken for alive or dead wrongly; {} ticks \
             without an estimate",
            self.unobservable_most, self.unobservable, self.mistaken, self.unsolved
        );
        vec![("estimate", estimate), ("bad data", bad_data), ("unobservable", blind)]
    }
}

#[cfg(test)]
mod tests {
    use connectors::simulator::BadReading;
    use connectors::simulator::gross::GrossError;

    use super::*;

    fn alarm(point: &str, state: &str) -> Alarm {
        let (kind, subject, state) = (BAD_DATA.to_owned(), point.to_owned(), state.to_owned());
        Alarm { kind, subject, state, ..Alarm::example() }
    }

    fn truth(wrong: &[(&str, u64, f64)]) -> Truth {
        let wrong = wrong.iter().map(|(point, since_step, deviations)| BadReading {
            point_id: (*point).to_owned(),
            error: GrossError::Spike,
            since_step: *since_step,
            deviations: *deviations,
        });
        Truth { wrong: wrong.collect(), ..Truth::default() }
    }

    /// What errs at a tick (point, steps, deviations), and which alarms are raised or cleared.
    type Tick<'a> = (&'a [(&'a str, u64, f64)], &'a [(&'a str, &'a str)]);

    /// Made, gross, found, narrowed down, falsely.
    #[track_caller]
    fn check(ticks: &[Tick<'_>], expected: [u64; 5]) {
        let mut score = Score::default();
        let (buses, known) = (EstimatedBus::to_batch(&[]), EstimateObservability::to_batch(&[]));
        let residuals = EstimateResidual::to_batch(&[]);
        for (wrong, alarms) in ticks {
            let alarms: Vec<Alarm> = alarms.iter().map(|(p, state)| alarm(p, state)).collect();
            score.add(Timestamp(0), [&buses, &known, &residuals], &alarms, &truth(wrong));
        }
        assert_eq!(score.bad_data(), expected);
    }

    #[test]
    fn an_alarm_while_an_error_lasts_or_soon_after_finds_it() {
        check(&[(&[("v", 3, 12.0)], &[("v", "raised")])], [1, 1, 1, 0, 0]);
        check(&[(&[("v", 3, -2.0)], &[]), (&[], &[("v", "raised")])], [1, 0, 1, 0, 0]);
        check(&[(&[("v", 3, 12.0)], &[])], [1, 1, 0, 0, 0]);
    }

    #[test]
    fn an_alarm_that_stands_finds_the_next_error_too() {
        let first: (&[_], &[_]) = (&[("v", 3, 12.0)], &[("v", "raised")]);
        check(&[first, (&[("v", 9, 12.0)], &[])], [2, 2, 2, 0, 0]);
        check(&[first, (&[], &[("v", "cleared")]), (&[("v", 9, 12.0)], &[])], [2, 2, 1, 0, 0]);
    }

    #[test]
    fn one_of_those_that_cannot_be_told_apart_is_narrowed_down() {
        let mut score = Score::default();
        let (buses, known) = (EstimatedBus::to_batch(&[]), EstimateObservability::to_batch(&[]));
        let of = |point: &str| EstimateResidual {
            point_id: point.to_owned(),
            verdict: UNDECIDED.to_owned(),
            ..EstimateResidual::example()
        };
        let residuals = EstimateResidual::to_batch(&[of("v"), of("w")]);
        let errs = truth(&[("v", 3, 12.0), ("x", 3, 12.0)]);
        score.add(Timestamp(0), [&buses, &known, &residuals], &[], &errs);
        assert_eq!(score.bad_data(), [2, 2, 0, 1, 0]);
    }

    #[test]
    fn who_did_not_err_is_accused_falsely() {
        check(&[(&[("v", 3, 12.0)], &[("w", "raised")])], [1, 1, 0, 0, 1]);
        check(&[(&[], &[("v", "raised"), ("v", "cleared")])], [0, 0, 0, 0, 1]);
    }
}
