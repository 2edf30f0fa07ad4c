//! The plant's data: the bundled Parquet files, read and checked once.
//!
//! Files come as bytes, because the binary embeds them and the plant opens nothing. What is checked
//! here need not be asked again: hours without a gap and the same for all series, a home for each
//! load, one transformer, every bus a name.

use std::collections::BTreeMap;

use bytes::Bytes;
use grid::BusIndex;
use grid::Network;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use schemas::relation::Relation;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use crate::simulator::PlantError;
use crate::simulator::data::rows::BranchRow;
use crate::simulator::data::rows::BusRow;
use crate::simulator::data::rows::HomeRow;
use crate::simulator::data::rows::TariffRow;
use crate::simulator::data::rows::TransformerRow;
use crate::simulator::data::rows::WeatherRow;
use crate::simulator::homes::Hourly;
use crate::simulator::homes::MeasuredHome;

mod network;
pub mod rows;

/// The bundled files, each as the bytes of a Parquet file.
#[derive(Clone, Copy, Debug)]
pub struct PlantFiles {
    /// `buses.parquet`
    pub buses: &'static [u8],
    /// `branches.parquet`
    pub branches: &'static [u8],
    /// `transformers.parquet`
    pub transformers: &'static [u8],
    /// `homes_hourly.parquet`
    pub homes_hourly: &'static [u8],
    /// `weather_hourly.parquet`
    pub weather_hourly: &'static [u8],
    /// `tariff_hourly.parquet`
    pub tariff_hourly: &'static [u8],
}

/// The plant's data, checked.
#[derive(Clone, Debug)]
pub struct PlantData {
    buses: Vec<BusRow>,
    branches: Vec<BranchRow>,
    transformer: TransformerRow,
    network: Network,
    home_buses: Vec<BusIndex>,
    head_bus: BusIndex,
    measured: Vec<MeasuredHome>,
    weather: Weather,
    tariff: Hourly,
}

/// What the weather does, hour by hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    /// Air temperature in degrees Celsius.
    pub temperature_c: Hourly,
    /// Relative humidity in percent.
    pub humidity_percent: Hourly,
    /// Diffuse irradiance in W/m².
    pub diffuse_w_per_m2: Hourly,
    /// Direct irradiance in W/m².
    pub direct_w_per_m2: Hourly,
}

impl PlantData {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// A file is not Parquet, has other columns, or contradicts another.
    pub fn read(files: &PlantFiles) -> Result<PlantData, PlantError> {
        let buses: Vec<BusRow> = read(files.buses)?;
        let branches: Vec<BranchRow> = read(files.branches)?;
        let transformer = only_transformer(read(files.transformers)?)?;
        let bus_at: BTreeMap<&str, BusIndex> =
            buses.iter().enumerate().map(|(i, bus)| (bus.bus_id.as_str(), BusIndex(i))).collect();
        let head_bus = bus_of(&bus_at, "transformers", &transformer.lv_bus_id)?;
        let home_buses = home_buses(&buses)?;
        let mut network = network::network(&buses, &branches, &transformer, &bus_at)?;
        network.switches = network::switches(&network, head_bus, &home_buses);
        let measured = measured_homes(&read(files.homes_hourly)?)?;
        let weather = weather(&read(files.weather_hourly)?)?;
        let tariff_rows: Vec<TariffRow> = read(files.tariff_hourly)?;
        let tariff =
            hourly("tariff_hourly", tariff_rows.iter().map(|r| (r.hour_at, r.price_usd_per_mwh)))?;
        let data = PlantData {
            buses,
            branches,
            transformer,
            network,
            home_buses,
            head_bus,
            measured,
            weather,
            tariff,
        };
        data.check_hours()?;
        Ok(data)
    }

    /// The buses, as in the file.
    pub fn buses(&self) -> &[BusRow] {
        &self.buses
    }

    /// The cables, as in the file.
    pub fn branches(&self) -> &[BranchRow] {
        &self.branches
    }

    /// The transformer at the feeder's head.
    pub fn transformer(&self) -> &TransformerRow {
        &self.transformer
    }

    /// The network that they make; a bus has the same place here as in [`PlantData::buses`], and so
    /// has the one injection that is at it. The source comes after them.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The bus of each home, in order of load index.
    pub fn home_buses(&self) -> &[BusIndex] {
        &self.home_buses
    }

    /// The busbar at the transformer's low-voltage side.
    pub fn head_bus(&self) -> BusIndex {
        self.head_bus
    }

    /// The measured homes.
    pub fn measured(&self) -> &[MeasuredHome] {
        &self.measured
    }

    /// The weather.
    pub fn weather(&self) -> &Weather {
        &self.weather
    }

    /// The tariff in USD/MWh; each value holds for its hour.
    pub fn tariff(&self) -> &Hourly {
        &self.tariff
    }

    /// Start of the first hour.
    pub fn starts_at(&self) -> Timestamp {
        self.tariff.start_at
    }

    /// Start of the last hour: it is there to interpolate towards, not to be replayed.
    pub fn ends_at(&self) -> Timestamp {
        self.tariff.start_at.plus((self.tariff.means.len() as u64 - 1) * HOUR_MS)
    }

    /// The transformer's place among the network's branches: the last, after the cables.
    pub fn transformer_branch(&self) -> usize {
        self.branches.len()
    }

    fn check_hours(&self) -> Result<(), PlantError> {
        let weather = &self.weather.temperature_c;
        let hours = self.tariff.means.len();
        for series in self.measured.iter().map(|home| &home.load_kw) {
            if series.start_at != self.tariff.start_at || series.means.len() != hours {
                return Err(data_error("tariff_hourly", "its hours are not those of the homes"));
            }
        }
        // It may go on, so that the last hours have a forecast of what follows them.
        if weather.start_at != self.tariff.start_at || weather.means.len() < hours {
            return Err(data_error("weather_hourly", "its hours are not those of the homes"));
        }
        Ok(())
    }
}

fn data_error(table: &'static str, problem: impl Into<String>) -> PlantError {
    PlantError::Data { table, problem: problem.into() }
}

/// All rows of a Parquet file.
fn read<R: Relation>(bytes: &'static [u8]) -> Result<Vec<R>, PlantError> {
    let table = R::NAME;
    let unreadable = |source: ParquetError| PlantError::Unreadable { table, source };
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from_static(bytes))
        .map_err(unreadable)?
        .build()
        .map_err(unreadable)?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(ParquetError::from(error)))?;
        rows.extend(R::from_batch(&batch).map_err(|source| PlantError::Columns { table, source })?);
    }
    Ok(rows)
}

fn only_transformer(mut rows: Vec<TransformerRow>) -> Result<TransformerRow, PlantError> {
    match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => Ok(row),
        _ => Err(data_error("transformers", "there is not exactly one")),
    }
}

fn bus_of(
    bus_at: &BTreeMap<&str, BusIndex>,
    table: &'static str,
    bus_id: &str,
) -> Result<BusIndex, PlantError> {
    bus_at
        .get(bus_id)
        .copied()
        .ok_or_else(|| data_error(table, format!("it names {bus_id}, which is not in buses")))
}

/// The bus of each load; load indices must be 0, 1, 2, … without a gap.
fn home_buses(buses: &[BusRow]) -> Result<Vec<BusIndex>, PlantError> {
    let by_load: BTreeMap<i64, BusIndex> = buses
        .iter()
        .enumerate()
        .filter_map(|(i, bus)| bus.load_index.map(|load| (load, BusIndex(i))))
        .collect();
    let loads = buses.iter().filter(|bus| bus.load_index.is_some()).count();
    if loads == 0 || !by_load.keys().copied().eq(0..loads as i64) {
        return Err(data_error("buses", "load_index does not count 0, 1, 2, …"));
    }
    Ok(by_load.into_values().collect())
}

fn measured_homes(rows: &[HomeRow]) -> Result<Vec<MeasuredHome>, PlantError> {
    const TABLE: &str = "homes_hourly";
    let homes = rows.iter().map(|row| row.home).max().unwrap_or(0);
    if homes < 1 {
        return Err(data_error(TABLE, "it is empty"));
    }
    (1..=homes)
        .map(|home| {
            let of_home = || rows.iter().filter(|row| row.home == home);
            Ok(MeasuredHome {
                load_kw: hourly(TABLE, of_home().map(|row| (row.hour_at, row.load_kw)))?,
                pv_kw: hourly(TABLE, of_home().map(|row| (row.hour_at, row.pv_kw)))?,
            })
        })
        .collect()
}

fn weather(rows: &[WeatherRow]) -> Result<Weather, PlantError> {
    let series = |value: fn(&WeatherRow) -> f64| {
        hourly("weather_hourly", rows.iter().map(|row| (row.hour_at, value(row))))
    };
    Ok(Weather {
        temperature_c: series(|row| row.temperature_c)?,
        humidity_percent: series(|row| row.humidity_percent)?,
        diffuse_w_per_m2: series(|row| row.diffuse_w_m2)?,
        direct_w_per_m2: series(|row| row.direct_w_m2)?,
    })
}

/// The values as a series, refused where an hour is missing, comes twice, or is no number.
fn hourly(
    table: &'static str,
    values: impl Iterator<Item = (Timestamp, f64)>,
) -> Result<Hourly, PlantError> {
    let mut series = Hourly { start_at: Timestamp(0), means: Vec::new() };
    for (hour_at, mean) in values {
        if series.means.is_empty() {
            series.start_at = hour_at;
        }
        if hour_at != series.start_at.plus(series.means.len() as u64 * HOUR_MS) {
            return Err(data_error(table, format!("{hour_at} does not follow the hour before")));
        }
        if !mean.is_finite() {
            return Err(data_error(table, format!("the value of {hour_at} is no number")));
        }
        series.means.push(mean);
    }
    if series.means.is_empty() {
        return Err(data_error(table, "it is empty"));
    }
    Ok(series)
}
