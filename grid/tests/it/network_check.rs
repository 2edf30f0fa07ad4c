//! Faults of networks: each is found by name, and a sound network has none.
//!
//! Each test spoils one thing of a sound network and expects exactly what is to be said of that.

use grid::BusIndex;
use grid::Model;
use grid::Network;
use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::measurement::Target;
use grid::model::SourceImpedance;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::BranchIndex;
use grid::network::Bus;
use grid::network::Connection;
use grid::network::Control;
use grid::network::Impedance;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Line;
use grid::network::Parameters;
use grid::network::Sensor;
use grid::network::Shunt;
use grid::network::Side;
use grid::network::Switch;
use grid::network::Tap;
use grid::network::Transformer;
use grid::network::Zip;
use grid::network::check;

fn bus(id: &str, nominal_kv: f64) -> Bus {
    Bus { id: id.into(), name: String::new(), nominal_kv, in_service: true }
}

fn branch(id: &str, ends: [usize; 2], class: BranchClass, parameters: Parameters) -> Branch {
    Branch {
        id: id.into(),
        name: String::new(),
        from: BusIndex(ends[0]),
        to: BusIndex(ends[1]),
        class,
        parameters,
        in_service: true,
    }
}

fn cable(id: &str, ends: [usize; 2]) -> Branch {
    let cable =
        Line { r_ohm: 0.64, x_ohm: 0.48, g_siemens: 0.0, b_siemens: 3.4e-4, rated_ka: Some(0.3) };
    branch(id, ends, BranchClass::Line, Parameters::Line(cable))
}

fn transformer(id: &str, ends: [usize; 2]) -> Branch {
    let tap = Tap {
        side: Side::From,
        position: 1.0,
        neutral: 0.0,
        lowest: -9.0,
        highest: 9.0,
        step_percent: 1.5,
        step_deg: 0.0,
        ideal_shift: false,
    };
    let sheet = Transformer {
        rated_mva: 25.0,
        from_kv: 110.0,
        to_kv: 20.0,
        vk_percent: 12.0,
        vkr_percent: 0.41,
        pfe_kw: 14.0,
        i0_percent: 0.07,
        shift_deg: 150.0,
        taps: vec![tap],
        parallel: 1,
        ..Transformer::default()
    };
    branch(id, ends, BranchClass::Transformer, Parameters::Transformer(Box::new(sheet)))
}

fn injection(id: &str, at: usize, class: InjectionClass, control: Control, p_mw: f64) -> Injection {
    Injection {
        id: id.into(),
        name: String::new(),
        class,
        bus: BusIndex(at),
        control,
        p_mw,
        q_mvar: p_mw / 4.0,
        zip: Zip::POWER,
        q_limits_mvar: None,
        in_service: true,
    }
}

/// A 110 kV source, a transformer, and three buses at 20 kV in a row, the last behind a switch.
fn sound() -> Network {
    let slack = Control::Slack { vm_pu: 1.02, va_deg: 0.0, impedance_pu: None };
    let holding = Control::Voltage { vm_pu: 1.01 };
    Network {
        name: "sound".into(),
        frequency_hz: 50.0,
        base_mva: 10.0,
        buses: vec![bus("B0", 110.0), bus("B1", 20.0), bus("B2", 20.0), bus("B3", 20.0)],
        branches: vec![transformer("T0", [0, 1]), cable("L0", [1, 2]), cable("L1", [2, 3])],
        shunts: vec![Shunt {
            id: "SH0".into(),
            bus: 2,
            q_mvar_at_1pu: -1.0,
            in_service: true,
            ..Shunt::default()
        }],
        switches: vec![Switch {
            id: "S0".into(),
            name: "end".into(),
            connection: Connection::BranchEnd(BranchIndex(2), Side::From),
            closed: true,
        }],
        injections: vec![
            injection("EG0", 0, InjectionClass::Source, slack, 0.0),
            injection("LD0", 2, InjectionClass::Load, Control::Power, -4.0),
            injection("G0", 3, InjectionClass::Generator, holding, 1.0),
        ],
        sensors: vec![Sensor {
            id: "M0".into(),
            name: "busbar".into(),
            quantity: Quantity::VoltageMagnitude,
            target: Target::Bus(BusIndex(1)),
            value_pu: Some(1.01),
            sigma_pu: 0.005,
        }],
        ..Network::default()
    }
}

/// Asserts that a change to the sound network leads to exactly these faults, in part and in order,
/// the fatal ones marked with an exclamation mark, and that a model refuses those and only those
/// but for two that it can live with.
#[track_caller]
fn faults(change: impl Fn(&mut Network), expected: &[&str]) {
    let mut network = sound();
    change(&mut network);
    let found = check::check(&network);
    let mark = |fault: &grid::network::Fault| if fault.is_fatal() { "!" } else { "" };
    let told: Vec<String> = found.iter().map(|f| format!("{}{f}", mark(f))).collect();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        let marked = told.starts_with('!') == expected.starts_with('!');
        assert!(marked && told.contains(expected.trim_start_matches('!')), "{told}\n{expected}");
    }
    let lived_with = |fault: &grid::network::Fault| {
        fault.problem.starts_with("stands ") || fault.problem.starts_with("has no source")
    };
    let fatal = found.iter().any(|fault| fault.is_fatal() && !lived_with(fault));
    assert_eq!(Model::new(&network, SourceImpedance::Omitted).is_err(), fatal);
}

fn line(network: &mut Network, change: impl Fn(&mut Line)) {
    let Parameters::Line(line) = &mut network.branches[1].parameters else { panic!("a line") };
    change(line);
}

fn plate(network: &mut Network, change: impl Fn(&mut Transformer)) {
    let Parameters::Transformer(sheet) = &mut network.branches[0].parameters else {
        panic!("a transformer")
    };
    change(sheet);
}

#[test]
fn a_sound_network_has_no_faults() {
    faults(|_| {}, &[]);
}

#[test]
fn dangling_references_are_fatal_and_all_told() {
    let change = |network: &mut Network| {
        network.branches[1].to = BusIndex(17);
        network.injections[1].bus = BusIndex(18);
        network.shunts[0].bus = 19;
        network.switches[0].connection = Connection::BranchEnd(BranchIndex(20), Side::To);
    };
    let expected = [
        "!line L0 ends at bus number 17, and there are 4 buses",
        "!shunt SH0 is at bus number 19",
        "!load LD0 is at bus number 18",
        "!switch S0 \"end\" is at branch number 20, and there are 3",
    ];
    faults(change, &expected);
}

#[test]
fn sensors_on_missing_elements_are_told() {
    let change = |network: &mut Network| {
        network.sensors[0].target = Target::Bus(BusIndex(9));
    };
    faults(change, &["sensor M0 \"busbar\" measures at bus number 9, and there are 4"]);
}

#[test]
fn identifiers_that_stand_twice_are_told() {
    faults(|network| network.buses[3].id = "B2".into(), &["!bus B2 stands 2 times"]);
}

#[test]
fn names_that_stand_twice_are_told_in_one_line() {
    let change = |network: &mut Network| {
        network.buses.iter_mut().for_each(|bus| bus.name = "busbar".into());
    };
    faults(change, &["table bus has names that stand twice: busbar"]);
}

#[test]
fn nothing_is_judged_by_a_nominal_voltage_that_is_a_placeholder() {
    let mut network = sound();
    network.buses.iter_mut().for_each(|bus| bus.nominal_kv = 0.1);
    let all = (0..network.buses.len()).collect();
    assert!(!check::check(&network).is_empty());
    assert_eq!(check::check_but_for(&network, &all), []);
}

#[test]
fn a_line_without_impedance_is_fatal() {
    let change =
        |network: &mut Network| line(network, |line| (line.r_ohm, line.x_ohm) = (0.0, 0.0));
    faults(change, &["!line L0 has no impedance (what has no impedance is a closed switch"]);
}

#[test]
fn a_line_with_as_good_as_no_impedance_is_told() {
    let change =
        |network: &mut Network| line(network, |line| (line.r_ohm, line.x_ohm) = (1e-9, 1e-9));
    let expected = [
        "line L0 has an impedance of 1.4e-9 ohm, as good as none",
        "line L0 has a surge impedance of 0.002 ohm",
    ];
    faults(change, &expected);
}

#[test]
fn numbers_that_are_none_are_fatal() {
    let change = |network: &mut Network| {
        line(network, |line| line.x_ohm = f64::NAN);
        network.injections[1].q_mvar = f64::INFINITY;
        network.base_mva = 0.0;
        network.buses[2].nominal_kv = f64::NAN;
    };
    let expected = [
        "!network has a power base of 0 MVA",
        "!bus B2 has a nominal voltage of NaN kV",
        "!line L0 has no finite number for x_ohm",
        "!load LD0 has no finite number for q_mvar",
    ];
    faults(change, &expected);
}

#[test]
fn impossible_name_plates_are_fatal() {
    faults(
        |n| plate(n, |t| t.vkr_percent = 13.0),
        &["!resistive part of 13 percent in a short-circuit"],
    );
    faults(|n| plate(n, |t| t.rated_mva = 0.0), &["!has a rated power of 0 MVA"]);
    faults(|n| plate(n, |t| t.vk_percent = 0.0), &["!has a short-circuit voltage of zero"]);
    faults(|n| plate(n, |t| t.to_kv = -20.0), &["!has a rated voltage (to) of -20 kV"]);
}

#[test]
fn taps_outside_of_their_range_are_told() {
    let expected = ["transformer T0 stands at tap 12, outside of -9 to 9"];
    faults(|network| plate(network, |t| t.taps[0].position = 12.0), &expected);
}

#[test]
fn ratios_of_zero_are_fatal() {
    let change = |network: &mut Network| {
        let zero = Impedance { x_pu: 0.1, tap_ratio: 0.0, ..Impedance::default() };
        network.branches[0].parameters = Parameters::Impedance(zero);
    };
    faults(change, &["!transformer T0 has a ratio of 0"]);
}

#[test]
fn lines_between_voltage_levels_are_told() {
    let change = |network: &mut Network| network.buses[3].nominal_kv = 10.0;
    faults(change, &["line L1 connects 20 kV at bus B2 with 10 kV at bus B3"]);
}

#[test]
fn transformers_between_other_voltages_are_told() {
    let expected = ["transformer T0 has a to winding of 10 kV at a bus of 20 kV"];
    faults(|network| plate(network, |t| t.to_kv = 10.0), &expected);
    let turn = |network: &mut Network| {
        plate(network, |t| (t.from_kv, t.to_kv) = (20.0, 110.0));
    };
    let expected =
        ["is rated 20/110 kV between buses of 110 and 20 kV (its two ends look exchanged)"];
    faults(turn, &expected);
}

#[test]
fn volts_for_kilovolts_are_told() {
    let change = |network: &mut Network| network.buses[0].nominal_kv = 110_000.0;
    let expected = [
        "bus B0 has a nominal voltage of 110000 kV (nominal voltages are in kV; this looks like",
        "transformer T0 has a from winding of 110 kV at a bus of 110000 kV (out by 1000",
    ];
    faults(change, &expected);
}

#[test]
fn units_of_lines_that_are_out_by_1000_are_told() {
    faults(|n| line(n, |l| l.r_ohm *= 1e3), &["line L0 has 640.0000 ohm of resistance beside"]);
    faults(|n| line(n, |l| l.b_siemens *= 1e3), &["line L0 has a surge impedance of 1.188 ohm"]);
    faults(|n| line(n, |l| l.rated_ka = Some(300.0)), &["line L0 has a rating of 300 kA"]);
    let length = |network: &mut Network| {
        line(network, |line| {
            line.r_ohm *= 1e3;
            line.x_ohm *= 1e3;
            line.b_siemens *= 1e3;
        });
    };
    faults(length, &["line L0 would drop 21 times its nominal voltage at its rating"]);
}

#[test]
fn units_of_transformers_that_are_out_by_1000_are_told() {
    faults(|n| plate(n, |t| t.rated_mva = 25e3), &["is rated 25000 MVA, which is 722 kA"]);
    faults(
        |n| plate(n, |t| t.pfe_kw = 14e3),
        &[
            "has iron losses of 14000 kW at 25 MVA (iron losses are in kW; this looks like watts)",
            "has iron losses of 14000 kW, more than its no-load current",
        ],
    );
    let per_unit = |network: &mut Network| {
        plate(network, |t| (t.vk_percent, t.vkr_percent) = (0.12, 0.0041));
    };
    faults(per_unit, &["has a short-circuit voltage of 0.12 percent"]);
}

#[test]
fn kilowatts_for_megawatts_are_told() {
    let change = |network: &mut Network| {
        network.injections[1].p_mw = -4_000.0;
        network.shunts[0].q_mvar_at_1pu = -1_000.0;
    };
    let expected = [
        "load LD0 has 4000.0001 MVA, which is 115 kA at its 20 kV",
        "shunt SH0 has 1000.0000 MVA, which is 29 kA at its bus",
        "network has loads of 4000.000 MVA behind transformers of 25.000 MVA",
    ];
    faults(change, &expected);
}

#[test]
fn set_points_in_kilovolts_are_told() {
    let change = |network: &mut Network| {
        network.injections[2].control = Control::Voltage { vm_pu: 20.2 };
    };
    faults(change, &["generator G0 holds a voltage of 20.2 pu"]);
}

#[test]
fn a_load_that_feeds_is_told() {
    let expected = ["load LD0 is a load that feeds 4 MW into the network"];
    faults(|network| network.injections[1].p_mw = 4.0, &expected);
}

#[test]
fn limits_that_are_exchanged_are_fatal() {
    let change = |network: &mut Network| network.injections[2].q_limits_mvar = Some((2.0, -2.0));
    faults(change, &["!generator G0 is limited to 2 to -2 Mvar"]);
}

#[test]
fn a_source_behind_an_impedance_of_zero_is_fatal() {
    let change = |network: &mut Network| {
        let impedance_pu = Some((0.0, 0.0));
        let control = Control::Slack { vm_pu: 1.0, va_deg: 0.0, impedance_pu };
        network.injections[0].control = control;
    };
    faults(change, &["!source EG0 is behind an impedance of zero"]);
}

#[test]
fn an_island_without_a_source_is_told_with_the_switch_that_would_feed_it() {
    let expected = [
        "bus B3 has no way to a source; 1 injections of 1.000 MW are cut off with it (closing S0 \
         would feed it)",
    ];
    faults(|network| network.switches[0].closed = false, &expected);
}

#[test]
fn a_network_without_a_source_is_told_once() {
    faults(|network| network.injections[0].in_service = false, &["!network has no source"]);
}

#[test]
fn many_islands_are_told_in_a_handful_and_a_count() {
    let mut network = sound();
    for number in 10..40 {
        let bus =
            Bus { id: format!("B{number}"), nominal_kv: 20.0, in_service: true, ..Bus::default() };
        network.buses.push(bus);
    }
    let found = check::check(&network);
    assert_eq!(found.len(), 9, "{found:#?}");
    let rest = "network has 22 more islands without a source, of 22 buses: B18, B19, B20, B21, \
                B22, B23 and 16 more";
    assert!(found.iter().any(|fault| fault.to_string() == rest), "{found:#?}");
}

#[test]
fn injections_at_a_bus_out_of_service_are_told() {
    let change = |network: &mut Network| network.buses[3].in_service = false;
    faults(change, &["generator G0 is in service at bus B3, which is not (it takes no part)"]);
}

#[test]
fn machines_that_contradict_each_other_are_told() {
    let change = |network: &mut Network| {
        let mut other = network.injections[2].clone();
        other.id = "G1".into();
        other.control = Control::Voltage { vm_pu: 1.03 };
        network.injections.push(other);
    };
    let expected = ["generator G1 holds 1.03 pu at the node where generator G0 holds 1.01 pu"];
    faults(change, &expected);
}

#[test]
fn couplers_between_voltage_levels_are_told() {
    let change = |network: &mut Network| {
        let connection = Connection::Buses(BusIndex(0), BusIndex(3));
        let name = String::new();
        network.switches.push(Switch { id: "S1".into(), name, connection, closed: false });
    };
    faults(change, &["switch S1 joins bus B0 of 110 kV and bus B3 of 20 kV"]);
}

#[test]
fn sensors_that_are_too_good_are_told() {
    let change = |network: &mut Network| network.sensors[0].sigma_pu = 5e-9;
    faults(change, &["sensor M0 \"busbar\" has a standard deviation of 5.0e-9 pu of a voltage"]);
}

#[test]
fn measured_values_are_checked_as_sensors_are() {
    let network = sound();
    let measurement = |id: &str, target, value, sigma| Measurement {
        id: id.into(),
        source: Source::Scada,
        quantity: Quantity::VoltageMagnitude,
        target,
        value,
        sigma,
    };
    let bus = Target::Bus(BusIndex(1));
    let measurements = [
        measurement("M0", bus, 1.0, 0.005),
        measurement("M1", bus, 20.3, 0.1),
        measurement("M2", bus, 1.0, 0.0),
        measurement("M3", Target::Bus(BusIndex(7)), 1.0, 0.005),
    ];
    let found = check::check_measurements(&network, &measurements);
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    let expected = [
        "measurement M2 is 1 with a standard deviation of 0 (a standard deviation is above zero)",
        "measurement M3 is of an element that is not there",
        "measurement M1 is a voltage of 20.3000 pu (kV taken for per unit, or a phase voltage for \
         line to line?)",
    ];
    assert_eq!(told, expected);
}
