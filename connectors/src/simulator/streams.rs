//! The streams that a village feeds, and what one of its steps says as rows of them.
//!
//! The order here is that of [`STREAMS`] wherever rows of a step stand side by side.

use arrow_array::RecordBatch;
use schemas::relation::Relation;

use crate::simulator::plant::PlantStep;

/// The streams, in name order.
pub const STREAMS: [&str; 8] = [
    "asset_telemetry",
    "commands",
    "meter_readings",
    "prices",
    "scada_measurements",
    "switch_positions",
    "weather_forecasts",
    "weather_observations",
];

impl PlantStep {
    /// What it says, one batch a stream.
    pub fn rows(&self) -> [RecordBatch; STREAMS.len()] {
        [
            Relation::to_batch(&self.asset_telemetry),
            Relation::to_batch(&self.commands),
            Relation::to_batch(&self.meter_readings),
            Relation::to_batch(&self.prices),
            Relation::to_batch(&self.scada_measurements),
            Relation::to_batch(&self.switch_positions),
            Relation::to_batch(&self.weather_forecasts),
            Relation::to_batch(&self.weather_observations),
        ]
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::streams;

    use super::*;

    #[test]
    fn the_rows_of_a_step_have_the_columns_of_its_streams() {
        let built_in = streams();
        for (stream, rows) in STREAMS.into_iter().zip(PlantStep::default().rows()) {
            let def = built_in.iter().find(|def| def.name == stream).expect("a built-in stream");
            assert_eq!(rows.schema(), def.schema, "{stream}");
        }
    }
}
