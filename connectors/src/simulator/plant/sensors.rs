//! Sensors: the truth with noise, in the resolution of the instrument.
//!
//! Powers and energies are read in steps of 2^-10 kW or kWh (about a watt), voltages in steps of
//! 2^-14 per unit (about 0.014 V at 230 V). Powers of two make sums of readings exact.

use schemas::event::AssetTelemetry;
use schemas::event::MeterReading;
use schemas::event::ScadaMeasurement;
use schemas::time::Timestamp;

use crate::simulator::battery::Battery;
use crate::simulator::data::PlantData;
use crate::simulator::link::Readings;
use crate::simulator::network::VillageNetwork;
use crate::simulator::noise::Draws;
use crate::simulator::noise::Purpose;
use crate::simulator::noise::quantised;
use crate::simulator::plant::PlantConfig;
use crate::simulator::reference::HEAD_ACTIVE_POWER_ID;
use crate::simulator::reference::HEAD_REACTIVE_POWER_ID;
use crate::simulator::reference::HEAD_VOLTAGE_ID;
use crate::simulator::reference::battery_id;
use crate::simulator::reference::meter_id;
use crate::simulator::reference::pv_id;
use crate::simulator::reference::voltage_id;

/// Steps of power and energy in one kW or kWh.
const STEPS_PER_KW: f64 = 1024.0;
/// Steps of voltage in one per unit.
const STEPS_PER_PU: f64 = 16_384.0;
/// Standard deviation of a meter: a share of what it reads, plus this in kW.
const METER_NOISE_SHARE: f64 = 0.003;
const METER_NOISE_KW: f64 = 0.003;
/// Standard deviation of the power transducers at the head, in kW and kvar: 0.05 % of 400 kVA.
const HEAD_NOISE_KW: f64 = 0.2;
/// Standard deviation of voltage sensors, per unit.
const VOLTAGE_NOISE_PU: f64 = 0.000_5;
/// Standard deviation of a battery's own power reading, in kW.
const BATTERY_NOISE_KW: f64 = 0.005;
/// Standard deviation of an inverter's reading: a share of what it gives.
const PV_NOISE_SHARE: f64 = 0.005;

/// Subjects of the noise: a block of numbers for each kind of sensor.
const METERS: u64 = 1 << 32;
const VOLTAGES: u64 = 2 << 32;
const BATTERIES: u64 = 3 << 32;
const HEAD: u64 = 4 << 32;
const PV: u64 = 5 << 32;

/// All sensors of the plant.
#[derive(Clone, Debug)]
pub(super) struct Sensors {
    // Settings.
    seed: u64,
    noise: f64,
    step_hours: f64,
    meter_ids: Vec<String>,
    voltage_ids: Vec<String>,
    battery_ids: Vec<String>,
    pv_ids: Vec<String>,

    // State: the meters' registers in kWh.
    import_kwh: Vec<f64>,
    export_kwh: Vec<f64>,
}

impl Sensors {
    pub(super) fn new(data: &PlantData, config: &PlantConfig) -> Sensors {
        let homes = data.home_buses();
        let bus_id = |home: usize| &data.buses()[homes[home].0].bus_id;
        Sensors {
            seed: config.seed,
            noise: config.sensor_noise,
            step_hours: config.step_ms as f64 / 3_600_000.0,
            meter_ids: (1..=homes.len()).map(meter_id).collect(),
            voltage_ids: (0..homes.len()).map(|home| voltage_id(bus_id(home))).collect(),
            battery_ids: (1..=homes.len()).map(battery_id).collect(),
            pv_ids: (1..=homes.len()).map(pv_id).collect(),
            import_kwh: vec![0.0; homes.len()],
            export_kwh: vec![0.0; homes.len()],
        }
    }

    /// What the substation says.
    pub(super) fn head(
        &self,
        at: Timestamp,
        step: u64,
        network: &VillageNetwork,
        said: &mut Readings,
    ) {
        let flow = network.head();
        let values = [
            (HEAD_ACTIVE_POWER_ID, flow.active_kw, HEAD_NOISE_KW, STEPS_PER_KW),
            (HEAD_REACTIVE_POWER_ID, flow.reactive_kvar, HEAD_NOISE_KW, STEPS_PER_KW),
            (HEAD_VOLTAGE_ID, network.head_vm_pu(), VOLTAGE_NOISE_PU, STEPS_PER_PU),
        ];
        let mut draws = self.draws(HEAD, step);
        for (sensor_id, truth, deviation, resolution) in values {
            let value = truth + self.noise * deviation * draws.normal();
            said.scada.push(measurement(sensor_id, at, quantised(value, resolution)));
        }
    }

    /// What a home's meter says, and what its registers have come to.
    pub(super) fn meter(
        &mut self,
        home: usize,
        at: Timestamp,
        step: u64,
        net_kw: f64,
        said: &mut Readings,
    ) {
        let mut draws = self.draws(METERS + home as u64, step);
        let deviation_kw = METER_NOISE_KW + METER_NOISE_SHARE * net_kw.abs();
        let read_kw = quantised(net_kw + self.noise * deviation_kw * draws.normal(), STEPS_PER_KW);
        self.import_kwh[home] += read_kw.max(0.0) * self.step_hours;
        self.export_kwh[home] -= read_kw.min(0.0) * self.step_hours;
        said.meter.push(MeterReading {
            meter_id: self.meter_ids[home].clone(),
            measured_at: at,
            active_power_kw: read_kw,
            energy_import_kwh: Some(quantised(self.import_kwh[home], STEPS_PER_KW)),
            energy_export_kwh: Some(quantised(self.export_kwh[home], STEPS_PER_KW)),
            quality: "good".to_owned(),
            revision: 0,
        });
    }

    /// What the voltage sensor at a home says.
    pub(super) fn voltage(
        &self,
        home: usize,
        at: Timestamp,
        step: u64,
        vm_pu: f64,
        said: &mut Readings,
    ) {
        let mut draws = self.draws(VOLTAGES + home as u64, step);
        let read_pu = vm_pu + self.noise * VOLTAGE_NOISE_PU * draws.normal();
        let value = quantised(read_pu, STEPS_PER_PU);
        said.scada.push(measurement(&self.voltage_ids[home], at, value));
    }

    /// What a battery says of itself. It knows its energy well and its power to a few watts; at
    /// rest it says zero.
    pub(super) fn battery(
        &self,
        home: usize,
        at: Timestamp,
        step: u64,
        battery: &Battery,
        said: &mut Readings,
    ) {
        let mut draws = self.draws(BATTERIES + home as u64, step);
        let power_kw = battery.power_kw();
        let resting = power_kw == 0.0;
        let off_kw = if resting { 0.0 } else { self.noise * BATTERY_NOISE_KW * draws.normal() };
        said.asset.push(AssetTelemetry {
            asset_id: self.battery_ids[home].clone(),
            measured_at: at,
            active_power_kw: quantised(power_kw + off_kw, STEPS_PER_KW),
            state_of_charge_kwh: Some(quantised(battery.energy_kwh(), STEPS_PER_KW)),
        });
    }

    /// What a home's PV inverter says; at night it says zero.
    pub(super) fn pv(
        &self,
        home: usize,
        at: Timestamp,
        step: u64,
        pv_kw: f64,
        said: &mut Readings,
    ) {
        let mut draws = self.draws(PV + home as u64, step);
        let off_kw = self.noise * PV_NOISE_SHARE * pv_kw * draws.normal();
        said.asset.push(AssetTelemetry {
            asset_id: self.pv_ids[home].clone(),
            measured_at: at,
            active_power_kw: quantised((pv_kw + off_kw).max(0.0), STEPS_PER_KW),
            state_of_charge_kwh: None,
        });
    }

    fn draws(&self, subject: u64, step: u64) -> Draws {
        Draws::new(self.seed, Purpose::Sensor, subject, step)
    }
}

fn measurement(sensor_id: &str, at: Timestamp, value: f64) -> ScadaMeasurement {
    let sensor_id = sensor_id.to_owned();
    ScadaMeasurement { sensor_id, measured_at: at, value, quality_bits: 0 }
}
