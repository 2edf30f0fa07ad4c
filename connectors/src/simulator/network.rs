//! The village's network as the plant drives it: switches, homes' buses, and a power flow each
//! step.

use grid::BusIndex;
use grid::Injection;
use grid::Sweep;

use crate::simulator::PlantError;
use crate::simulator::data::PlantData;

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

    // State.
    sweep: Sweep,
    injections: Vec<Injection>,
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
    /// It is not radial.
    pub fn new(data: &PlantData) -> Result<VillageNetwork, PlantError> {
        let network = data.network();
        let sweep = Sweep::new(network)?;
        let switches = data
            .switched_branches()
            .into_iter()
            .map(|branch| PlantSwitch {
                switch_id: format!("switch-{}", network.branches()[branch].id),
                branch,
                closed: true,
            })
            .collect();
        Ok(VillageNetwork {
            home_buses: data.home_buses().to_vec(),
            head_bus: data.head_bus(),
            sweep,
            injections: vec![Injection::default(); network.buses().len()],
            switches,
        })
    }

    /// All switches.
    pub fn switches(&self) -> &[PlantSwitch] {
        &self.switches
    }

    /// Moves a switch; false if there is none of that name.
    pub fn set_switch(&mut self, switch_id: &str, closed: bool) -> bool {
        let Some(switch) = self.switches.iter_mut().find(|s| s.switch_id == switch_id) else {
            return false;
        };
        switch.closed = closed;
        self.sweep.set_closed(switch.branch, closed);
        true
    }

    /// True if a home (from 0) is connected to the source.
    pub fn energised(&self, home: usize) -> bool {
        self.sweep.energised(self.home_buses[home])
    }

    /// Sets what a home (from 0) injects.
    pub fn inject(&mut self, home: usize, injection: Injection) {
        self.injections[self.home_buses[home].0] = injection;
    }

    /// Solves for what was injected.
    pub fn solve(&mut self) -> grid::Status {
        self.sweep.solve(&self.injections)
    }

    /// Voltage magnitudes of the last solve, per unit, one a bus; 0 where dead.
    pub fn vm_pu(&self) -> &[f64] {
        &self.sweep.solution().vm_pu
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
        let lv = self.sweep.solution().transformers[0].lv;
        // Positive into the winding is out of the feeder.
        HeadFlow { active_kw: -lv.p_kw, reactive_kvar: -lv.q_kvar }
    }
}
