//! MATPOWER case files against the truth of the public cases, and the statements they end in.

use std::collections::BTreeMap;
use std::path::Path;

use cases::Import;
use cases::folder;
use cases::folder::answers;
use cases::matpower;
use expect_test::Expect;
use expect_test::expect;
use grid::Complex;
use grid::model::SourceImpedance;
use grid::network::Parameters;

use crate::balance::worst;
use crate::golden;
use crate::places;
use crate::solve;

/// The base scenario of a public case balances at its true voltages. The case folder lists its
/// buses in the order of the file.
#[track_caller]
fn check_case(name: &str, file: &str) {
    let Some(folder) = places::case(name) else { return };
    let import = matpower::read(&folder.join("original").join(file)).unwrap();
    assert!(import.is_whole(), "{:?}", import.remarks);
    let truth = truth(&folder, &import);
    let (missing, bus) = worst(&import.network, &truth, SourceImpedance::Omitted);
    assert!(missing < 1e-8, "{name}: {missing:e} pu are missing at {bus}");
    solve::check(&import.network, &truth, 1e-8);
}

fn truth(folder: &Path, import: &Import) -> BTreeMap<String, Complex> {
    let network = folder::read(folder).unwrap().network;
    let path = folder.join("base/answers/truth_bus.csv");
    let voltage = |truth: answers::TruthBus| {
        let id = import.network.buses[truth.bus].id.clone();
        (id, Complex::from_polar(truth.vm_pu, truth.va_deg.to_radians()))
    };
    let truth = answers::truth_buses(&path, &network).unwrap();
    assert_eq!(truth.len(), import.network.buses.len());
    truth.into_iter().map(voltage).collect()
}

#[test]
fn case14_balances_at_its_true_voltages() {
    check_case("ieee14", "case14.m");
}

#[test]
fn case57_balances_at_its_true_voltages() {
    check_case("ieee57", "case57.m");
}

#[test]
fn case33bw_which_converts_its_units_balances_at_its_true_voltages() {
    check_case("case33bw", "case33bw.m");
}

/// Two buses and a branch; what follows the tables is the test's.
const TABLES: &str = "function mpc = two
mpc.version = '2';
mpc.baseMVA = 10;
mpc.bus = [
 1 3 0 0 0 0 1 1 0 12.5 1 1.1 0.9;
 2 1 100 60 0 0 1 1 0 12.5 1 1.1 0.9;
];
mpc.gen = [1 5 1 10 -10 1.02 100 1 10 0];
mpc.branch = [1 2 0.1 0.2 0 0 0 0 0 0 1 -360 360];
";

fn two(statements: &str) -> Import {
    matpower::parse(&format!("{TABLES}{statements}"), "two.m").unwrap()
}

/// After some statements the load, and the resistance of the branch, are these.
#[track_caller]
fn check(statements: &str, load_mw: f64, r_pu: f64) {
    let import = two(statements);
    assert_eq!(golden::remarks(&import.remarks), "", "{statements}");
    let load = import.network.injections.iter().find(|injection| injection.id == "LD0").unwrap();
    let Parameters::Impedance(branch) = &import.network.branches[0].parameters else { panic!() };
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-15 * b.abs().max(1.0);
    assert!(near(-load.p_mw, load_mw), "{} MW\n{statements}", load.p_mw);
    assert!(near(branch.r_pu, r_pu), "{} pu\n{statements}", branch.r_pu);
}

#[test]
fn the_sign_of_zero_is_zero() {
    check("mpc.bus(2, 3) = 100 * (1 + sign(0) + sign(3)) + sign(-4);", 199.0, 0.1);
}

#[test]
fn tables_alone() {
    check("", 100.0, 0.1);
}

#[test]
fn units_are_converted_by_named_columns() {
    check(
        "define_constants;
         Vbase = mpc.bus(1, BASE_KV) * 1e3;      %% in Volts
         Sbase = mpc.baseMVA * 1e6;              %% in VA
         mpc.branch(:, [BR_R BR_X]) = mpc.branch(:, [BR_R BR_X]) / (Vbase^2 / Sbase);
         mpc.bus(:, [PD, QD]) = mpc.bus(:, [PD, QD]) / 1e3;",
        0.1,
        0.1 / 15.625,
    );
}

#[test]
fn columns_are_named_by_their_functions() {
    check(
        "[PQ, PV, REF, NONE, BUS_I, BUS_TYPE, mine, QD] = idx_bus;
         [F_BUS, ~, R] = idx_brch;
         mpc.bus(:, mine) = mpc.bus(:, mine) * 2; mpc.branch(1, R) = .5",
        200.0,
        0.5,
    );
}

#[test]
fn a_power_factor_gives_the_reactive_load() {
    check(
        "pf = 0.85; define_constants
         mpc.bus(:, QD) = mpc.bus(:, PD) * sin(acos(pf));
         mpc.bus(:, PD) = mpc.bus(:, PD) * pf;",
        85.0,
        0.1,
    );
}

#[test]
fn blanks_and_signs_between_brackets() {
    check("a = [1 -2 3 - 1]; b = [a(2)+1 a(3) -a(2)]'; mpc.bus(2, 3) = sum(b);", 3.0, 0.1);
}

#[test]
fn choices_and_ends_of_ranges() {
    check("k = find(mpc.bus(:, 3) > 50 & mpc.bus(:, 4) ~= 0); mpc.bus(k, 3) = 7;", 7.0, 0.1);
    check("mpc.bus(mpc.bus(:, 2) == 1, 3:4) = -2^2 + 5*[2 2];", 6.0, 0.1);
    check("mpc.bus(end, 3) = numel(mpc.bus(1:end, 1));", 2.0, 0.1);
}

#[test]
fn conditions_and_comments() {
    check(
        "if 0 % no
           mpc.bus(2, 3) = 1;
         elseif mpc.baseMVA > 5
           mpc.bus(2, 3) = 2;
         else
           x
         end",
        2.0,
        0.1,
    );
    check("if isempty([]) && ~0, mpc.bus(2, 3) = 4; else, if 1, x, end, end", 4.0, 0.1);
    check(
        "%{\n mpc.bus(2, 3) = ;\n%}\nmpc.bus(2, ... as it is\n 3) = 5; % mpc.bus(2, 3) = 6;",
        5.0,
        0.1,
    );
}

#[test]
fn the_case_may_have_another_name_and_base_be_computed() {
    let text = TABLES.replace("mpc", "ppc").replace("= 10;", "= 50/3;");
    let import = matpower::parse(&text, "two.m").unwrap();
    assert_eq!(golden::remarks(&import.remarks), "");
    assert_eq!(import.network.base_mva, 50.0 / 3.0);
}

#[track_caller]
fn check_remarks(statements: &str, expected: &Expect) {
    expected.assert_eq(&golden::remarks(&two(statements).remarks));
}

#[test]
fn statements_that_are_not_understood_are_named() {
    check_remarks(
        "mpc.bus(:, PD) = mpc.bus(:, PD) / 1e3;
         mpc = scale_load(2, mpc);
         for i = 1:2
           mpc.bus(i, 3) = 1;
         end
         disp('done')
         mpc.bus(3, 3) = 1;
         mpc.branch(:, 3) = [1 2 3];
         mpc.bus(2, 3) = mpc.bus * mpc.gen;
         x = 'open
         y = {1, 2
         mpc.bus(2, 3) = 9;",
        &expect![[r#"
            Fatal: two.m:10, `mpc.bus(:, PD) = mpc.bus(:, PD) / 1e3`: is not understood (PD is
                not known here): the case is not the one that the file computes
            Fatal: two.m:11, `mpc = scale_load(2, mpc)`: is not understood (scale_load is not
                known here): the case is not the one that the file computes
            Fatal: two.m:12, `for i = 1:2 …`: is not understood (for is not carried out here):
                the case is not the one that the file computes
            Warning: two.m:15, `disp('done')`: is not understood (disp is not known here): it is
                passed over
            Fatal: two.m:16, `mpc.bus(3, 3) = 1`: is not understood (the index 3 is outside of 1
                to 2): the case is not the one that the file computes
            Fatal: two.m:17, `mpc.branch(:, 3) = [1 2 3]`: is not understood (a matrix of 1 by 3
                does not fit into 1 rows of 1 columns): the case is not the one that the file
                computes
            Fatal: two.m:18, `mpc.bus(2, 3) = mpc.bus * mpc.gen`: is not understood (matrices
                are not multiplied or divided here; .* is by element): the case is not the one
                that the file computes
            Warning: two.m:19, `x = 'open`: is not understood (a text has no closing quote on
                its line): it is passed over
            Fatal: two.m:20, `y = {1, 2 …`: is not understood (a value is missing where =
                stands): the case is not the one that the file computes
        "#]],
    );
}

#[test]
fn fields_that_are_not_read_are_named() {
    check_remarks(
        "mpc.gencost = [2 0 0 3 0 20 0];
         mpc.bus_name = {'one'; 'it''s two'};
         mpc.dcline = [1 2 1 10 9 0 0 1 1 0 0 0 0 0 0 0 0;
                       2 1 0 10 9 0 0 1 1 0 0 0 0 0 0 0 0];
         mpc.storage = [1 0 0];
         mpc.reserves.zones = [1 1];",
        &expect![[r#"
            Note: two.m:11, mpc.bus_name: names are not read: a bus is called by its number
            Warning: two.m:12, DC line 1-2: is left out, as MATPOWER's power flow does without
                toggle_dcline
            Note: two.m:13, DC line 2-1: is left out, as MATPOWER's power flow does without
                toggle_dcline
            Note: two.m:10, mpc.gencost: costs are not read
            Warning: two.m:15, mpc.reserves.zones: this field is not known here and not read
            Fatal: two.m:14, mpc.storage: storage is left out
        "#]],
    );
}

#[test]
fn types_of_buses_are_settled_as_matpower_does() {
    check_remarks(
        "mpc.gen(1, 8) = 0;",
        &expect![[r#"
            Warning: two.m, bus 1: holds its voltage without a machine in service: it is a load
                bus, as in MATPOWER
        "#]],
    );
    check_remarks(
        "mpc.bus(1, 2) = 2;",
        &expect![[r#"
            Warning: two.m, bus 1: is taken for the reference, which the case has not: it is the
                first bus that holds its voltage, as in MATPOWER
        "#]],
    );
    check_remarks(
        "mpc.gen = [mpc.gen; 1 2 0 5 -5 1.03 100 1 10 0];",
        &expect![[r#"
            Warning: two.m:10, machines at bus 1: hold 1.02 and 1.03 per unit: the last one
                counts
        "#]],
    );
}

#[test]
fn rows_that_make_no_sense_are_named() {
    check_remarks(
        "mpc.bus = [mpc.bus; 2 1 0 0 0 0 1 1 0 0 1 1 1
           3 7 0 0 0 0 1 1 0 0 1 1 1
           4 1 NaN 0 0 0 1 1 0 0 1 1 1];
         mpc.gen = [mpc.gen; 9 0 0 0 0 1 0 1 0 0; 2 0 0 -1 1 1 0 1 0 0];
         mpc.branch = [
           1 2 0.1 0.2 0 0 0 0 0 0 1 -360 360
           1 9 0.1 0.2 0 0 0 0 0 0 1 -360 360
           1 2 0.1 Inf 0 0 0 0 0 0 1 -360 360
         ];",
        &expect![[r#"
            Fatal: two.m:10, bus 2: is left out: its number is not a whole one of its own
            Warning: two.m:11, bus 3: has the type 7, which is none; it is a load bus here
            Fatal: two.m:12, bus 4: is left out: its Pd is NaN
            Warning: two.m: the base voltage of bus 3 is not above zero: 1 kV is assumed; what
                is per unit does not depend on it, kV, kA and ohm do and are not judged
            Fatal: two.m:13, machine at bus 9: is left out: there is no such bus
            Warning: two.m:13, machine at bus 2: has limits of reactive power 1 to -1: they are
                passed over
            Fatal: two.m:16, branch 1-9: is left out: there is no bus at one of its ends
            Fatal: two.m:17, branch 1-2: is left out: its x is inf
        "#]],
    );
}

#[track_caller]
fn check_refused(text: &str, expected: &Expect) {
    expected.assert_eq(&golden::folded(&matpower::parse(text, "case.m").unwrap_err()));
}

#[test]
fn what_is_no_case_of_version_2_is_refused() {
    check_refused(
        "",
        &expect![[r#"
        has no mpc.bus: it is not a MATPOWER case of version 2
    "#]],
    );
    check_refused(
        "function [baseMVA, bus, gen, branch] = case9\nbaseMVA = 100;",
        &expect![[r#"
        has no mpc.bus: it is not a MATPOWER case of version 2; what was not understood
            first is line 1: it returns several tables: that is case format version 1
    "#]],
    );
    check_refused(
        &TABLES.replace("'2'", "'1'"),
        &expect![[r#"
        is of another case format than version 2; MATPOWER's loadcase and savecase convert
            it
    "#]],
    );
    check_refused(
        &TABLES.replace("= 10;", "= 0;"),
        &expect![[r#"
        has no mpc.baseMVA that is a number above zero
    "#]],
    );
    check_refused(
        &TABLES.replace(" 1.02 100 1 10 0", ""),
        &expect![[r#"
        has a mpc.gen on line 8 that is no table of at least 8 columns
    "#]],
    );
    check_refused(
        &TABLES.replace("2 1 100 60", "2 1 100"),
        &expect![[r#"
        has no mpc.bus: it is not a MATPOWER case of version 2; what was not understood
            first is line 4: the row on line 6 has 12 values, and the row above it 13
    "#]],
    );
    check_refused(
        &"(".repeat(100_000),
        &expect![[r#"
        has no mpc.bus: it is not a MATPOWER case of version 2; what was not understood
            first is line 1: a statement cannot begin with (
    "#]],
    );
    check_refused(
        &format!("x = {}", "(".repeat(100_000)),
        &expect![[r#"
        has no mpc.bus: it is not a MATPOWER case of version 2; what was not understood
            first is line 1: it nests more than 64 deep
    "#]],
    );
    check_refused(
        &format!("x = {}1", "-".repeat(100_000)),
        &expect![[r#"
        has no mpc.bus: it is not a MATPOWER case of version 2; what was not understood
            first is line 1: it nests more than 64 deep
    "#]],
    );
}
