//! What the configuration says of a simulated village.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::time::Timestamp;
use serde_json::Value;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::format::instant;
use crate::options::Options;
use crate::simulator::Plant;
use crate::simulator::PlantConfig;
use crate::simulator::PlantData;
use crate::simulator::PlantError;
use crate::simulator::plant::DEMO_START_AT;

/// The most steps that can be asked for: more than any data has.
const STEPS_MAX: usize = 1 << 32;

/// The greatest seed: what a configuration can say as a whole number.
const SEED_MAX: usize = i64::MAX as usize;

/// What the configuration says of a simulator.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatorConfig {
    /// Seed of all chance.
    pub seed: u64,
    /// Where the first step begins.
    pub start_at: Timestamp,
    /// Event milliseconds a wall millisecond; `None` is as fast as pulled.
    pub speed: Option<f64>,
    /// Ends after so many steps; `None` goes on as long as the data.
    pub steps: Option<u64>,
    /// Share of sensors and meters that err grossly within an hour.
    pub bad_data_share: f64,
}

impl Default for SimulatorConfig {
    fn default() -> SimulatorConfig {
        SimulatorConfig {
            seed: 1,
            start_at: DEMO_START_AT,
            speed: None,
            steps: None,
            bad_data_share: 0.0,
        }
    }
}

impl SimulatorConfig {
    /// Reads the options of the source `name`.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn read(
        name: &str,
        values: &BTreeMap<String, Value>,
    ) -> Result<SimulatorConfig, ConnectorError> {
        let mut options = Options::new(values);
        let default = SimulatorConfig::default();
        let seed = options.count("seed", default.seed as usize, 0..=SEED_MAX) as u64;
        let day = options.text("day").map(|day| instant::from_text(&day).map_err(|e| (day, e)));
        let start_at = match day {
            None => default.start_at,
            Some(Ok(ms)) => Timestamp(ms.unsigned_abs()),
            Some(Err((day, _))) => {
                let finding = Finding::at("day", format!("{day:?} is no day"));
                options.find(finding.hint("write it as 2016-08-31".to_owned()));
                default.start_at
            }
        };
        let speed = options.positive("speed");
        let steps = options.count("steps", STEPS_MAX, 1..=STEPS_MAX);
        let bad_data_share = options.positive("bad_data").unwrap_or(default.bad_data_share);
        options.finish(name)?;
        let steps = (steps < STEPS_MAX).then_some(steps as u64);
        Ok(SimulatorConfig { seed, start_at, speed, steps, bad_data_share })
    }

    /// The village at its start, with nobody at the controls.
    ///
    /// # Errors
    /// The data does not hold the day.
    pub fn plant(&self, name: &str, data: Arc<PlantData>) -> Result<Plant, ConnectorError> {
        let (first, end) = (data.starts_at(), data.ends_at());
        let start_at = self.start_at;
        let (seed, bad_data_share) = (self.seed, self.bad_data_share);
        let config = PlantConfig { seed, start_at, bad_data_share, ..PlantConfig::default() };
        Plant::new(data, config).map_err(|error| {
            let finding = match error {
                PlantError::Data { .. } if !(first..end).contains(&start_at) => {
                    let message = format!("{start_at} is not in the data");
                    Finding::at("day", message).hint(format!("it goes from {first} to {end}"))
                }
                other => Finding { key: None, message: other.to_string(), hint: None },
            };
            ConnectorError::Config { connector: name.to_owned(), findings: vec![finding] }
        })
    }
}
