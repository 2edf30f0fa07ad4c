//! The village's network as the plant drives it: switches, homes' buses, and a power flow each
//! step.

use grid::BusIndex;
use grid::Complex;
use grid::Model;
use grid::model::SourceImpedance;
use grid::network::Connection;
use grid::power_flow::Outcome;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;

use crate::simulator::PlantError;
use crate::simulator::data::PlantData;

/// No power may be off by more, per unit: a ten-thousandth of a watt on the data's power base.
const TOLERANCE_PU: f64 = 1e-10;

/// A switch and the branch it opens.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantSwitch {
    /// Its name.
    pub switch_id: String,
    /// The branch's place in the network.
    pub branch: usize,
    /// Where it stands.
    pub closed: bool,
}

/// The network under load.
#[derive(Clone, Debug)]
pub struct VillageNetwork {
    // Made once.
    home_buses: Vec<BusIndex>,
    head_bus: BusIndex,
    transformer: usize,
    /// kW, or kvar, of one per unit.
    base_kw: f64,

    // State.
    flow: PowerFlow,
    vm_pu: Vec<f64>,
    switches: Vec<PlantSwitch>,
}

/// What flows through the head of the feeder: the low-voltage terminals of its transformer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HeadFlow {
    /// Active power into the feeder in kW; import is positive.
    pub active_kw: f64,
    /// Reactive power into the feeder in kvar.
    pub reactive_kvar: f64,
}

impl VillageNetwork {
    /// The network of the data, all switches closed.
    ///
    /// # Errors
    /// It has faults that no power flow can live with.
    pub fn new(data: &PlantData) -> Result<VillageNetwork, PlantError> {
        let network = data.network();
        let model = Model::new(network, SourceImpedance::Kept).map_err(PlantError::Network)?;
        let switches = network.switches.iter().filter_map(|switch| match switch.connection {
            Connection::BranchEnd(branch, _) => Some(PlantSwitch {
                switch_id: switch.id.clone(),
                branch: branch.0,
                closed: switch.closed,
            }),
            Connection::Buses(..) | Connection::WindingEnd(..) => None,
        });
        Ok(VillageNetwork {
            home_buses: data.home_buses().to_vec(),
            head_bus: data.head_bus(),
            transformer: data.transformer_branch(),
            base_kw: 1e3 * network.base_mva,
            switches: switches.collect(),
            vm_pu: vec![0.0; network.buses.len()],
            flow: PowerFlow::new(model),
        })
    }

    /// All switches.
    pub fn switches(&self) -> &[PlantSwitch] {
        &self.switches
    }

    /// Moves a switch; false if there is none of that name.
    pub fn set_switch(&mut self, switch_id: &str, closed: bool) -> bool {
        let Some(number) = self.switches.iter().position(|s| s.switch_id == switch_id) else {
            return false;
        };
        self.switches[number].closed = closed;
        self.flow.set_switch(number, closed);
        true
    }

    /// True if a home (from 0) is connected to the source.
    pub fn energised(&self, home: usize) -> bool {
        self.flow.energised(self.home_buses[home].0)
    }

    /// Sets what a home (from 0) injects.
    pub fn inject(&mut self, home: usize, p_kw: f64, q_kvar: f64) {
        let s = Complex::new(p_kw, q_kvar).scale(1.0 / self.base_kw);
        // The data has an injection a bus, at the bus's place.
        self.flow.set_power(self.home_buses[home].0, s);
    }

    /// Solves for what was injected, from the last state.
    pub fn solve(&mut self) -> Outcome {
        let settings = Settings { tolerance_pu: TOLERANCE_PU, ..Settings::default() };
        let outcome = self.flow.solve(Start::Warm, &settings);
        for (bus, vm_pu) in self.vm_pu.iter_mut().enumerate() {
            *vm_pu = self.flow.voltage(bus).abs();
        }
        outcome
    }

    /// Voltage magnitudes of the last solve, per unit, one a bus; 0 where dead.
    pub fn vm_pu(&self) -> &[f64] {
        &self.vm_pu
    }

    /// Voltage at the head's busbar, per unit.
    pub fn head_vm_pu(&self) -> f64 {
        self.vm_pu()[self.head_bus.0]
    }

    /// Voltage at a home (from 0), per unit.
    pub fn home_vm_pu(&self, home: usize) -> f64 {
        self.vm_pu()[self.home_buses[home].0]
    }

    /// What flows through the head; there is exactly one transformer.
    pub fn head(&self) -> HeadFlow {
        let [_, lv] = self.flow.flows(self.transformer);
        // Positive into the winding is out of the feeder.
        HeadFlow { active_kw: -lv.re * self.base_kw, reactive_kvar: -lv.im * self.base_kw }
    }
}
