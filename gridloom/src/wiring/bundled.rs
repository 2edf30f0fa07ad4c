//! The data inside the binary: a village network and a month of five homes, so that the demo
//! needs no download.
//!
//! `gridloom/data/SOURCE.md` says where each file comes from and what of it is reconstructed.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use connectors::registry::Surroundings;
use connectors::simulator::Plant;
use connectors::simulator::PlantData;
use connectors::simulator::PlantError;
use connectors::simulator::PlantFiles;
use connectors::simulator::ReferenceTables;
use schemas::relation::Relation;
use schemas::time::Clock;

/// The bundled files, read.
///
/// # Errors
/// A file is damaged: the binary is.
pub fn plant_data() -> Result<Arc<PlantData>, PlantError> {
    let files = PlantFiles {
        buses: include_bytes!("../../data/buses.parquet"),
        branches: include_bytes!("../../data/branches.parquet"),
        transformers: include_bytes!("../../data/transformers.parquet"),
        homes_hourly: include_bytes!("../../data/homes_hourly.parquet"),
        weather_hourly: include_bytes!("../../data/weather_hourly.parquet"),
        tariff_hourly: include_bytes!("../../data/tariff_hourly.parquet"),
    };
    PlantData::read(&files).map(Arc::new)
}

/// What doors find around them: the folder that relative paths start at, the clock on the wall, and
/// a village for who wants to simulate one.
pub fn surroundings(base: &Path, instance: &str) -> Surroundings {
    let (base, instance) = (base.to_owned(), instance.to_owned());
    Surroundings { base, clock: Clock::Wall, plant_data: Some(plant_data), instance }
}

/// The reference tables of a plant, by name.
pub fn tables(plant: &Plant) -> Vec<(String, RecordBatch)> {
    fn one<R: Relation>(rows: &[R]) -> (String, RecordBatch) {
        (R::NAME.to_owned(), R::to_batch(rows))
    }
    let tables = ReferenceTables::of(plant);
    vec![
        one(&tables.assets),
        one(&tables.branches),
        one(&tables.buses),
        one(&tables.contracts),
        one(&tables.feeders),
        one(&tables.load_history),
        one(&tables.meters),
        one(&tables.plant_history),
        one(&tables.points),
        one(&tables.sensors),
        one(&tables.switches),
        one(&tables.transformers),
        one(&tables.weather_history),
        one(&tables.zones),
    ]
}
