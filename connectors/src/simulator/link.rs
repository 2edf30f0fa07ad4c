//! The way from sensor to door: most readings arrive at once, some late, some never.
//!
//! A reading that is held for one step is overtaken by its successor (out of order); one held for
//! longer is late. Both keep their own `measured_at`, which is what makes them corrections.
//!
//! # Bounds
//!
//! What is held is at most [`LATE_STEPS_MAX`] steps' share of readings.

use std::collections::BTreeMap;

use schemas::event::AssetTelemetry;
use schemas::event::MeterReading;
use schemas::event::ScadaMeasurement;

use crate::simulator::noise::Draws;
use crate::simulator::noise::Purpose;

/// Steps by which a late reading is late at most: two minutes at 5 s.
pub const LATE_STEPS_MAX: u64 = 24;

/// Shares of readings that do not arrive at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkFaults {
    /// Never arrive.
    pub lost_share: f64,
    /// Arrive one step late, behind their successor.
    pub out_of_order_share: f64,
    /// Arrive two to [`LATE_STEPS_MAX`] steps late.
    pub late_share: f64,
}

/// Readings that travel together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// From meters.
    pub meter: Vec<MeterReading>,
    /// From the substation and the voltage sensors.
    pub scada: Vec<ScadaMeasurement>,
    /// From batteries and PV inverters.
    pub asset: Vec<AssetTelemetry>,
}

impl Readings {
    fn append(&mut self, mut other: Readings) {
        self.meter.append(&mut other.meter);
        self.scada.append(&mut other.scada);
        self.asset.append(&mut other.asset);
    }
}

/// The way, with what is on it.
#[derive(Clone, Debug)]
pub struct Link {
    // Settings.
    seed: u64,
    faults: LinkFaults,

    // State: by the step at which it arrives.
    held: BTreeMap<u64, Readings>,
}

impl Link {
    /// An empty way.
    pub fn new(seed: u64, faults: LinkFaults) -> Link {
        Link { seed, faults, held: BTreeMap::new() }
    }

    /// Takes what sensors say at a step and gives what arrives: of the present first, then what was
    /// held.
    pub fn pass(&mut self, step: u64, said: Readings) -> Readings {
        let mut arrived = Readings::default();
        for (subject, reading) in said.meter.into_iter().enumerate() {
            if let Some(on) = self.arrival(0, subject, step, &mut arrived) {
                on.meter.push(reading);
            }
        }
        for (subject, reading) in said.scada.into_iter().enumerate() {
            if let Some(on) = self.arrival(1, subject, step, &mut arrived) {
                on.scada.push(reading);
            }
        }
        for (subject, reading) in said.asset.into_iter().enumerate() {
            if let Some(on) = self.arrival(2, subject, step, &mut arrived) {
                on.asset.push(reading);
            }
        }
        if let Some(late) = self.held.remove(&step) {
            arrived.append(late);
        }
        arrived
    }

    /// Everything that is still on its way, earliest arrival first.
    pub fn drain(&mut self) -> Readings {
        let mut rest = Readings::default();
        for readings in std::mem::take(&mut self.held).into_values() {
            rest.append(readings);
        }
        rest
    }

    /// How many readings are on their way.
    pub fn held(&self) -> usize {
        self.held.values().map(|r| r.meter.len() + r.scada.len() + r.asset.len()).sum()
    }

    /// Where a reading goes: with what arrives now, with what arrives later, or nowhere.
    fn arrival<'a>(
        &'a mut self,
        stream: u64,
        subject: usize,
        step: u64,
        now: &'a mut Readings,
    ) -> Option<&'a mut Readings> {
        let subject = stream << 32 | subject as u64;
        let mut draws = Draws::new(self.seed, Purpose::Link, subject, step);
        let (x, faults) = (draws.fraction(), self.faults);
        if x < faults.lost_share {
            None
        } else if x < faults.lost_share + faults.out_of_order_share {
            Some(self.held.entry(step + 1).or_default())
        } else if x < faults.lost_share + faults.out_of_order_share + faults.late_share {
            let late_steps = 1 + draws.count(LATE_STEPS_MAX - 1);
            Some(self.held.entry(step + late_steps).or_default())
        } else {
            Some(now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use schemas::time::Timestamp;

    fn said(step: u64) -> Readings {
        let reading = |i: usize| ScadaMeasurement {
            sensor_id: format!("s{i}"),
            measured_at: Timestamp(step),
            value: 1.0,
            quality_bits: 0,
        };
        Readings { scada: (0..10).map(reading).collect(), ..Readings::default() }
    }

    #[test]
    fn nothing_is_made_and_only_the_lost_are_missing_over_4000_steps() {
        let faults = LinkFaults { lost_share: 0.02, out_of_order_share: 0.03, late_share: 0.05 };
        let mut link = Link::new(3, faults);
        let (mut seen, mut late, mut overtaken) = (Vec::new(), 0, 0);
        for step in 0..4_000 {
            for reading in link.pass(step, said(step)).scada {
                match step - reading.measured_at.0 {
                    0 => {}
                    1 => overtaken += 1,
                    2..=LATE_STEPS_MAX => late += 1,
                    steps => panic!("{steps} steps late"),
                }
                seen.push((reading.measured_at, reading.sensor_id));
            }
        }
        assert!(link.held() < 100, "{}", link.held());
        seen.extend(link.drain().scada.into_iter().map(|r| (r.measured_at, r.sensor_id)));
        let arrived = seen.len() as i64;
        seen.sort();
        seen.dedup();
        assert_eq!(arrived, seen.len() as i64, "a reading arrived twice");
        assert!((40_000 - arrived - 800).abs() < 150, "{arrived} arrived");
        assert!((overtaken - 1_200_i64).abs() < 180, "{overtaken} overtaken");
        assert!((late - 2_000_i64).abs() < 220, "{late} late");
    }
}
