//! A network in arrays, solved and with a measurement plan, as it goes between us and the peers.
//!
//! Everything is per unit of the power base and of each bus's nominal voltage, angles in radians
//! unless they say degrees, injections positive into the bus. The peers read it as JSON
//! (`benches/peers/grid/case.py`); pandapower writes the networks that it ships in the same form.

use std::path::Path;

use grid::Complex;
use grid::Model;
use grid::Network;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::Bus;
use grid::network::BusIndex;
use grid::network::Control;
use grid::network::Impedance;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Parameters;
use grid::network::Shunt;
use grid::network::Zip;
use serde::Deserialize;
use serde::Serialize;

use crate::physics::SEED;
use crate::physics::draw::deviate;

/// A network with its solution and its measurements.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// The power base in MVA.
    pub base_mva: f64,
    /// Nominal frequency in Hz.
    pub frequency_hz: f64,
    /// The seed of its draws.
    #[serde(default)]
    pub seed: u64,
    /// True if it is a tree.
    pub radial: bool,
    /// Buses.
    pub bus: Buses,
    /// Branches.
    pub branch: Branches,
    /// Fixed admittances to ground.
    pub shunt: Shunts,
    /// Loads, which scenarios multiply.
    pub load: Powers,
    /// Generators that hold no voltage.
    #[serde(rename = "static")]
    pub fixed: Powers,
    /// Generators that hold their voltage.
    pub machine: Machines,
    /// The source.
    pub slack: Slack,
    /// The voltages that solve it, found without us.
    pub solved: Voltages,
    /// What is measured.
    #[serde(default)]
    pub measurement: Measurements,
}

/// Buses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Buses {
    /// Nominal voltages in kV.
    pub kv: Vec<f64>,
}

/// Branches, each a π with an ideal ratio at its from end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Branches {
    /// From buses.
    pub from: Vec<usize>,
    /// To buses.
    pub to: Vec<usize>,
    /// Series resistances.
    pub r: Vec<f64>,
    /// Series reactances.
    pub x: Vec<f64>,
    /// Conductances to ground, both ends together.
    pub g: Vec<f64>,
    /// Susceptances to ground, both ends together.
    pub b: Vec<f64>,
    /// Ratios.
    pub ratio: Vec<f64>,
    /// Shifts in degrees.
    pub shift_deg: Vec<f64>,
    /// Whether they are there.
    pub in_service: Vec<bool>,
}

/// Fixed admittances to ground.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Shunts {
    /// Their buses.
    pub bus: Vec<usize>,
    /// Conductances.
    pub g: Vec<f64>,
    /// Susceptances.
    pub b: Vec<f64>,
}

/// Fixed powers into buses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Powers {
    /// Their buses.
    pub bus: Vec<usize>,
    /// Active powers.
    pub p: Vec<f64>,
    /// Reactive powers.
    pub q: Vec<f64>,
}

/// Generators that hold their voltage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machines {
    /// Their buses.
    pub bus: Vec<usize>,
    /// Active powers.
    pub p: Vec<f64>,
    /// Reactive powers in the solved state.
    pub q: Vec<f64>,
    /// The voltages they hold.
    pub vm: Vec<f64>,
}

/// The source.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Slack {
    /// Its bus.
    pub bus: usize,
    /// The voltage it holds.
    pub vm: f64,
    /// The angle it holds in degrees.
    pub va_deg: f64,
}

/// Voltages of all buses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Voltages {
    /// Magnitudes.
    pub vm: Vec<f64>,
    /// Angles.
    pub va: Vec<f64>,
}

/// Rows of what is measured: voltages first, then pairs of P and Q.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measurements {
    /// One of [`VOLTAGE`] and its fellows.
    pub kind: Vec<u8>,
    /// The bus, or the branch at its from end.
    pub at: Vec<usize>,
    /// What an exact instrument would say.
    pub truth: Vec<f64>,
    /// Standard deviations.
    pub sigma: Vec<f64>,
}

/// The magnitude of a bus's voltage.
pub const VOLTAGE: u8 = 0;
/// Active power into a bus.
pub const P_INJECTION: u8 = 1;
/// Reactive power into a bus.
pub const Q_INJECTION: u8 = 2;
/// Active power into a branch at its from end.
pub const P_FLOW: u8 = 3;
/// Reactive power into a branch at its from end.
pub const Q_FLOW: u8 = 4;

/// What machines do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachinesHold {
    /// Their voltage.
    Voltage,
    /// The reactive power of the solved state: Power Grid Model's way to pose the problem.
    Power,
}

impl Case {
    /// A case from its file.
    ///
    /// # Errors
    /// The file cannot be read or is not a case.
    pub fn read(path: &Path) -> Result<Case, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Writes it where the peers read it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string(self).map_err(|e| e.to_string())?;
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// How many buses it has.
    pub fn buses(&self) -> usize {
        self.bus.kv.len()
    }

    /// What each load is multiplied by in a scenario: redrawn by one per cent.
    pub fn load_factors(&self, scenario: u64) -> Vec<f64> {
        let loads = self.load.bus.len() as u64;
        (0..loads).map(|at| 1.0 + 0.01 * deviate(SEED, 1_000 + scenario, at)).collect()
    }

    /// The values of all measurements at a tick, each drawn anew about the true one.
    pub fn readings(&self, tick: u64) -> Vec<f64> {
        let rows = self.measurement.truth.iter().zip(&self.measurement.sigma).enumerate();
        let drawn = |(at, (truth, sigma)): (usize, (&f64, &f64))| {
            truth + sigma * deviate(SEED, 1_000_000 + tick, at as u64)
        };
        rows.map(drawn).collect()
    }

    /// The solved voltages.
    pub fn voltages(&self) -> Vec<Complex> {
        let polar = self.solved.vm.iter().zip(&self.solved.va);
        polar.map(|(&vm, &va)| Complex::from_polar(vm, va)).collect()
    }

    /// It as a network. Injections are the loads in their order, then what generates, then the
    /// source.
    pub fn network(&self, machines: MachinesHold) -> Network {
        let bus = |(n, &nominal_kv): (usize, &f64)| Bus {
            id: format!("B{n}"),
            nominal_kv,
            in_service: true,
            ..Bus::default()
        };
        let shunt = |n: usize| Shunt {
            id: format!("SH{n}"),
            bus: self.shunt.bus[n],
            p_mw_at_1pu: self.shunt.g[n] * self.base_mva,
            q_mvar_at_1pu: -self.shunt.b[n] * self.base_mva,
            in_service: true,
            ..Shunt::default()
        };
        Network {
            name: self.name.clone(),
            frequency_hz: self.frequency_hz,
            base_mva: self.base_mva,
            buses: self.bus.kv.iter().enumerate().map(bus).collect(),
            branches: (0..self.branch.from.len()).map(|n| self.network_branch(n)).collect(),
            shunts: (0..self.shunt.bus.len()).map(shunt).collect(),
            injections: self.injections(machines),
            ..Network::default()
        }
    }

    fn network_branch(&self, n: usize) -> Branch {
        let branch = &self.branch;
        let impedance = Impedance {
            r_pu: branch.r[n],
            x_pu: branch.x[n],
            g_pu: branch.g[n],
            b_pu: branch.b[n],
            tap_ratio: branch.ratio[n],
            shift_deg: branch.shift_deg[n],
            ..Impedance::default()
        };
        Branch {
            id: format!("L{n}"),
            name: String::new(),
            from: BusIndex(branch.from[n]),
            to: BusIndex(branch.to[n]),
            class: BranchClass::Impedance,
            parameters: Parameters::Impedance(impedance),
            in_service: branch.in_service[n],
        }
    }

    fn injections(&self, machines: MachinesHold) -> Vec<Injection> {
        let injection =
            |class: InjectionClass, bus: usize, s: (f64, f64), control: Control| Injection {
                id: String::new(),
                name: String::new(),
                class,
                bus: BusIndex(bus),
                control,
                p_mw: s.0 * self.base_mva,
                q_mvar: s.1 * self.base_mva,
                zip: Zip::POWER,
                q_limits_mvar: None,
                in_service: true,
            };
        let mut all = Vec::new();
        for (class, powers) in
            [(InjectionClass::Load, &self.load), (InjectionClass::StaticGenerator, &self.fixed)]
        {
            for n in 0..powers.bus.len() {
                let s = (powers.p[n], powers.q[n]);
                all.push(injection(class, powers.bus[n], s, Control::Power));
            }
        }
        let machine = &self.machine;
        for n in 0..machine.bus.len() {
            let control = match machines {
                MachinesHold::Voltage => Control::Voltage { vm_pu: machine.vm[n] },
                MachinesHold::Power => Control::Power,
            };
            let s = (machine.p[n], machine.q[n]);
            all.push(injection(InjectionClass::Generator, machine.bus[n], s, control));
        }
        let Slack { bus, vm, va_deg } = self.slack;
        let control = Control::Slack { vm_pu: vm, va_deg, impedance_pu: None };
        all.push(injection(InjectionClass::Source, bus, (0.0, 0.0), control));
        for (n, injection) in all.iter_mut().enumerate() {
            injection.id = format!("I{n}");
        }
        all
    }

    /// Power into each bus, and into each branch at its from end, in the solved state.
    pub fn flows(&self, model: &Model) -> (Vec<Complex>, Vec<Complex>) {
        let v = self.voltages();
        let mut into_bus = vec![Complex::ZERO; v.len()];
        for &(bus, y) in &model.shunts {
            into_bus[bus] += y.conj().scale(v[bus].norm_sqr());
        }
        let flow = |line: &grid::model::ModelBranch| {
            let (from, to) = (v[line.from], v[line.to]);
            let [ff, ft, tf, tt] = line.y;
            let s_from = from * (ff * from + ft * to).conj();
            let s_to = to * (tf * from + tt * to).conj();
            (s_from, s_to)
        };
        let mut into_branch = Vec::with_capacity(model.branches.len());
        for line in &model.branches {
            let (s_from, s_to) = match line.in_service {
                true => flow(line),
                false => (Complex::ZERO, Complex::ZERO),
            };
            into_bus[line.from] += s_from;
            into_bus[line.to] += s_to;
            into_branch.push(s_from);
        }
        (into_bus, into_branch)
    }
}
