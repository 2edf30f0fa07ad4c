//! Sensors: the truth with noise, in the resolution of the instrument.
//!
//! Powers and energies are read in steps of 2^-10 kW or kWh (about a watt), voltages in steps of
//! 2^-14 per unit (about 0.014 V at 230 V), currents in steps of 2^-5 A. Powers of two make sums of
//! readings exact. What [gross errors](crate::simulator::gross) make of a reading comes last.

use schemas::event::AssetTelemetry;
use schemas::event::MeterReading;
use schemas::event::ScadaMeasurement;
use schemas::time::Timestamp;

use crate::simulator::battery::Battery;
use crate::simulator::data::PlantData;
use crate::simulator::gross::BadReading;
use crate::simulator::gross::GrossErrors;
use crate::simulator::gross::Range;
use crate::simulator::link::Readings;
use crate::simulator::network::VillageNetwork;
use crate::simulator::noise::Draws;
use crate::simulator::noise::Purpose;
use crate::simulator::noise::quantised;
use crate::simulator::plant::PlantConfig;
use crate::simulator::reference::HEAD_ACTIVE_POWER_ID;
use crate::simulator::reference::HEAD_CURRENT_ID;
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
/// Steps of current in one A.
const STEPS_PER_A: f64 = 32.0;
/// Standard deviation of a meter: a share of what it reads, plus this in kW.
const METER_NOISE_SHARE: f64 = 0.003;
const METER_NOISE_KW: f64 = 0.003;
/// The deviation by which a meter is weighed, whatever it reads: that of 6 kW, rounded.
pub(in crate::simulator) const METER_SIGMA_KW: f64 = 0.02;
/// Standard deviation of the power transducers at the head, in kW and kvar: 0.05 % of 400 kVA.
pub(in crate::simulator) const HEAD_NOISE_KW: f64 = 0.2;
/// Standard deviation of the current transducer at the head, in A: 0.1 % of 577 A, rounded.
pub(in crate::simulator) const HEAD_NOISE_A: f64 = 0.6;
/// Standard deviation of voltage sensors, per unit.
pub(in crate::simulator) const VOLTAGE_NOISE_PU: f64 = 0.000_5;
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
const HEAD_CURRENT: u64 = 6 << 32;

/// How the instruments err when they err grossly: far beyond their noise, within what they can
/// show.
const METER_RANGE: Range =
    Range { sigma: METER_SIGMA_KW, spike: 6.0, scale: (1.5, 3.0), signed: true };
const VOLTAGE_RANGE: Range =
    Range { sigma: VOLTAGE_NOISE_PU, spike: 0.03, scale: (1.02, 1.1), signed: false };
const HEAD_KVAR_RANGE: Range =
    Range { sigma: HEAD_NOISE_KW, spike: 15.0, scale: (1.5, 3.0), signed: true };
const HEAD_A_RANGE: Range =
    Range { sigma: HEAD_NOISE_A, spike: 60.0, scale: (1.5, 3.0), signed: false };

/// A step, and when what it measures begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instant {
    pub(super) at: Timestamp,
    pub(super) step: u64,
}

/// All sensors of the plant.
#[derive(Clone, Debug)]
pub(super) struct Sensors {
    // Settings.
    seed: u64,
    noise: f64,
    step_hours: f64,
    head_kv: f64,
    meter_ids: Vec<String>,
    voltage_ids: Vec<String>,
    battery_ids: Vec<String>,
    pv_ids: Vec<String>,

    // State: who errs, and the meters' registers in kWh.
    gross: GrossErrors,
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
            head_kv: data.buses()[data.head_bus().0].nominal_kv,
            gross: GrossErrors::new(config.seed, config.bad_data_share),
            meter_ids: (1..=homes.len()).map(meter_id).collect(),
            voltage_ids: (0..homes.len()).map(|home| voltage_id(bus_id(home))).collect(),
            battery_ids: (1..=homes.len()).map(battery_id).collect(),
            pv_ids: (1..=homes.len()).map(pv_id).collect(),
            import_kwh: vec![0.0; homes.len()],
            export_kwh: vec![0.0; homes.len()],
        }
    }

    /// What the substation says of power and voltage.
    pub(super) fn head(
        &mut self,
        now: Instant,
        network: &VillageNetwork,
        said: &mut Readings,
        wrong: &mut Vec<BadReading>,
    ) {
        let flow = network.head();
        let values = [
            (HEAD_ACTIVE_POWER_ID, flow.active_kw, HEAD_NOISE_KW, STEPS_PER_KW, None),
            (
                HEAD_REACTIVE_POWER_ID,
                flow.reactive_kvar,
                HEAD_NOISE_KW,
                STEPS_PER_KW,
                Some(HEAD_KVAR_RANGE),
            ),
            (
                HEAD_VOLTAGE_ID,
                network.head_vm_pu(),
                VOLTAGE_NOISE_PU,
                STEPS_PER_PU,
                Some(VOLTAGE_RANGE),
            ),
        ];
        let mut draws = self.draws(HEAD, now.step);
        for (n, (sensor_id, truth, deviation, resolution, range)) in values.into_iter().enumerate()
        {
            let honest = quantised(truth + self.noise * deviation * draws.normal(), resolution);
            let value = match range {
                None => honest,
                Some(range) => {
                    let point = (sensor_id, HEAD + n as u64);
                    let value = self.gross.said(point, now.step, honest, range, wrong);
                    quantised(value, resolution)
                }
            };
            said.scada.push(measurement(sensor_id, now.at, value));
        }
    }

    /// What the substation says of the current. It comes behind everything else, so that what
    /// becomes of other readings on their way does not depend on it.
    pub(super) fn head_current(
        &mut self,
        now: Instant,
        network: &VillageNetwork,
        said: &mut Readings,
        wrong: &mut Vec<BadReading>,
    ) {
        let (flow, vm_pu) = (network.head(), network.head_vm_pu());
        let kva_squared = flow.active_kw * flow.active_kw + flow.reactive_kvar * flow.reactive_kvar;
        let kv = self.head_kv * vm_pu;
        // A dead busbar carries no current.
        let truth = if kv > 0.0 { kva_squared.sqrt() / (3.0_f64.sqrt() * kv) } else { 0.0 };
        let mut draws = self.draws(HEAD_CURRENT, now.step);
        let read = (truth + self.noise * HEAD_NOISE_A * draws.normal()).max(0.0);
        let honest = quantised(read, STEPS_PER_A);
        let point = (HEAD_CURRENT_ID, HEAD_CURRENT);
        let value = self.gross.said(point, now.step, honest, HEAD_A_RANGE, wrong);
        let value = quantised(value.max(0.0), STEPS_PER_A);
        said.scada.push(measurement(HEAD_CURRENT_ID, now.at, value));
    }

    /// What a home's meter says, and what its registers have come to.
    pub(super) fn meter(
        &mut self,
        home: usize,
        now: Instant,
        net_kw: f64,
        said: &mut Readings,
        wrong: &mut Vec<BadReading>,
    ) {
        let subject = METERS + home as u64;
        let mut draws = self.draws(subject, now.step);
        let deviation_kw = METER_NOISE_KW + METER_NOISE_SHARE * net_kw.abs();
        let read_kw = quantised(net_kw + self.noise * deviation_kw * draws.normal(), STEPS_PER_KW);
        self.import_kwh[home] += read_kw.max(0.0) * self.step_hours;
        self.export_kwh[home] -= read_kw.min(0.0) * self.step_hours;
        let point = (self.meter_ids[home].as_str(), subject);
        let said_kw = self.gross.said(point, now.step, read_kw, METER_RANGE, wrong);
        said.meter.push(MeterReading {
            meter_id: self.meter_ids[home].clone(),
            measured_at: now.at,
            active_power_kw: quantised(said_kw, STEPS_PER_KW),
            energy_import_kwh: Some(quantised(self.import_kwh[home], STEPS_PER_KW)),
            energy_export_kwh: Some(quantised(self.export_kwh[home], STEPS_PER_KW)),
            quality: "good".to_owned(),
            revision: 0,
        });
    }

    /// What the voltage sensor at a home says.
    pub(super) fn voltage(
        &mut self,
        home: usize,
        now: Instant,
        vm_pu: f64,
        said: &mut Readings,
        wrong: &mut Vec<BadReading>,
    ) {
        let subject = VOLTAGES + home as u64;
        let mut draws = self.draws(subject, now.step);
        let read_pu = vm_pu + self.noise * VOLTAGE_NOISE_PU * draws.normal();
        let honest = quantised(read_pu, STEPS_PER_PU);
        let point = (self.voltage_ids[home].as_str(), subject);
        let value = self.gross.said(point, now.step, honest, VOLTAGE_RANGE, wrong);
        let value = quantised(value, STEPS_PER_PU);
        said.scada.push(measurement(&self.voltage_ids[home], now.at, value));
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
