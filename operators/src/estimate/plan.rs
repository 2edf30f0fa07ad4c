//! From the reference tables, or from a network file, to a network and the points on it.
//!
//! A feeder's buses, branches and transformers become a network whose source stands where the
//! feeder begins: at the high-voltage bus of the transformer, or the from bus of the branch, that
//! `feeders.head_branch_id` names. Each meter is an injection at its bus, and so is what stands at
//! a bus without a meter; every other bus injects nothing, exactly. A switch opens its branch at
//! the from end.
//!
//! Of a feeder whose network came from a file (`from_file`; unbalanced, `conductors`) the tables
//! say the points, and where its switches stand; everything else is the file's.
//!
//! A row that cannot be right (a branch to a bus that is not there, a point on nothing) is left out
//! and said in words; without a source, or where the network itself is refused, there is no plan.
//!
//! **Invariant:** the same rows give the same plan, whatever the order in which they came.

mod conductors;
mod from_file;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::f64::consts::TAU;

use grid::BusIndex;
use grid::Model;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::model::ModelBranch;
use grid::model::SourceImpedance;
use grid::model::siemens_from_nf;
use grid::network;
use grid::network::BranchClass;
use grid::network::BranchIndex;
use grid::network::Connection;
use grid::network::Control;
use grid::network::InjectionClass;
use grid::network::InjectionIndex;
use grid::network::Parameters;
use grid::network::Side;
use grid::network::Zip;
use grid::per_unit::base_ka;
use grid::three_phase;
use schemas::reference::Asset;
use schemas::reference::Branch;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::reference::Point;
use schemas::reference::Transformer;
use schemas::state::SwitchState;

pub use self::conductors::conductor_name;
pub use self::conductors::phase_of;
pub use self::conductors::terminal;
pub use self::from_file::opens;
use super::history::NO_NUMBER;
use super::history::Said;
use super::networks::AnyNetwork;
use super::networks::Part;
use crate::kernel::Change;
use crate::table::InFeeder;
use crate::table::Table;

/// The power base of every feeder of the tables in MVA: of the size of what flows in one. A file
/// has its own.
pub const BASE_MVA: f64 = 0.1;

/// What a voltage can be per unit where a point does not say: far beyond what any grid stands.
const VOLTAGE_PU: (f64, f64) = (0.1, 2.0);

/// What a point is of that says where a switch stands.
const SWITCH: &str = "switch";

/// What a point is of that says where a tap stands.
const TAP: &str = "tap";

/// The position of a switch that is open; any other counts as closed.
const OPEN: &str = "open";

/// The reference tables of all feeders.
pub struct Tables {
    buses: Table<InFeeder, Bus>,
    branches: Table<InFeeder, Branch>,
    transformers: Table<InFeeder, Transformer>,
    feeders: Table<String, Feeder>,
    meters: Table<InFeeder, Meter>,
    assets: Table<InFeeder, Asset>,
    points: Table<InFeeder, Point>,
    switches: Table<InFeeder, SwitchState>,
}

/// What a feeder is made of, and how its elements are called.
pub struct Plan {
    /// What is estimated.
    pub physics: Physics,
    /// One per unit of power in MVA: of three phases, or of each of an unbalanced network.
    pub base_mva: f64,
    /// The buses' names; behind the feeder's own those of other feeders that feed its transformers.
    /// Of an unbalanced network its nodes.
    pub buses: Vec<String>,
    /// How many of them are its own.
    pub own_buses: usize,
    /// The branches' and transformers' names; of an unbalanced network those of their conductors.
    pub branches: Vec<String>,
    /// What their currents are told by, in the same order.
    pub ratings: Vec<Rating>,
    /// The switches' names, each with what it opens, in the model's order.
    pub switches: Vec<(String, String)>,
    /// Nominal frequency in Hz.
    pub nominal_hz: f64,
    /// Branches whose ratio is unknown, each with the relative standard deviation of the stated
    /// one, where it is believed.
    pub free_ratios: Vec<(usize, Option<f64>)>,
    /// What draws or injects, without the source.
    pub injections: Vec<PlannedInjection>,
    /// The points.
    pub points: Vec<PlannedPoint>,
    /// Points that say where a tap of an unbalanced network stands.
    pub taps: Vec<PlannedTap>,
    /// The points of active and of reactive power at the head, each with what its value is
    /// multiplied by to be what flows into the feeder. The head is known where all of them speak;
    /// it is not where there are none.
    pub head: [Vec<(usize, f64)>; 2],
    /// What was left out, in words.
    pub problems: Vec<String>,
}

/// The equations of a plan.
pub enum Physics {
    /// Positive sequence: the network, for words about it, and the same per unit; buses, then
    /// branches and behind them transformers, in the plan's orders.
    Balanced(Box<(network::Network, Model)>),
    /// Conductor by conductor.
    Unbalanced(Box<three_phase::Network>),
}

/// What the currents of a branch are told by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rating {
    /// One per unit at its from end, in A.
    pub base_a: f64,
    /// What its ends stand, per unit; infinite where nothing is known.
    pub most: [f64; 2],
}

/// What is connected behind a meter, or at a bus without one.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedInjection {
    /// Its place in the model.
    pub index: usize,
    /// Its bus.
    pub bus: usize,
    /// How many share its bus.
    pub at_bus: usize,
    /// What the batteries among it can do either way, in kW: no forecast knows it.
    pub battery_kw: f64,
    /// Its share of what the head measures and nothing else explains.
    pub share: Share,
    /// The points of its active power.
    pub points: Vec<usize>,
}

/// What an injection has of a power that nothing explains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// As much as any other.
    Equal,
    /// As much as it draws as planned, against the others, in kW; and reactive power with it, in
    /// kvar.
    Planned(f64, f64),
    /// The same, and as much as is planned where the head says nothing.
    Stated(f64, f64),
    /// Nothing: what it does follows from the sun or from a controller and not from the head.
    Nothing,
}

/// A point that says where a tap stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTap {
    /// The name of its telemetry.
    pub id: String,
    /// The element and its winding, from 0.
    pub winding: (usize, usize),
    /// What a value is multiplied by, and what is added, to be per unit of the rated voltage.
    pub scale: (f64, f64),
    /// What the tap can be at least and at most, per unit.
    pub range: (f64, f64),
}

impl PlannedTap {
    /// The tap of a value; nothing where it cannot stand there.
    pub fn tap(&self, value: f64) -> Option<f64> {
        let tap = value * self.scale.0 + self.scale.1;
        (tap >= self.range.0 && tap <= self.range.1).then_some(tap)
    }
}

/// What turns angles: the length of a tick and the nominal frequency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// The length of a tick in milliseconds.
    pub step_ms: u64,
    /// In Hz.
    pub nominal_hz: f64,
}

/// A point, per unit.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedPoint {
    /// The name of its telemetry.
    pub id: String,
    /// What it measures.
    pub quantity: Quantity,
    /// Where; of an unbalanced network at which node.
    pub target: Target,
    /// Of a point at a conductor of an unbalanced network, where.
    pub conductor: Option<three_phase::measurement::Target>,
    /// The quantity as the point map says it, with its unit.
    pub unit: String,
    /// What a value is multiplied by to be of that unit.
    pub scale: f64,
    /// One of that unit, per unit.
    pub unit_pu: f64,
    /// Standard deviation of a fresh value, per unit.
    pub sigma_pu: f64,
    /// The same as a share of the value, where that is more.
    pub sigma_share: f64,
    /// What a value can be at least and at most, in that unit.
    pub range: (f64, f64),
    /// What it loses a second, per unit.
    pub drift_pu_per_s: f64,
    /// The time that a value is the mean of; 0 for an instant.
    pub averaged_over_ms: u64,
    /// The age at which a value no longer counts.
    pub stale_after_ms: u64,
}

impl PlannedPoint {
    /// How long after its event time the last millisecond is that a value speaks of.
    pub fn lasts_ms(&self) -> u64 {
        self.averaged_over_ms.saturating_sub(1)
    }

    /// The tick of a value: that of its instant, or of the end of the interval that it is the mean
    /// of.
    pub fn tick_of(&self, measured_at_ms: u64, step_ms: u64) -> u64 {
        let last = measured_at_ms.saturating_add(self.lasts_ms());
        (last / step_ms).saturating_add(1).saturating_mul(step_ms)
    }

    /// What a value is per unit at the tick of its instant: an angle has turned since by how far
    /// the frequency then was from the nominal one.
    pub fn value_pu(&self, said: &Said, measured_at_ms: u64, turn: Turn) -> f64 {
        let value = said.value * self.scale * self.unit_pu;
        match (said.frequency_hz, self.quantity) {
            (Some(hz), Quantity::VoltageAngle | Quantity::CurrentAngle) => {
                let until = self.tick_of(measured_at_ms, turn.step_ms);
                let passed_s = until.saturating_sub(measured_at_ms) as f64 / 1e3;
                let turned = value + TAU * (hz - turn.nominal_hz) * passed_s;
                turned - TAU * (turned / TAU).round()
            }
            _ => value,
        }
    }

    /// Its standard deviation with a value, both per unit.
    pub fn sigma_of(&self, value_pu: f64) -> f64 {
        self.sigma_pu.max(self.sigma_share * value_pu.abs())
    }

    /// Whether its instrument or element can have this value; what was no number cannot.
    pub fn plausible(&self, value: f64) -> bool {
        let scaled = value * self.scale;
        value.abs() < NO_NUMBER && scaled >= self.range.0 && scaled <= self.range.1
    }

    /// Whether a value counts at a tick: its interval has ended, and it is not stale.
    pub fn fresh(&self, measured_at_ms: u64, tick_ms: u64, step_ms: u64) -> bool {
        let of = self.tick_of(measured_at_ms, step_ms);
        of <= tick_ms && of.saturating_add(self.stale_after_ms) >= tick_ms
    }
}

impl Default for Tables {
    fn default() -> Tables {
        Tables {
            buses: Table::new(|row: &Bus| (row.feeder_id.clone(), row.bus_id.clone())),
            branches: Table::new(|row: &Branch| (row.feeder_id.clone(), row.branch_id.clone())),
            transformers: Table::new(|row: &Transformer| {
                (row.feeder_id.clone(), row.transformer_id.clone())
            }),
            feeders: Table::new(|row: &Feeder| row.feeder_id.clone()),
            meters: Table::new(|row: &Meter| (row.feeder_id.clone(), row.meter_id.clone())),
            assets: Table::new(|row: &Asset| (row.feeder_id.clone(), row.asset_id.clone())),
            points: Table::new(|row: &Point| (row.feeder_id.clone(), row.point_id.clone())),
            switches: Table::new(|row: &SwitchState| {
                (row.feeder_id.clone(), row.switch_id.clone())
            }),
        }
    }
}

impl Tables {
    /// Applies changes of the tables, in the order of the fields; gives the feeders that they
    /// touched, and the switches.
    ///
    /// # Panics
    /// There are not eight.
    pub fn apply(&mut self, changes: &[Change]) -> (BTreeSet<String>, BTreeSet<InFeeder>) {
        let mut feeders = BTreeSet::new();
        let mut touched = |keys: BTreeSet<InFeeder>| {
            feeders.extend(keys.into_iter().map(|(feeder, _)| feeder));
        };
        touched(self.buses.apply_touched(&changes[0]));
        touched(self.branches.apply_touched(&changes[1]));
        touched(self.transformers.apply_touched(&changes[2]));
        touched(self.meters.apply_touched(&changes[4]));
        touched(self.assets.apply_touched(&changes[5]));
        touched(self.points.apply_touched(&changes[6]));
        feeders.extend(self.feeders.apply_touched(&changes[3]));
        (feeders, self.switches.apply_touched(&changes[7]))
    }

    /// A switch as it stands: the branch it opens, whether it is closed, since when in
    /// milliseconds.
    pub fn switch(&self, key: &InFeeder) -> Option<(&str, bool, u64)> {
        let row = self.switches.get(key)?;
        let since = row.changed_at.map_or(0, |at| at.0);
        Some((row.branch_id.as_str(), row.position != OPEN, since))
    }

    /// Whether a point says where a switch stands, and if so whether its value of 1 is open.
    pub fn inverted(&self, point: &InFeeder) -> Option<bool> {
        let row = self.points.get(point)?;
        (row.element == SWITCH).then_some(row.scale < 0.0)
    }

    /// How long after its event time the last millisecond is that a value of a point speaks of; see
    /// [`PlannedPoint::lasts_ms`].
    pub fn lasts_ms(&self, point: &InFeeder) -> u64 {
        let averaged_over_ms = self.points.get(point).map_or(0, |row| row.averaged_over_ms);
        (averaged_over_ms.max(0) as u64).saturating_sub(1)
    }

    /// Whether a feeder has points.
    pub fn has_points(&self, feeder_id: &str) -> bool {
        self.points.of_feeder(feeder_id).next().is_some()
    }

    /// The plan of a feeder, whose network may have come from a file.
    ///
    /// # Errors
    /// There is no source, or the network is refused; everything that is wrong, in words.
    pub fn plan(
        &self,
        feeder_id: &str,
        file: Option<&Part>,
        frequency_hz: f64,
    ) -> Result<Plan, Vec<String>> {
        if let Some(part) = file {
            let points = self.points.of_feeder(feeder_id);
            let network = match &part.network {
                AnyNetwork::Balanced(network) => network,
                AnyNetwork::Unbalanced(network) => {
                    return conductors::plan(part, network, points, frequency_hz);
                }
            };
            let mut draft = Draft::of_file(part, network);
            points.for_each(|point| draft.point(point));
            return draft.finish_file(part);
        }
        let mut draft = Draft::new(feeder_id, frequency_hz);
        self.buses.of_feeder(feeder_id).for_each(|bus| draft.bus(&bus.bus_id, bus.nominal_kv));
        draft.own_buses = draft.network.buses.len();
        self.branches.of_feeder(feeder_id).for_each(|branch| draft.branch(branch));
        self.transformers.of_feeder(feeder_id).for_each(|row| draft.transformer(row));
        let head = self.feeders.get(&feeder_id.to_owned()).map(|row| row.head_branch_id.as_str());
        let Some(head) = head.and_then(|head| draft.source(head)) else {
            draft.problems.push("no branch or transformer is its head in feeders".to_owned());
            return Err(draft.problems);
        };
        self.switches.of_feeder(feeder_id).for_each(|switch| draft.switch(switch));
        self.meters
            .of_feeder(feeder_id)
            .for_each(|row| draft.injection(&row.meter_id, &row.bus_id));
        for asset in self.assets.of_feeder(feeder_id) {
            draft.asset(asset);
        }
        self.points.of_feeder(feeder_id).for_each(|point| draft.point(point));
        let head = [Quantity::ActivePower, Quantity::ReactivePower]
            .map(|quantity| head_point(&draft.points, head, quantity).into_iter().collect());
        draft.finish(head, Vec::new())
    }
}

/// A plan in the making.
struct Draft {
    network: network::Network,
    own_buses: usize,
    bus_at: BTreeMap<String, usize>,
    branch_at: BTreeMap<String, usize>,
    injection_at: BTreeMap<String, usize>,
    switches: Vec<(String, String)>,
    injections: Vec<PlannedInjection>,
    points: Vec<PlannedPoint>,
    problems: Vec<String>,
}

impl Draft {
    fn new(feeder_id: &str, frequency_hz: f64) -> Draft {
        let network = network::Network {
            name: feeder_id.to_owned(),
            frequency_hz,
            base_mva: BASE_MVA,
            ..network::Network::default()
        };
        Draft {
            network,
            own_buses: 0,
            bus_at: BTreeMap::new(),
            branch_at: BTreeMap::new(),
            injection_at: BTreeMap::new(),
            switches: Vec::new(),
            injections: Vec::new(),
            points: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn bus(&mut self, bus_id: &str, nominal_kv: f64) {
        self.bus_at.insert(bus_id.to_owned(), self.network.buses.len());
        self.network.buses.push(network::Bus {
            id: bus_id.to_owned(),
            name: String::new(),
            nominal_kv,
            in_service: true,
        });
    }

    /// Both buses of an element, or a word about the one that is missing.
    fn ends(&mut self, of: &str, from: &str, to: &str) -> Option<[BusIndex; 2]> {
        let missing = [from, to].into_iter().find(|bus| !self.bus_at.contains_key(*bus));
        if let Some(bus) = missing {
            self.problems.push(format!("{of} ends at {bus}, which is not in buses"));
            return None;
        }
        Some([from, to].map(|bus| BusIndex(self.bus_at[bus])))
    }

    fn add(&mut self, id: &str, [from, to]: [BusIndex; 2], parameters: Parameters) {
        let class = match parameters {
            Parameters::Transformer(_) => BranchClass::Transformer,
            _ => BranchClass::Line,
        };
        self.branch_at.insert(id.to_owned(), self.network.branches.len());
        let (id, name) = (id.to_owned(), String::new());
        let branch = network::Branch { id, name, from, to, class, parameters, in_service: true };
        self.network.branches.push(branch);
    }

    fn branch(&mut self, row: &Branch) {
        let Some(ends) = self.ends(&row.branch_id, &row.from_bus_id, &row.to_bus_id) else {
            return;
        };
        let line = network::Line {
            r_ohm: row.r_ohm_per_km * row.length_km,
            x_ohm: row.x_ohm_per_km * row.length_km,
            g_siemens: 0.0,
            b_siemens: siemens_from_nf(row.c_nf_per_km, self.network.frequency_hz) * row.length_km,
            rated_ka: (row.rated_a > 0.0).then_some(row.rated_a / 1e3),
        };
        self.add(&row.branch_id, ends, Parameters::Line(line));
    }

    fn transformer(&mut self, row: &Transformer) {
        let id = &row.transformer_id;
        let plate = (row.hv_kv.zip(row.lv_kv)).zip(row.vk_percent.zip(row.vkr_percent));
        let rest = row.pfe_kw.zip(row.i0_percent).zip(row.shift_deg);
        let Some((((from_kv, to_kv), (vk, vkr)), ((pfe_kw, i0_percent), shift_deg))) =
            plate.zip(rest)
        else {
            self.problems.push(format!("{id} has no whole name plate in transformers"));
            return;
        };
        // What feeds it may stand among another feeder's buses.
        if !self.bus_at.contains_key(&row.hv_bus_id) {
            self.bus(&row.hv_bus_id, from_kv);
        }
        let Some(ends) = self.ends(id, &row.hv_bus_id, &row.lv_bus_id) else { return };
        let sheet = network::Transformer {
            rated_mva: row.rated_kva / 1e3,
            from_kv,
            to_kv,
            vk_percent: vk,
            vkr_percent: vkr,
            pfe_kw,
            i0_percent,
            shift_deg,
            taps: Vec::new(),
            parallel: 1,
            equivalent: network::Equivalent::default(),
        };
        self.add(id, ends, Parameters::Transformer(Box::new(sheet)));
    }

    /// Puts the source where the feeder begins; the branch at its head.
    fn source(&mut self, head: &str) -> Option<usize> {
        let head = *self.branch_at.get(head)?;
        let bus = self.network.branches[head].from;
        let control = Control::Slack { vm_pu: 1.0, va_deg: 0.0, impedance_pu: None };
        self.inject("source", InjectionClass::Source, bus, control);
        Some(head)
    }

    fn inject(
        &mut self,
        id: &str,
        class: InjectionClass,
        bus: BusIndex,
        control: Control,
    ) -> usize {
        let index = self.network.injections.len();
        self.network.injections.push(network::Injection {
            id: id.to_owned(),
            name: String::new(),
            class,
            bus,
            control,
            p_mw: 0.0,
            q_mvar: 0.0,
            zip: Zip::POWER,
            q_limits_mvar: None,
            in_service: true,
        });
        index
    }

    fn switch(&mut self, row: &SwitchState) {
        let Some(branch) = self.branch_at.get(&row.branch_id) else {
            let (switch, branch) = (&row.switch_id, &row.branch_id);
            self.problems.push(format!("{switch} opens {branch}, which is no branch"));
            return;
        };
        self.switches.push((row.switch_id.clone(), row.branch_id.clone()));
        self.network.switches.push(network::Switch {
            id: row.switch_id.clone(),
            name: String::new(),
            connection: Connection::BranchEnd(BranchIndex(*branch), Side::From),
            closed: row.position != OPEN,
        });
    }

    fn injection(&mut self, id: &str, bus_id: &str) {
        let Some(bus) = self.bus_at.get(bus_id).copied() else {
            self.problems.push(format!("{id} stands at {bus_id}, which is not in buses"));
            return;
        };
        let index = self.inject(id, InjectionClass::Load, BusIndex(bus), Control::Power);
        self.injection_at.insert(id.to_owned(), self.injections.len());
        let (at_bus, battery_kw, share, points) = (0, 0.0, Share::Equal, Vec::new());
        let injection = PlannedInjection { index, bus, at_bus, battery_kw, share, points };
        self.injections.push(injection);
    }

    /// A device is behind the first meter of its bus; where there is none, it is an injection of
    /// the bus.
    fn asset(&mut self, row: &Asset) {
        let bus = self.bus_at.get(&row.bus_id).copied();
        let here = |injection: &PlannedInjection| Some(injection.bus) == bus;
        if !self.injections.iter().any(here) {
            self.injection(&row.bus_id, &row.bus_id);
        }
        let Some(injection) = self.injections.iter_mut().find(|i| Some(i.bus) == bus) else {
            return;
        };
        if row.kind == "battery" {
            injection.battery_kw += row.power_kw_max.abs().max(row.power_kw_min.abs());
        }
    }

    fn target(&self, row: &Point) -> Option<(Target, usize)> {
        match row.element.as_str() {
            "bus" => {
                let bus = *self.bus_at.get(&row.element_id)?;
                Some((Target::Bus(BusIndex(bus)), bus))
            }
            "branch" => {
                let branch = *self.branch_at.get(&row.element_id)?;
                let of = &self.network.branches[branch];
                let (side, bus) = match row.side.as_deref()? {
                    "from" => (Side::From, of.from),
                    "to" => (Side::To, of.to),
                    _ => return None,
                };
                Some((Target::BranchEnd(BranchIndex(branch), side), bus.0))
            }
            "meter" => {
                let injection = &self.injections[*self.injection_at.get(&row.element_id)?];
                let index = InjectionIndex(injection.index);
                Some((Target::Injection(index), injection.bus))
            }
            "injection" => self.injection_of_file(&row.element_id),
            "winding" => self.winding_of_file(&row.element_id),
            _ => None,
        }
    }

    fn point(&mut self, row: &Point) {
        let id = &row.point_id;
        if row.element == SWITCH {
            self.position(row);
            return;
        }
        let Some((target, bus)) = self.target(row) else {
            let (element, of) = (&row.element, &row.element_id);
            self.problems.push(format!("{id} measures the {element} {of}, which is not there"));
            return;
        };
        let base_mva = self.network.base_mva;
        let amperes = 1e3 * base_ka(base_mva, self.network.buses[bus].nominal_kv);
        let (quantity, unit_pu) = match quantity_of(row, base_mva, amperes) {
            Ok(quantity) => quantity,
            Err(problem) => {
                self.problems.push(problem);
                return;
            }
        };
        let planned = match planned(row, quantity, target, unit_pu) {
            Ok(planned) => planned,
            Err(problem) => {
                self.problems.push(problem);
                return;
            }
        };
        if let (Target::Injection(of), Quantity::ActivePower) = (target, quantity) {
            let place = self.points.len();
            let injections = self.injections.iter_mut().filter(|known| known.index == of.0);
            injections.for_each(|injection| injection.points.push(place));
        }
        self.points.push(planned);
    }

    fn finish(
        mut self,
        head: [Vec<(usize, f64)>; 2],
        free_ratios: Vec<(usize, Option<f64>)>,
    ) -> Result<Plan, Vec<String>> {
        let mut at_bus: BTreeMap<usize, usize> = BTreeMap::new();
        self.injections.iter().for_each(|i| *at_bus.entry(i.bus).or_default() += 1);
        self.injections.iter_mut().for_each(|i| i.at_bus = at_bus[&i.bus]);
        let model = match Model::new(&self.network, SourceImpedance::Omitted) {
            Ok(model) => model,
            Err(faults) => {
                self.problems.extend(faults.iter().map(ToString::to_string));
                return Err(self.problems);
            }
        };
        let names = |ids: Vec<&String>| ids.into_iter().cloned().collect::<Vec<String>>();
        let base_mva = model.base_mva;
        let rating = |of: &ModelBranch| {
            let base_a = 1e3 * base_ka(base_mva, model.bus_kv[of.from]);
            Rating { base_a, most: of.rated }
        };
        Ok(Plan {
            base_mva,
            ratings: model.branches.iter().map(rating).collect(),
            buses: names(self.network.buses.iter().map(|bus| &bus.id).collect()),
            own_buses: self.own_buses,
            branches: names(self.network.branches.iter().map(|branch| &branch.id).collect()),
            switches: self.switches,
            nominal_hz: self.network.frequency_hz,
            free_ratios,
            head,
            injections: self.injections,
            points: self.points,
            taps: Vec::new(),
            problems: self.problems,
            physics: Physics::Balanced(Box::new((self.network, model))),
        })
    }
}

/// What a point measures, and one of its unit per unit, where one per unit is so much.
fn quantity_of(row: &Point, base_mva: f64, base_a: f64) -> Result<(Quantity, f64), String> {
    Ok(match row.quantity.as_str() {
        "voltage_pu" => (Quantity::VoltageMagnitude, 1.0),
        "voltage_angle_rad" => (Quantity::VoltageAngle, 1.0),
        "active_power_kw" => (Quantity::ActivePower, 1e-3 / base_mva),
        "reactive_power_kvar" => (Quantity::ReactivePower, 1e-3 / base_mva),
        "current_a" => (Quantity::CurrentMagnitude, 1.0 / base_a),
        "current_angle_rad" => (Quantity::CurrentAngle, 1.0),
        other => {
            return Err(format!("{} measures {other}, which is not estimated", row.point_id));
        }
    })
}

/// A point as its row says it.
fn planned(
    row: &Point,
    quantity: Quantity,
    target: Target,
    unit_pu: f64,
) -> Result<PlannedPoint, String> {
    let id = &row.point_id;
    // A voltage of nothing at a live bus, or of twice the nominal one, is a fault of the
    // instrument, whatever else is said.
    let (least, greatest) = match quantity {
        Quantity::VoltageMagnitude => VOLTAGE_PU,
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let range = (row.value_min.unwrap_or(least), row.value_max.unwrap_or(greatest));
    if range.0.is_nan() || range.1.is_nan() || range.0 > range.1 {
        return Err(format!("{id} has value_min above value_max"));
    }
    let right = row.sigma > 0.0 && row.drift_per_s >= 0.0 && row.scale != 0.0;
    if !right || !(row.sigma * row.scale * row.drift_per_s).is_finite() {
        return Err(format!("{id} has no usable sigma, drift or scale"));
    }
    Ok(PlannedPoint {
        id: id.clone(),
        quantity,
        target,
        conductor: None,
        unit: row.quantity.clone(),
        scale: row.scale,
        unit_pu,
        sigma_pu: row.sigma * unit_pu,
        sigma_share: row.sigma_share.unwrap_or(0.0).max(0.0),
        range,
        drift_pu_per_s: row.drift_per_s * unit_pu,
        averaged_over_ms: row.averaged_over_ms.max(0) as u64,
        stale_after_ms: row.stale_after_ms.max(0) as u64,
    })
}

/// The first point of a quantity at the head, and what its value is multiplied by.
///
/// What flows into the branch at its from end, and out of it at its to end, flows into the feeder.
fn head_point(points: &[PlannedPoint], head: usize, quantity: Quantity) -> Option<(usize, f64)> {
    let head = BranchIndex(head);
    let of = |point: &PlannedPoint| match point.target {
        _ if point.quantity != quantity => None,
        Target::BranchEnd(branch, Side::From) if branch == head => Some(point.scale),
        Target::BranchEnd(branch, Side::To) if branch == head => Some(-point.scale),
        _ => None,
    };
    points.iter().enumerate().find_map(|(at, point)| Some((at, of(point)?)))
}
