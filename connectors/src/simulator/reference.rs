//! The reference tables that describe the plant: what an instance must know before the first tick.
//!
//! Identifiers are made here and nowhere else, so that readings and tables agree.

use schemas::reference::Asset;
use schemas::reference::Branch;
use schemas::reference::Bus;
use schemas::reference::Contract;
use schemas::reference::Feeder;
use schemas::reference::LoadHistory;
use schemas::reference::Meter;
use schemas::reference::PlantHistory;
use schemas::reference::Point;
use schemas::reference::Sensor;
use schemas::reference::Switch;
use schemas::reference::Transformer;
use schemas::reference::WeatherHistory;
use schemas::reference::Zone;
use schemas::time::HOUR_MS;

use crate::simulator::battery::EFFICIENCY;
use crate::simulator::battery::ENERGY_KWH_MAX;
use crate::simulator::battery::POWER_KW_MAX;
use crate::simulator::plant::Plant;
use crate::simulator::plant::sensors::HEAD_NOISE_A;
use crate::simulator::plant::sensors::HEAD_NOISE_KW;
use crate::simulator::plant::sensors::METER_SIGMA_KW;
use crate::simulator::plant::sensors::VOLTAGE_NOISE_PU;

/// The price zone of the plant.
pub const ZONE_ID: &str = "zone-1";
/// The product its homes buy.
pub const PRODUCT: &str = "tariff";
/// Its weather station.
pub const STATION_ID: &str = "station-1";
/// The sensor of active power at the feeder's head, in kW, import positive.
pub const HEAD_ACTIVE_POWER_ID: &str = "head-active-power";
/// The sensor of reactive power at the feeder's head, in kvar, import positive.
pub const HEAD_REACTIVE_POWER_ID: &str = "head-reactive-power";
/// The sensor of voltage at the head's busbar, per unit.
pub const HEAD_VOLTAGE_ID: &str = "head-voltage";

/// The sensor of current at the feeder's head, in A.
pub const HEAD_CURRENT_ID: &str = "head-current";

/// The most the feeder may draw, in kW: 2 kW a home for 57 homes, well below the transformer's
/// rating, so that a summer evening without control exceeds it.
pub const FEEDER_LIMIT_KW: f64 = 114.0;

/// What a value loses a second while it is not renewed. A home's load moves by some 0.05 kW a step
/// of 5 s, but its battery may be told to turn by kilowatts, all batteries at once: an old value is
/// hardly worth more than a forecast. Reactive power follows the loads alone; voltages follow all.
const METER_DRIFT_KW_PER_S: f64 = 0.5;
const HEAD_DRIFT_KW_PER_S: f64 = 2.0;
const HEAD_DRIFT_KVAR_PER_S: f64 = 0.2;
const HEAD_DRIFT_A_PER_S: f64 = 3.0;
const VOLTAGE_DRIFT_PU_PER_S: f64 = 0.000_2;

/// How long a sensor may be silent: six steps of 5 s, more than chance loses in a row.
pub const STALE_AFTER_MS: i64 = 30_000;

/// The meter of a home (from 1).
pub fn meter_id(home: usize) -> String {
    format!("meter-{home:02}")
}

/// The battery of a home (from 1).
pub fn battery_id(home: usize) -> String {
    format!("battery-{home:02}")
}

/// The PV inverter of a home (from 1).
pub fn pv_id(home: usize) -> String {
    format!("pv-{home:02}")
}

/// The voltage sensor at a bus.
pub fn voltage_id(bus_id: &str) -> String {
    format!("voltage-{bus_id}")
}

/// The reference tables of one plant, rows in order of their first column.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceTables {
    /// `buses`
    pub buses: Vec<Bus>,
    /// `branches`
    pub branches: Vec<Branch>,
    /// `transformers`
    pub transformers: Vec<Transformer>,
    /// `switches`
    pub switches: Vec<Switch>,
    /// `feeders`
    pub feeders: Vec<Feeder>,
    /// `meters`
    pub meters: Vec<Meter>,
    /// `sensors`
    pub sensors: Vec<Sensor>,
    /// `points`: what of the network the sensors and meters measure.
    pub points: Vec<Point>,
    /// `assets`: the batteries, which take setpoints, and the PV inverters, which take none.
    pub assets: Vec<Asset>,
    /// `zones`
    pub zones: Vec<Zone>,
    /// `contracts`
    pub contracts: Vec<Contract>,
    /// `load_history`: every whole hour of the data before the plant starts.
    pub load_history: Vec<LoadHistory>,
    /// `plant_history`: what the PV inverters gave in the same hours.
    pub plant_history: Vec<PlantHistory>,
    /// `weather_history`: the weather of the same hours.
    pub weather_history: Vec<WeatherHistory>,
}

impl ReferenceTables {
    /// The tables that describe this plant.
    pub fn of(plant: &Plant) -> ReferenceTables {
        let mut tables = ReferenceTables {
            buses: Vec::new(),
            branches: Vec::new(),
            transformers: Vec::new(),
            switches: switches(plant),
            feeders: Vec::new(),
            meters: Vec::new(),
            sensors: Vec::new(),
            points: Vec::new(),
            assets: Vec::new(),
            zones: vec![Zone {
                zone_id: ZONE_ID.to_owned(),
                name: "Fontana, California".to_owned(),
                currency: "USD".to_owned(),
            }],
            contracts: Vec::new(),
            load_history: Vec::new(),
            plant_history: Vec::new(),
            weather_history: weather_history(plant),
        };
        tables.add_network(plant);
        tables.add_head_sensors(plant);
        for home in 1..=plant.homes().len() {
            tables.add_home(plant, home);
        }
        tables.assets.sort_by(|a, b| a.asset_id.cmp(&b.asset_id));
        tables.sensors.sort_by(|a, b| a.sensor_id.cmp(&b.sensor_id));
        tables.points.sort_by(|a, b| a.point_id.cmp(&b.point_id));
        tables.switches.sort_by(|a, b| a.switch_id.cmp(&b.switch_id));
        tables
    }

    fn add_network(&mut self, plant: &Plant) {
        let data = plant.data();
        self.buses.extend(data.buses().iter().map(|bus| Bus {
            bus_id: bus.bus_id.clone(),
            feeder_id: bus.feeder_id.clone(),
            nominal_kv: bus.nominal_kv,
            voltage_pu_min: bus.voltage_pu_min,
            voltage_pu_max: bus.voltage_pu_max,
        }));
        self.branches.extend(data.branches().iter().map(|branch| Branch {
            branch_id: branch.branch_id.clone(),
            from_bus_id: branch.from_bus_id.clone(),
            to_bus_id: branch.to_bus_id.clone(),
            feeder_id: branch.feeder_id.clone(),
            length_km: branch.length_km,
            r_ohm_per_km: branch.r_ohm_per_km,
            x_ohm_per_km: branch.x_ohm_per_km,
            c_nf_per_km: branch.c_nf_per_km,
            rated_a: branch.rated_a,
        }));
        let transformer = data.transformer();
        self.transformers.push(Transformer {
            transformer_id: transformer.transformer_id.clone(),
            hv_bus_id: transformer.hv_bus_id.clone(),
            lv_bus_id: transformer.lv_bus_id.clone(),
            feeder_id: transformer.feeder_id.clone(),
            rated_kva: transformer.rated_kva,
            hv_kv: Some(transformer.hv_kv),
            lv_kv: Some(transformer.lv_kv),
            vk_percent: Some(transformer.vk_percent),
            vkr_percent: Some(transformer.vkr_percent),
            pfe_kw: Some(transformer.pfe_kw),
            i0_percent: Some(transformer.i0_percent),
            shift_deg: Some(transformer.shift_deg),
        });
        self.feeders.push(Feeder {
            feeder_id: transformer.feeder_id.clone(),
            zone_id: ZONE_ID.to_owned(),
            head_branch_id: transformer.transformer_id.clone(),
            limit_kw: FEEDER_LIMIT_KW,
        });
    }

    fn add_head_sensors(&mut self, plant: &Plant) {
        let head = &plant.data().buses()[plant.data().head_bus().0];
        let quantities = [
            (HEAD_ACTIVE_POWER_ID, "head_active_power_kw"),
            (HEAD_REACTIVE_POWER_ID, "head_reactive_power_kvar"),
            (HEAD_VOLTAGE_ID, "voltage_pu"),
            (HEAD_CURRENT_ID, "head_current_a"),
        ];
        self.sensors.extend(quantities.map(|(sensor_id, quantity)| Sensor {
            sensor_id: sensor_id.to_owned(),
            bus_id: head.bus_id.clone(),
            feeder_id: head.feeder_id.clone(),
            quantity: quantity.to_owned(),
            stale_after_ms: STALE_AFTER_MS,
        }));
        let transformer = &plant.data().transformer().transformer_id;
        // They look at the low-voltage terminals from the feeder: what flows into it is positive
        // there, and negative as a flow into the winding.
        let at_head = [
            (HEAD_ACTIVE_POWER_ID, "active_power_kw", -1.0, HEAD_NOISE_KW, HEAD_DRIFT_KW_PER_S),
            (
                HEAD_REACTIVE_POWER_ID,
                "reactive_power_kvar",
                -1.0,
                HEAD_NOISE_KW,
                HEAD_DRIFT_KVAR_PER_S,
            ),
            (HEAD_CURRENT_ID, "current_a", 1.0, HEAD_NOISE_A, HEAD_DRIFT_A_PER_S),
        ];
        for (point_id, quantity, scale, sigma, drift_per_s) in at_head {
            let of = ("branch", transformer.as_str(), Some("to"));
            let weighed = (scale, sigma, drift_per_s);
            self.points.push(point(point_id, &head.feeder_id, of, quantity, weighed));
        }
        let of = ("bus", head.bus_id.as_str(), None);
        let weighed = (1.0, VOLTAGE_NOISE_PU, VOLTAGE_DRIFT_PU_PER_S);
        self.points.push(point(HEAD_VOLTAGE_ID, &head.feeder_id, of, "voltage_pu", weighed));
    }

    /// Adds what stands at a home (from 1): meter, voltage sensor, battery, PV, contract, history.
    fn add_home(&mut self, plant: &Plant, home: usize) {
        let data = plant.data();
        let bus = &data.buses()[data.home_buses()[home - 1].0];
        let (bus_id, feeder_id) = (&bus.bus_id, &bus.feeder_id);
        self.meters.push(Meter {
            meter_id: meter_id(home),
            bus_id: bus_id.clone(),
            feeder_id: feeder_id.clone(),
            origin: plant.homes()[home - 1].origin().to_owned(),
        });
        self.sensors.push(Sensor {
            sensor_id: voltage_id(bus_id),
            bus_id: bus_id.clone(),
            feeder_id: feeder_id.clone(),
            quantity: "voltage_pu".to_owned(),
            stale_after_ms: STALE_AFTER_MS,
        });
        let meter = meter_id(home);
        let of = ("meter", meter.as_str(), None);
        let weighed = (-1.0, METER_SIGMA_KW, METER_DRIFT_KW_PER_S);
        // A mean over a step in which the plant stands still is as good as an instant of it.
        self.points.push(point(&meter, feeder_id, of, "active_power_kw", weighed));
        let of = ("bus", bus_id.as_str(), None);
        let weighed = (1.0, VOLTAGE_NOISE_PU, VOLTAGE_DRIFT_PU_PER_S);
        self.points.push(point(&voltage_id(bus_id), feeder_id, of, "voltage_pu", weighed));
        if plant.battery(home).is_some() {
            self.assets.push(Asset {
                asset_id: battery_id(home),
                kind: "battery".to_owned(),
                bus_id: bus_id.clone(),
                feeder_id: feeder_id.clone(),
                power_kw_min: -POWER_KW_MAX,
                power_kw_max: POWER_KW_MAX,
                ramp_kw_max: POWER_KW_MAX,
                energy_kwh_max: ENERGY_KWH_MAX,
                efficiency: EFFICIENCY,
            });
        }
        // It follows the sun alone: a ramp of 0 says that it takes no setpoint.
        let source = plant.homes()[home - 1].source;
        let pv_kw = &data.measured()[source].pv_kw;
        self.assets.push(Asset {
            asset_id: pv_id(home),
            kind: "pv".to_owned(),
            bus_id: bus_id.clone(),
            feeder_id: feeder_id.clone(),
            power_kw_min: 0.0,
            power_kw_max: pv_kw.means.iter().copied().fold(0.0, f64::max).ceil(),
            ramp_kw_max: 0.0,
            energy_kwh_max: 0.0,
            efficiency: 1.0,
        });
        self.contracts.push(Contract {
            contract_id: format!("contract-{home:02}"),
            meter_id: meter_id(home),
            product: PRODUCT.to_owned(),
        });
        self.add_past(plant, home);
    }

    /// Adds what a home (from 1) and its roof did before the plant starts.
    fn add_past(&mut self, plant: &Plant, home: usize) {
        let data = plant.data();
        let bus = &data.buses()[data.home_buses()[home - 1].0];
        let pv_kw = &data.measured()[plant.homes()[home - 1].source].pv_kw;
        let mut hour_at = data.starts_at();
        while hour_at.plus(HOUR_MS) <= plant.config().start_at {
            self.load_history.push(LoadHistory {
                bus_id: bus.bus_id.clone(),
                feeder_id: bus.feeder_id.clone(),
                hour_at,
                net_load_kw: plant.homes()[home - 1].hour_net_kw(data.measured(), hour_at),
            });
            self.plant_history.push(PlantHistory {
                asset_id: pv_id(home),
                hour_at,
                power_kw: pv_kw.mean_of_hour(hour_at),
            });
            hour_at = hour_at.plus(HOUR_MS);
        }
    }
}

/// The weather of every whole hour of the data before the plant starts.
fn weather_history(plant: &Plant) -> Vec<WeatherHistory> {
    let data = plant.data();
    let weather = data.weather();
    let hours = plant.config().start_at.0.saturating_sub(data.starts_at().0) / HOUR_MS;
    let row = |hour: u64| {
        let hour_at = data.starts_at().plus(hour * HOUR_MS);
        let global = weather.diffuse_w_per_m2.mean_of_hour(hour_at)
            + weather.direct_w_per_m2.mean_of_hour(hour_at);
        WeatherHistory {
            station_id: STATION_ID.to_owned(),
            hour_at,
            temperature_c: weather.temperature_c.mean_of_hour(hour_at),
            global_w_per_m2: Some(global),
            wind_m_per_s: None,
        }
    };
    (0..hours).map(row).collect()
}

/// A point of the point map, of an instant.
fn point(
    point_id: &str,
    feeder_id: &str,
    (element, element_id, side): (&str, &str, Option<&str>),
    quantity: &str,
    (scale, sigma, drift_per_s): (f64, f64, f64),
) -> Point {
    Point {
        point_id: point_id.to_owned(),
        feeder_id: feeder_id.to_owned(),
        element: element.to_owned(),
        element_id: element_id.to_owned(),
        side: side.map(str::to_owned),
        quantity: quantity.to_owned(),
        scale,
        sigma,
        drift_per_s,
        averaged_over_ms: 0,
        stale_after_ms: STALE_AFTER_MS,
        sigma_share: None,
        value_min: None,
        value_max: None,
    }
}

fn switches(plant: &Plant) -> Vec<Switch> {
    let branches = plant.data().branches();
    let row = |switch: &crate::simulator::network::PlantSwitch| Switch {
        switch_id: switch.switch_id.clone(),
        branch_id: branches[switch.branch].branch_id.clone(),
        feeder_id: branches[switch.branch].feeder_id.clone(),
        normal_position: "closed".to_owned(),
    };
    plant.switches().iter().map(row).collect()
}
