//! Scripts that ask for too much or for something else: what is refused, by file and line, and
//! commands that change which object is meant.

use std::path::Path;

use cases::Found;
use cases::UnbalancedImport;
use grid::estimation::WhyUnused;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::network::Severity;
use grid::three_phase::Control;
use grid::three_phase::Estimate;
use grid::three_phase::Kind;
use grid::three_phase::Settings;
use grid::three_phase::Solver;
use grid::three_phase::control::decide;
use grid::three_phase::measurement::Measurement;
use grid::three_phase::measurement::Target;

const CIRCUIT: &str = "new circuit.c basekv=4.16\nset voltagebases=[4.16]\n";

/// Scripts by file name in a folder of their own; the first is read.
fn read_files(files: &[(&str, &str)]) -> UnbalancedImport {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    cases::opendss::read(&folder.path().join(Path::new(files[0].0))).unwrap()
}

fn read(rest: &str) -> UnbalancedImport {
    read_files(&[("feeder.dss", &format!("{CIRCUIT}{rest}"))])
}

fn said(import: &UnbalancedImport) -> Vec<String> {
    import.remarks.iter().map(ToString::to_string).collect()
}

/// What is said of the third line, fatally.
#[track_caller]
fn check_refused(line: &str, expected: &str) {
    let import = read(line);
    assert_eq!(said(&import), [format!("feeder.dss:3{expected}")]);
    assert!(!import.is_whole());
}

#[test]
fn phases_windings_and_steps_have_bounds() {
    let many = "100000 is more than 16, the most here";
    let on = "bus1=sourcebus bus2=b phases=100000";
    check_refused(&format!("new line.l {on}"), &format!(", line.l: phases: {many}"));
    check_refused(&format!("new reactor.r {on}"), &format!(", reactor.r: phases: {many}"));
    check_refused(
        "new capacitor.c bus1=sourcebus phases=100000",
        &format!(", capacitor.c: phases: {many}"),
    );
    check_refused("new load.l bus1=sourcebus phases=100000", &format!(", load.l: phases: {many}"));
    check_refused(
        "edit vsource.source phases=100000",
        &format!(", vsource.source: phases: {many}"),
    );
    check_refused("new linecode.l nphases=100000", &format!(", linecode.l: nphases: {many}"));
    check_refused(
        "new xfmrcode.t windings=1000000",
        ", xfmrcode.t: windings: 1000000 is more than 8, the most here",
    );
    check_refused(
        "new capacitor.c bus1=sourcebus numsteps=1000000",
        ", capacitor.c: numsteps: 1000000 is more than 1000, the most here",
    );
}

#[test]
fn a_file_within_itself_is_refused_by_name() {
    let twice = format!("{CIRCUIT}redirect LOOP.dss\nredirect ./loop.dss");
    let import = read_files(&[("loop.dss", &twice)]);
    assert_eq!(
        said(&import),
        [
            "loop.dss:3: LOOP.dss is already being read",
            "loop.dss:4: ./loop.dss is already being read",
        ]
    );
    let first = format!("{CIRCUIT}redirect b.dss");
    let import = read_files(&[("a.dss", &first), ("b.dss", "redirect a.dss")]);
    assert_eq!(said(&import), ["b.dss:1: a.dss is already being read"]);
}

#[test]
fn files_that_double_are_bounded() {
    // 2^15 files, if all were read.
    let names: Vec<String> = (0..16).map(|at| format!("f{at}.dss")).collect();
    let mut texts: Vec<String> =
        (1..17).map(|at| format!("redirect f{at}.dss\nredirect f{at}.dss")).collect();
    texts[0].insert_str(0, CIRCUIT);
    let mut files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files[15].1 = "";
    let import = read_files(&files);
    let said = said(&import);
    assert!(said.iter().all(|of| of.ends_with("more than 1000 files in all")), "{}", said[0]);
    assert!(!said.is_empty() && said.len() < 2000);
}

#[test]
fn one_file_may_be_read_twice_in_turn() {
    let import = read_files(&[
        ("feeder.dss", &format!("{CIRCUIT}redirect bases.dss\nredirect bases.dss")),
        ("bases.dss", "set voltagebases=[4.16]"),
    ]);
    assert_eq!(said(&import), [""; 0]);
}

#[test]
fn more_goes_to_what_was_selected() {
    let import = read(
        "new load.a bus1=sourcebus kv=4.16 kw=1 kvar=0\n\
         new load.b bus1=sourcebus kv=4.16 kw=2 kvar=0\n\
         select load.a\n~ kw=5\nsel element=load.b terminal=1\n~ kw=7",
    );
    assert_eq!(said(&import), [""; 0]);
    let watts: Vec<f64> = import.network.loads.iter().map(|load| load.p_w).collect();
    assert_eq!(watts, [5000.0, 7000.0]);
    check_refused("select load.x\n~ kw=1", ", load.x: is edited and not there");
    check_refused("set element=load.x", ": set element: is not understood here; select is");
}

#[test]
fn what_stands_before_clear_is_gone() {
    let import = read(&format!(
        "new load.a bus1=sourcebus kv=4.16 kw=1 kvar=0\nset loadmult=3\nclear\n{CIRCUIT}\
         new load.b bus1=sourcebus kv=4.16 kw=2 kvar=0"
    ));
    assert_eq!(said(&import), [""; 0]);
    let loads: Vec<(&str, f64)> =
        import.network.loads.iter().map(|load| (load.name.as_str(), load.p_w)).collect();
    assert_eq!(loads, [("load.b", 2000.0)]);
    assert_eq!(read("clear").network.elements.len(), 0);
}

#[test]
fn loads_as_admittances_are_another_problem() {
    check_refused("set mode=direct", ": set mode: solves another problem");
    check_refused("solve mode=direct", ": set mode: solves another problem");
    check_refused("set loadmodel=admittance", ": set loadmodel: solves another problem");
    assert_eq!(said(&read("set mode=snapshot\nsolve")), [""; 0]);
}

const REGULATED: &str = "new transformer.t phases=3 windings=2\n\
     ~ buses=[sourcebus b] kvs=[4.16 4.16]\n\
     ~ wdg=2 mintap=0.8 maxtap=1.2\n\
     new regcontrol.r transformer=t winding=2\n";

/// What is said of options below [`REGULATED`], and how many steps a power flow moves its tap.
#[track_caller]
fn check_options(options: &str, expected: &[&str], moves: bool) {
    let draws = "new load.l bus1=b kv=4.16 kw=900 kvar=300\nregcontrol.r.vreg=50\n";
    let import = read(&format!("{REGULATED}{draws}{options}"));
    assert_eq!(said(&import), expected);
    assert!(import.remarks.iter().all(|of| of.severity == Severity::Note));
    let report = cases::report(&Found::Unbalanced(Box::new(import.clone())));
    assert!(moves || report.contains("1   1 off"), "{report}");
    let mut solver = Solver::new(import.network, Settings::default());
    assert!(solver.settle(100).settled);
    let Kind::Transformer(sheet) = &solver.network().elements[1].kind else { panic!() };
    assert_eq!(sheet.windings[1].tap_number() != 0, moves, "{}", sheet.windings[1].tap);
}

#[test]
fn controls_that_are_off_at_the_end_move_nothing() {
    let off = "feeder.dss:9: set controlmode=off: 1 control is off; taps and capacitor steps stay \
               where the file has them";
    check_options("Set ControlMode=OFF\nSolve", &[off], false);
    check_options("solve controlm=off", &[off], false);
    check_options("set controlmode=off\nset controlmode=static\nsolve", &[], true);
    check_options("set controlmode=time", &[], true);
    let event = "feeder.dss:9: set controlmode: event is taken as static: controls act until none \
                 moves";
    check_options("set controlmode=event", &[event], true);
    let none = read("set controlmode=off");
    assert_eq!(said(&none), [""; 0]);
}

#[test]
fn an_option_that_may_matter_is_named_and_one_of_screens_or_technique_is_not() {
    check_options("set maxiter=50 algorithm=newton\nset markcap=yes h=1 number=24", &[], true);
    check_options("set cktmodel=multiphase", &[], true);
    check_options(
        "set earthmodel=carson\nset frobnicate=3",
        &[
            "feeder.dss:9: set earthmodel: is not understood here and is passed over",
            "feeder.dss:10: set frobnicate: is not understood here and is passed over",
        ],
        true,
    );
    check_refused("set cktmodel=positive", ": set cktmodel: solves another problem");
}

#[test]
fn a_tap_range_the_wrong_way_round_is_refused() {
    let import = read(&format!("{REGULATED}transformer.t.mintap=1.3"));
    assert_eq!(
        said(&import),
        [
            "feeder.dss:3, transformer.t: winding 2: taps from 1.3 to 1.2",
            "feeder.dss:6, regcontrol.r: transformer.t is not there",
        ]
    );
}

#[test]
fn a_regulator_does_not_panic_at_a_tap_range_the_wrong_way_round() {
    let network = read(REGULATED).network;
    let Control::Regulator(regulator) = &network.controls[0] else { panic!() };
    let Kind::Transformer(sheet) = &network.elements[regulator.element].kind else { panic!() };
    let mut sheet = sheet.clone();
    assert!((decide::new_tap(regulator, &sheet, 1.0) - 1.2).abs() < 1e-12);
    sheet.windings[1].tap_min = 1.3;
    assert_eq!(decide::new_tap(regulator, &sheet, 1.0), 1.2);
}

/// A power at the first conductor of a line of so many phases is unused for these reasons.
#[track_caller]
fn check_metered(phases: usize, expected: &[WhyUnused]) {
    let mut network = read(&format!(
        "edit vsource.source phases={phases}\n\
         new line.l bus1=sourcebus bus2=b phases={phases}"
    ))
    .network;
    network.nodes.iter_mut().for_each(|node| node.base_volt = 2400.0);
    let element = network.elements.iter().position(|of| of.name == "line.l").unwrap();
    let node = network.elements[element].nodes[0].unwrap();
    let power = Measurement {
        id: "m".to_owned(),
        source: Source::Scada,
        quantity: Quantity::ActivePower,
        target: Target::Conductor { element, terminal: 0, node },
        value: 0.0,
        sigma: 1.0,
    };
    let estimate = Estimate::new(&network, &[power], 1e6).unwrap();
    let why: Vec<WhyUnused> = estimate.unused().iter().map(|unused| unused.why).collect();
    assert_eq!(why, expected);
}

#[test]
fn a_current_of_more_nodes_than_can_be_estimated_is_unused() {
    check_metered(8, &[]);
    check_metered(9, &[WhyUnused::Meaningless]);
}
