//! Whole columns in another unit are refused before switches are blamed for them.
//!
//! What was to be expected is nominal voltages, the powers that the network states, and the flows
//! they lead to where they have a solution.

use std::path::Path;

use grid::Complex;
use grid::estimation::units::Compared;
use grid::estimation::units::Doubt;
use grid::estimation::units::suspect;
use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::model::Model;
use grid::model::SourceImpedance;
use grid::network::InjectionClass;
use grid::network::Side;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;
use grid::three_phase;
use grid::three_phase::measurement::Target as Place;
use gridloom::problem::Problem;
use gridloom::problem::Problems;

use super::super::network::Balanced;
use super::EstimateArgs;
use crate::exit::say;

/// The share of loads that must state a power before flows are expected to follow from them.
const STATED: f64 = 0.5;

/// Refuses measurements of a balanced network of which a whole quantity looks as if it were in
/// another unit; `column` is where the values stand. Without `--partial` that is the end.
///
/// # Errors
/// There are such; each is a problem.
pub(super) fn check_balanced(
    args: &EstimateArgs,
    study: &Balanced,
    (measurements, column): (&[Measurement], &str),
) -> anyhow::Result<()> {
    let expected = Expected::of(study);
    let compared = |one: &Measurement| Compared {
        quantity: one.quantity,
        measured: one.value,
        expected: expected.value(one),
    };
    let compared: Vec<Compared> = measurements.iter().map(compared).collect();
    refuse(args, column, &suspect(&compared))
}

/// As [`check_balanced`], of a three-phase network.
///
/// # Errors
/// There are such; each is a problem.
pub(super) fn check_unbalanced(
    args: &EstimateArgs,
    network: &three_phase::Network,
    measurements: &[three_phase::measurement::Measurement],
) -> anyhow::Result<()> {
    let mut stated = vec![Complex::ZERO; network.nodes.len()];
    for load in network.loads.iter().filter(|load| load.in_service) {
        let ends = load.legs.iter().flatten().flatten().count();
        for &node in load.legs.iter().flatten().flatten() {
            stated[node] += Complex::new(load.p_w, load.q_var).scale(1.0 / ends.max(1) as f64);
        }
    }
    let compared = |one: &three_phase::measurement::Measurement| {
        let expected = match (one.target, one.quantity) {
            (Place::Node(node), Quantity::VoltageMagnitude) => network.nodes[node].base_volt,
            (Place::Node(node), Quantity::ActivePower) => stated[node].re,
            (Place::Node(node), Quantity::ReactivePower) => stated[node].im,
            _ => 0.0,
        };
        Compared { quantity: one.quantity, measured: one.value, expected }
    };
    let compared: Vec<Compared> = measurements.iter().map(compared).collect();
    refuse(args, "value_si", &suspect(&compared))
}

/// What a network leads to expect.
struct Expected<'a> {
    study: &'a Balanced,
    /// With the solution for the powers that are stated, if there is one.
    flow: Option<PowerFlow>,
}

impl Expected<'_> {
    fn of(study: &Balanced) -> Expected<'_> {
        let network = &study.import.network;
        let loads = || {
            let on = network.injections.iter().filter(|injection| injection.in_service);
            on.filter(|injection| injection.class == InjectionClass::Load)
        };
        let stated = loads().filter(|load| load.p_mw != 0.0).count();
        let enough = stated > 0 && stated as f64 >= STATED * loads().count() as f64;
        let model = Model::new(network, SourceImpedance::Kept).ok().filter(|_| enough);
        let flow = model.map(PowerFlow::new).and_then(|mut flow| {
            for (switch, &closed) in study.closed.iter().enumerate() {
                flow.set_switch(switch, closed);
            }
            flow.solve(Start::Flat, &Settings::default()).solved().then_some(flow)
        });
        Expected { study, flow }
    }

    /// The power of an injection per unit.
    fn power(&self, at: usize) -> Complex {
        let network = &self.study.import.network;
        let of = &network.injections[at];
        let stated = Complex::new(of.p_mw, of.q_mvar).scale(1.0 / network.base_mva);
        self.flow.as_ref().map_or(stated, |flow| flow.power(at))
    }

    /// What a measurement is expected to read, per unit; zero where nothing says.
    fn value(&self, one: &Measurement) -> f64 {
        let active = one.quantity == Quantity::ActivePower;
        let part = |power: Complex| if active { power.re } else { power.im };
        let network = &self.study.import.network;
        match (one.target, one.quantity) {
            (Target::Bus(_), Quantity::VoltageMagnitude) => 1.0,
            (Target::Injection(at), Quantity::ActivePower | Quantity::ReactivePower) => {
                part(self.power(at.0))
            }
            (Target::Bus(bus), Quantity::ActivePower | Quantity::ReactivePower) => {
                let there = |at: &usize| network.injections[*at].bus == bus;
                let there = (0..network.injections.len()).filter(there);
                part(there.fold(Complex::ZERO, |sum, at| sum + self.power(at)))
            }
            (Target::BranchEnd(branch, side), quantity) => {
                let flow = self.flow.as_ref().filter(|_| branch.0 < network.branches.len());
                let side = usize::from(side == Side::To);
                flow.map_or(0.0, |flow| match quantity {
                    Quantity::ActivePower | Quantity::ReactivePower => {
                        part(flow.flows(branch.0)[side])
                    }
                    Quantity::CurrentMagnitude => flow.currents(branch.0)[side].abs(),
                    _ => 0.0,
                })
            }
            _ => 0.0,
        }
    }
}

fn refuse(args: &EstimateArgs, column: &str, doubts: &[Doubt]) -> anyhow::Result<()> {
    let said = |doubt: &Doubt| {
        let Doubt { quantity, factor, count, of } = *doubt;
        let (name, taken) = words(quantity, factor);
        format!(
            "{column}: {count} of {of} {name} are about {} what the network leads to expect: \
             {taken}",
            times(factor)
        )
    };
    let file = args.measurements.as_deref().unwrap_or(Path::new("measurements"));
    if args.which.partial {
        doubts.iter().for_each(|doubt| say(&format!("warning: {}", said(doubt))));
        return Ok(());
    }
    let problem =
        |doubt: &Doubt| Problem::new(file, said(doubt)).hint("--partial estimates all the same");
    Ok(Problems::none(doubts.iter().map(problem).collect())?)
}

fn times(factor: f64) -> String {
    if factor >= 10.0 {
        format!("{factor} times")
    } else if factor > 1.0 {
        "√3 times".to_owned()
    } else if factor > 0.1 {
        "1/√3 of".to_owned()
    } else {
        format!("1/{} of", (1.0 / factor).round())
    }
}

/// A quantity as files call it, and what was probably taken for what.
fn words(quantity: Quantity, factor: f64) -> (&'static str, &'static str) {
    let large = factor > 1.0;
    match quantity {
        Quantity::VoltageMagnitude if factor > 10.0 => ("v_mag", "volts taken for kilovolts?"),
        Quantity::VoltageMagnitude if factor < 0.1 => ("v_mag", "kilovolts taken for volts?"),
        Quantity::VoltageMagnitude if large => ("v_mag", "line-to-line voltages taken for phase?"),
        Quantity::VoltageMagnitude => ("v_mag", "phase voltages taken for line-to-line?"),
        Quantity::ActivePower if large => ("p_inj and p_flow", "kW taken for MW?"),
        Quantity::ActivePower => ("p_inj and p_flow", "MW taken for kW?"),
        Quantity::ReactivePower if large => ("q_inj and q_flow", "kvar taken for Mvar?"),
        Quantity::ReactivePower => ("q_inj and q_flow", "Mvar taken for kvar?"),
        Quantity::CurrentMagnitude if large => ("i_mag", "A taken for kA?"),
        Quantity::CurrentMagnitude => ("i_mag", "kA taken for A?"),
        Quantity::VoltageAngle | Quantity::CurrentAngle => ("angles", "degrees for radians?"),
    }
}
