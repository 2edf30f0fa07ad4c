//! The decision path, wired: forecast → quarters → dispatch → guard → emit, with detect, estimate
//! and the forecasts of plants beside.
//!
//! One function builds it on top of the views. Nothing goes round: what devices did comes back as
//! telemetry, in the views. All agents are keyed by feeder, so a feeder's whole path runs on one
//! worker, at one tick.
//!
//! `actions` holds every step in the life of every action: what was proposed by `dispatch` and for
//! others, what `guard` cleared or refused, what `emit` sent and how it ended.

use std::collections::BTreeMap;

use schemas::event::Command;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::reference::Asset;
use schemas::reference::Branch;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::LoadHistory;
use schemas::reference::Meter;
use schemas::reference::Point;
use schemas::reference::Transformer;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
use schemas::state::NodeHour;
use schemas::state::NodeQuarter;
use schemas::state::PlantHour;
use schemas::state::PlantQuarter;
use schemas::state::PointValue;
use schemas::state::SensorListed;
use schemas::state::SharedMeterHour;
use schemas::state::StaleSensor;
use schemas::state::SwitchState;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use timely::dataflow::Scope;

use crate::detect::DetectLimits;
use crate::dispatch::DispatchDevices;
use crate::emit::EmitSetpoints;
use crate::error::HostError;
use crate::estimate::EstimateGrid;
use crate::estimate::EstimateOutputs;
use crate::face::Scene;
use crate::forecast::ForecastLoad;
use crate::forecast::ForecastOutputs;
use crate::forecast::plant::ForecastPlants;
use crate::forecast::short::ForecastQuarters;
use crate::guard::GuardActions;
use crate::host::HostInput;
use crate::host::Rows;
use crate::request::TakeRequests;
use crate::settings::Settings;

/// The views and streams that must be given, in name order.
pub const READS: [&str; 25] = [
    AssetState::NAME,
    Asset::NAME,
    Branch::NAME,
    BusVoltage::NAME,
    Bus::NAME,
    Command::NAME,
    FeederNow::NAME,
    Feeder::NAME,
    LoadAnnotation::NAME,
    LoadHistory::NAME,
    Meter::NAME,
    ModelOrder::NAME,
    NodeHour::NAME,
    NodeQuarter::NAME,
    PlantHour::NAME,
    PlantQuarter::NAME,
    PointValue::NAME,
    Point::NAME,
    SensorListed::NAME,
    SharedMeterHour::NAME,
    StaleSensor::NAME,
    SwitchState::NAME,
    Transformer::NAME,
    WeatherAhead::NAME,
    WeatherHour::NAME,
];

/// What the agents say, each as rows of its relation in [`schemas::decision`] and
/// [`schemas::event`]. Of these rows only come; none is taken back.
pub struct ControlOutputs<'s> {
    /// Rows of `forecasts`.
    pub forecasts: Rows<'s>,
    /// Rows of `short_forecasts`.
    pub short: Rows<'s>,
    /// Rows of `alarms`.
    pub alarms: Rows<'s>,
    /// Rows of `actions`, in every state.
    pub actions: Rows<'s>,
    /// Rows of `setpoints`: what may leave once its tick is durable.
    pub setpoints: Rows<'s>,
    /// Rows of `model_versions`.
    pub versions: Rows<'s>,
    /// The estimated state, whose rows come and go.
    pub estimates: EstimateOutputs<'s>,
}

/// Builds the agents over `views`.
///
/// # Errors
/// A view is missing, or lacks a column that an agent reads.
pub fn build<'s>(
    scope: Scope<'s, u64>,
    views: &BTreeMap<String, HostInput<'s>>,
    settings: &Settings,
    first_tick: Option<u64>,
) -> Result<ControlOutputs<'s>, HostError> {
    let scene = Scene::new(scope, views, settings, first_tick);
    let ForecastOutputs { forecasts, above, drift, versions } = scene.forecast()?;
    let plants = scene.forecast_plants()?;
    let quarters = scene.quarters(&forecasts, &above, &plants.forecasts)?;
    let proposed = scene.dispatch(&forecasts, &quarters.short)?.concat(scene.request()?);
    let (judged, refusals) = scene.guard(&proposed)?;
    let (followed, setpoints) = scene.emit(&judged)?;
    let limits = scene.detect()?;
    let (estimates, bad_data) = scene.estimate(&forecasts)?;
    Ok(ControlOutputs {
        forecasts: forecasts.concat(above).concat(plants.forecasts),
        short: quarters.short.concat(quarters.above).concat(quarters.plants),
        alarms: refusals.concat(limits).concat(bad_data).concat(drift).concat(plants.drift),
        actions: proposed.concat(judged).concat(followed),
        setpoints,
        versions: versions.concat(plants.versions),
        estimates,
    })
}
