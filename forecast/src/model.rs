//! What every forecaster of a series is asked, and what it answers.

use serde::Deserialize;
use serde::Serialize;

/// The quantiles that are given.
pub const LEVELS: [f64; 11] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];

/// Where P10 is in [`LEVELS`].
pub const P10: usize = 1;
/// Where P50 is in [`LEVELS`].
pub const P50: usize = 5;
/// Where P90 is in [`LEVELS`].
pub const P90: usize = 9;

/// The forecast of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The target's index: milliseconds since the epoch on the series' clock, over its step.
    pub index: i64,
    /// The forecast, in the series' unit: the combination of all models.
    pub value: f64,
    /// By [`LEVELS`], not decreasing.
    pub quantiles: [f64; 11],
}

/// All that is said at one origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// The index of the newest reading.
    pub origin: i64,
    /// One a step, the next step first.
    pub points: Vec<Point>,
    /// What each model says alone, by name, one value a point: NaN where it cannot.
    pub models: Vec<(String, Vec<f64>)>,
}

/// What a weather quantity is to the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Air temperature in °C; several are stations to choose from.
    Temperature,
    /// Global horizontal irradiance in W/m², or anything proportional to it.
    Radiation,
    /// Wind speed in m/s.
    WindSpeed,
    /// Eastward wind in m/s.
    WindEast,
    /// Northward wind in m/s.
    WindNorth,
    /// Cloud cover in percent.
    Cloud,
    /// Anything else that is known ahead; its effect is taken as linear.
    Other,
}

/// A weather quantity at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    /// Its name, as the user's column.
    pub name: String,
    /// What it is.
    pub role: Role,
}

/// What is forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Demand: positive, by the rhythm of people and the weather.
    Load,
    /// Demand less what is generated behind the meter: it may cross zero.
    NetLoad,
    /// A wind plant.
    Wind,
    /// A photovoltaic plant.
    Pv,
}

/// A series before it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// What it is.
    pub kind: Kind,
    /// Milliseconds of a step; a day is a whole number of them.
    pub step_ms: i64,
    /// Steps that are forecast; at most a day.
    pub horizon: usize,
    /// Weather, by column.
    pub quantities: Vec<Quantity>,
    /// Days since the epoch, on the clock that days go by, that are holidays.
    pub holidays: std::collections::BTreeSet<i64>,
    /// Steps by which the clock that days go by is ahead of the one by which steps are counted.
    #[serde(default)]
    pub clock_ahead: i64,
    /// Rated power in the series' unit, where it has one (wind, PV).
    pub capacity: Option<f64>,
    /// Latitude and longitude in degrees, north and east positive (PV).
    pub place: Option<(f64, f64)>,
}

/// One weather value as it was said at some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Index of the last step that had ended when it was said (`index` itself or later: measured).
    pub issued: i64,
    /// Which of the setup's quantities.
    pub quantity: usize,
    /// The step it speaks of.
    pub index: i64,
    /// The value.
    pub value: f32,
}

/// A forecaster of one series. It is told things in the order in which they become known, and
/// knows nothing else: what it answers at an origin cannot rest on what came later.
pub trait Model {
    /// Weather, measured or forecast, becomes known. A later word about the same step replaces an
    /// earlier one.
    fn know(&mut self, said: &[Said]);

    /// The reading of the next step becomes known; NaN: it is missing.
    fn observe(&mut self, value: f64);

    /// The forecast from the newest reading on.
    fn outlook(&mut self) -> Outlook;
}
