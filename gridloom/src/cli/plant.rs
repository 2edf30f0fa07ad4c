//! `gridloom plant`: the simulated neighbourhood as a process of its own, between the topics of a
//! broker.
//!
//! It goes by the wall clock and waits for nobody: a setpoint that comes after its step has begun
//! is obeyed in the next. It ends with the data, after `--ticks`, or when told to (Ctrl-C,
//! SIGTERM).

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use connectors::simulator::Plant as Simulated;
use connectors::simulator::PlantConfig;
use connectors::simulator::plant::DEMO_START_AT;
use gridloom::wiring::bundled;
use gridloom::wiring::plant;
use gridloom::wiring::plant::KafkaPlant;
use gridloom::wiring::plant::Place;
use schemas::time::HOUR_MS;

use crate::exit::say;

/// The longest time between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How often a running plant says where it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;

/// What `plant` may be told.
#[derive(Args, Debug)]
pub(crate) struct Plant {
    /// The brokers, host:port with commas between.
    #[arg(long, value_name = "HOST:PORT")]
    brokers: String,
    /// What the topics' names begin with, before the stream's. Topics that are not there are made.
    #[arg(long, value_name = "NAME", default_value = "")]
    prefix: String,
    /// How many seconds of the grid pass in one of ours.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Stop after so many steps of 5 s; without it, when the data ends.
    #[arg(long)]
    ticks: Option<u64>,
    /// The time of 31 August 2016 to start at.
    #[arg(long, value_name = "HH:MM", default_value = "00:00", value_parser = minutes)]
    start: u64,
    /// Seed of all chance: noise, loss, delay, copies of homes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only make the topics and write to this folder what an instance around the plant needs:
    /// reference tables and a gridloom.toml.
    #[arg(long, value_name = "FOLDER")]
    write_config: Option<PathBuf>,
}

impl Plant {
    /// Runs the plant.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if !(self.speed.is_finite() && self.speed > 0.0) {
            bail!("--speed is a multiple of real time: a number above 0");
        }
        let data = bundled::plant_data().context("the bundled data cannot be read")?;
        let start_at = DEMO_START_AT.plus(self.start * MINUTE_MS);
        let config = PlantConfig { seed: self.seed, start_at, ..PlantConfig::default() };
        let plant = Simulated::new(data, config)?;
        let place = Place { brokers: self.brokers.clone(), prefix: self.prefix.clone() };
        place.make_topics()?;
        match &self.write_config {
            Some(folder) => self.write(folder, &place, &plant),
            None => self.live(KafkaPlant::open(&place, plant)?),
        }
    }

    fn write(&self, folder: &Path, place: &Place, plant: &Simulated) -> anyhow::Result<()> {
        let path = plant::write_config(folder, place, plant)?;
        say(&format!("wrote {}; next, in two terminals:", path.display()));
        say(&format!("  gridloom run --config {}", path.display()));
        let (hours, minutes) = (self.start / 60, self.start % 60);
        let mut line = format!(
            "  gridloom plant --brokers {} --start {hours:02}:{minutes:02} --seed {}",
            self.brokers, self.seed
        );
        if !self.prefix.is_empty() {
            line.push_str(&format!(" --prefix {}", self.prefix));
        }
        say(&line);
        Ok(())
    }

    fn live(&self, mut plant: KafkaPlant) -> anyhow::Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        ctrlc::set_handler(move || told.store(true, Ordering::Relaxed))
            .context("signals cannot be listened to")?;
        let step = Duration::from_millis(plant.plant().config().step_ms).div_f64(self.speed);
        tracing::info!(from = %plant.plant().next_at(), speed = self.speed, "the plant lives");
        let began = Instant::now();
        let mut said = began;
        let mut steps = 0u64;
        while self.ticks.is_none_or(|ticks| steps < ticks) {
            let due = step.mul_f64((steps + 1) as f64);
            loop {
                let left = due.saturating_sub(began.elapsed());
                plant.listen(left.min(LOOK))?;
                if left <= LOOK || stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let Some(lived) = plant.step()? else { break };
            steps += 1;
            if said.elapsed() >= SAY_EVERY {
                said = Instant::now();
                let late_ms = began.elapsed().saturating_sub(due).as_millis();
                tracing::info!(at = %lived.at, head_kw = lived.truth.head_kw,
                    battery_kw = lived.truth.battery_kw, late_ms, "alive");
            }
        }
        let counts = plant.plant().setpoint_counts();
        tracing::info!(
            steps,
            obeyed = counts.obeyed,
            refused = counts.refused,
            lost = counts.lost,
            late = counts.late,
            unknown = counts.unknown,
            "the plant stops"
        );
        Ok(())
    }
}

/// Minutes after midnight, from `HH:MM`.
fn minutes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no time of day: write HH:MM, as 18:00");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let hours: u64 = hours.parse().map_err(|_| wrong())?;
    let minutes: u64 = minutes.parse().map_err(|_| wrong())?;
    if hours >= 24 || minutes >= HOUR_MS / MINUTE_MS {
        return Err(wrong());
    }
    Ok(hours * HOUR_MS / MINUTE_MS + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_two_numbers_in_their_bounds() {
        assert_eq!(minutes("18:05"), Ok(1_085));
        for wrong in ["24:00", "18:60", "1800", "six", "-1:00"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
