//! A day of the bundled village through the whole loop: what `demo` runs and what its tests
//! measure.

use std::path::PathBuf;
use std::sync::Arc;

use connectors::simulator::Plant;
use connectors::simulator::PlantConfig;
use connectors::simulator::PlantData;
use connectors::simulator::PlantError;
use connectors::simulator::StartSoc;
use connectors::simulator::plant::DEMO_START_AT;
use operators::settings::Settings;
use pipeline::flow::Flow;
use pipeline::ingest::IngestSettings;
use pipeline::instance::DEFAULT_SNAPSHOT_EVERY;
use pipeline::instance::InstanceError;
use pipeline::instance::InstanceSettings;
use pipeline::log::InstanceId;
use pipeline::log::Options;
use queries::PlanError;
use schemas::catalog::Catalog;
use schemas::time::Clock;
use schemas::time::DEFAULT_STEP;
use schemas::time::Timestamp;

use super::lockstep::Lockstep;
use super::views;

/// Ticks in a day.
pub const DAY_TICKS: u64 = schemas::time::DAY_MS / DEFAULT_STEP.millis();

/// The feeder's limit in kW, against which minutes are counted.
pub const LIMIT_KW: f64 = connectors::simulator::reference::FEEDER_LIMIT_KW;

/// What a day is like.
#[derive(Clone, Debug)]
pub struct Day {
    /// The data folder.
    pub data_dir: PathBuf,
    /// When it begins. The history reaches up to here, and chance begins here too: the evening of a
    /// day that begins at noon has another noise than that of a day from midnight.
    pub start_at: Timestamp,
    /// Dataflow threads.
    pub workers: usize,
    /// Whether setpoints reach the plant.
    pub control: bool,
    /// Whether the forecast's reserve is kept.
    pub reserve: bool,
    /// Share of homes with a battery.
    pub battery_share: f64,
    /// How full all batteries are at the start; `None` for drawn by seed.
    pub start_soc: Option<f64>,
    /// Share of sensors and meters that err grossly within an hour.
    pub bad_data_share: f64,
    /// The seed of all chance.
    pub seed: u64,
}

impl Day {
    /// The demo's day in this data folder.
    pub fn new(data_dir: PathBuf) -> Day {
        Day {
            data_dir,
            start_at: DEMO_START_AT,
            workers: 1,
            control: true,
            reserve: true,
            battery_share: 1.0,
            start_soc: None,
            bad_data_share: 0.0,
            seed: 1,
        }
    }

    /// The plant of the day.
    ///
    /// # Errors
    /// The bundled data is damaged.
    pub fn plant(&self, data: Arc<PlantData>) -> Result<Plant, PlantError> {
        let default = PlantConfig::default();
        let start_soc = self.start_soc.map_or(default.start_soc, StartSoc::Fixed);
        let Day { seed, battery_share, start_at, bad_data_share, .. } = *self;
        let of_day = PlantConfig { seed, start_at, battery_share, bad_data_share, ..default };
        Plant::new(data, PlantConfig { start_soc, ..of_day })
    }

    /// Opens the day: plans the shipped views, starts the dataflow, opens the log.
    ///
    /// # Errors
    /// A shipped view cannot be planned, or the instance cannot be opened.
    pub fn open(&self, data: Arc<PlantData>) -> Result<Lockstep, DayError> {
        let catalog = Catalog::built_in();
        let texts: Vec<&str> = queries::shipped().iter().map(|(_, text)| *text).collect();
        let plans = views::plan(&catalog, &texts).map_err(DayError::Views)?;
        let agents = Settings { reserve: self.reserve, ..Settings::default() };
        let flow = Flow::over(&catalog, plans, Some(agents), DEFAULT_STEP);
        let settings = InstanceSettings {
            instance: InstanceId::new("demo").expect("letters are allowed"),
            data_dir: self.data_dir.clone(),
            workers: self.workers,
            ticks_in_flight: 1,
            snapshot_every: DEFAULT_SNAPSHOT_EVERY,
            ingest: IngestSettings { patience_ms: None, ..IngestSettings::default() },
            log: Options::default(),
            clock: Clock::Wall,
        };
        let plant = self.plant(data)?;
        Ok(Lockstep::open(settings, plant, flow, catalog, self.control)?)
    }
}

/// Why a day cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// Shipped views cannot be planned, by their position.
    #[error("{} of the shipped views cannot be planned; the first: {}", .0.len(), first(.0))]
    Views(Vec<(usize, PlanError)>),
    /// The plant cannot be made.
    #[error("the plant cannot be made")]
    Plant(#[from] PlantError),
    /// The instance cannot run.
    #[error("the instance cannot run")]
    Instance(#[from] InstanceError),
}

fn first(failed: &[(usize, PlanError)]) -> String {
    failed.first().map_or(String::new(), |(index, error)| {
        let name = queries::shipped().get(*index).map_or("?", |(name, _)| *name);
        format!("{name}: {error}")
    })
}

/// Counts one-minute means above a limit.
#[derive(Clone, Debug, Default)]
pub struct Minutes {
    sum_kw: f64,
    steps: u64,
    /// Minutes whose mean was above the limit.
    pub over: u64,
    /// The greatest one-minute mean in kW.
    pub peak_kw: f64,
}

impl Minutes {
    /// Takes the head's power over one step.
    pub fn add(&mut self, head_kw: f64) {
        self.sum_kw += head_kw;
        self.steps += 1;
        if self.steps == 60_000 / DEFAULT_STEP.millis() {
            let mean_kw = self.sum_kw / self.steps as f64;
            self.over += u64::from(mean_kw > LIMIT_KW);
            self.peak_kw = self.peak_kw.max(mean_kw);
            (self.sum_kw, self.steps) = (0.0, 0);
        }
    }
}
