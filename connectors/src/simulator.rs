//! The plant: a village of homes with PV and batteries behind one transformer, simulated.
//!
//! It stands in for what a real instance has around it: meters, substation SCADA, batteries that
//! obey setpoints (mostly), weather, a tariff, somebody opening a switch, a foreign agent asking
//! for too much. Each step is a power flow over the net power of all homes, so the voltages and the
//! power at the feeder's head answer to what the batteries do.
//!
//! # What is real and what is made
//!
//! The hourly load and PV of homes 1 to 5, the weather, the tariff and the network come from
//! published data (see `gridloom/data/SOURCE.md`). **Synthetic**: homes 6 to 57, which are seeded
//! copies of the five; everything below the hour (interpolated means plus [`noise`]); reactive
//! power; batteries; sensor noise and gross errors; delay and loss; switch events and foreign
//! commands.
//!
//! # Determinism
//!
//! The plant is pure: no clock, no file, no thread, no shared random numbers. Every random number
//! is a function of the seed, what it is for, whom it is for, and the step, so two plants with the
//! same seed see the same weather of chance whatever they are told to do. That is what makes a day
//! with control and the same day without it comparable. No value goes through the platform's `ln`
//! or `sin`, so readings are the same bits on every machine.
//!
//! # Time
//!
//! A step is named by its end, as ticks are: the step `at` covers `[at - step, at)`, and its
//! readings carry `measured_at = at - step`, the start of what they describe.
//!
//! Read in this order: [`plant`], then [`homes`], [`battery`], [`network`]; [`noise`], [`gross`],
//! [`link`] and [`script`] are what disturbs it, [`data`] and [`mod@reference`] what it is made of.
//! [`source`] is the village as one more source, with nobody at the controls.
//!
//! What it does not do: unbalanced phases, protection, ageing of batteries, tap changing.

pub mod battery;
pub mod config;
pub mod data;
pub mod gross;
pub mod homes;
pub mod link;
pub mod network;
pub mod noise;
pub mod plant;
pub mod reference;
pub mod script;
pub mod source;
pub mod streams;

#[cfg(test)]
pub(crate) mod tests;

pub use self::config::SimulatorConfig;
pub use self::data::PlantData;
pub use self::data::PlantFiles;
pub use self::gross::BadReading;
pub use self::plant::Plant;
pub use self::plant::PlantConfig;
pub use self::plant::PlantStep;
pub use self::plant::StartSoc;
pub use self::plant::Truth;
pub use self::reference::ReferenceTables;
pub use self::source::SimulatorSource;
pub use self::streams::STREAMS;

/// Why a plant cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlantError {
    /// A data file is not Parquet, or is cut short.
    #[error("{table} cannot be read")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// What the reader said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A data file holds other columns than it should.
    #[error("{table} does not hold what it should")]
    Columns {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        #[source]
        source: schemas::relation::ColumnError,
    },
    /// The data contradicts itself or leaves a gap.
    #[error("{table}: {problem}")]
    Data {
        /// The table.
        table: &'static str,
        /// What is wrong, in words.
        problem: String,
    },
    /// The network has faults that no power flow can live with.
    #[error("the network cannot be simulated: {}", listed(.0))]
    Network(Vec<grid::network::Fault>),
    /// A setting lies outside of what makes sense.
    #[error("{setting} = {value} is not {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// Its value.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
}

fn listed(faults: &[grid::network::Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
