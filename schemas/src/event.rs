//! The streams: what meters, substations, weather stations and markets say, with units.
//!
//! A stream is declared in two parts: its columns (a [`relation!`](crate::relation) in one of the
//! files below) and its [`StreamDef`]: which column is the event's own time, what tells two rows
//! apart, and whether a row adds to what was said (*append*) or replaces it (*upsert*). The set of
//! built-in streams is [`streams`].
//!
//! Sign convention for power at a connection point: **import from the grid is positive**; for an
//! asset's own telemetry and setpoints: **injection into the grid (discharge, generation) is
//! positive**.

pub mod command;
pub mod foresight;
pub mod meter;
pub mod price;
pub mod scada;
pub mod switching;
pub mod weather;

use std::sync::Arc;

use arrow_schema::ArrowError;
use arrow_schema::SchemaRef;

pub use self::command::Approval;
pub use self::command::Command;
pub use self::command::Setpoint;
pub use self::foresight::LoadAnnotation;
pub use self::foresight::ModelOrder;
pub use self::meter::MeterReading;
pub use self::price::Price;
pub use self::scada::AssetTelemetry;
pub use self::scada::PmuPhasor;
pub use self::scada::ScadaMeasurement;
pub use self::switching::ProtectionSignal;
pub use self::switching::SwitchPosition;
pub use self::weather::WeatherForecast;
pub use self::weather::WeatherObservation;

use crate::relation::Relation;

/// What a later row with the same key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// One more row.
    Append,
    /// The key's new value: the old row is retracted.
    Upsert,
}

/// A stream as the engine sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDef {
    /// The SQL name.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// The column that holds the event's own time.
    pub event_time: String,
    /// The columns that tell rows apart; empty where every row is its own.
    pub key: Vec<String>,
    /// What a later row with the same key means.
    pub envelope: Envelope,
}

impl StreamDef {
    /// The definition of a built-in stream of appended rows.
    pub fn append<R: Relation>(event_time: &str) -> StreamDef {
        StreamDef {
            name: R::NAME.to_owned(),
            schema: R::schema(),
            event_time: event_time.to_owned(),
            key: Vec::new(),
            envelope: Envelope::Append,
        }
    }

    /// The columns of its key, in the key's order.
    ///
    /// # Errors
    /// The key names a column that the stream does not have.
    pub fn key_schema(&self) -> Result<SchemaRef, ArrowError> {
        let columns: Result<Vec<usize>, _> =
            self.key.iter().map(|column| self.schema.index_of(column)).collect();
        Ok(Arc::new(self.schema.project(&columns?)?))
    }
}

/// The built-in streams, in name order.
pub fn streams() -> Vec<StreamDef> {
    let mut streams = vec![
        StreamDef::append::<MeterReading>("measured_at"),
        StreamDef::append::<ScadaMeasurement>("measured_at"),
        StreamDef::append::<AssetTelemetry>("measured_at"),
        StreamDef::append::<PmuPhasor>("measured_at"),
        StreamDef::append::<SwitchPosition>("changed_at"),
        StreamDef::append::<ProtectionSignal>("signalled_at"),
        StreamDef::append::<WeatherObservation>("observed_at"),
        StreamDef::append::<WeatherForecast>("issued_at"),
        StreamDef::append::<Price>("published_at"),
        StreamDef::append::<Approval>("answered_at"),
        StreamDef::append::<Command>("requested_at"),
        StreamDef::append::<LoadAnnotation>("announced_at"),
        StreamDef::append::<ModelOrder>("ordered_at"),
    ];
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    streams
}
