//! What readers of unbalanced networks say of what they do not understand, and telemetry.

use std::path::Path;

use cases::point_map::Measures;
use expect_test::Expect;
use expect_test::expect;
use grid::measurement::Quantity;
use grid::three_phase::measurement::Target;

use crate::places::theirs;

/// A script in a folder of its own, and what is said of it.
#[track_caller]
fn check_said(script: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feeder.dss");
    std::fs::write(&path, script).unwrap();
    let import = cases::opendss::read(&path).unwrap();
    let said: Vec<String> = import.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(said, expected);
}

const CIRCUIT: &str = "new circuit.c basekv=4.16\nset voltagebases=[4.16]\n";

#[test]
fn a_class_that_is_not_modelled_is_named_once() {
    check_said(
        &format!("{CIRCUIT}new generator.g bus1=sourcebus kw=10\n~ kvar=5\n"),
        &["feeder.dss:3, generator.g: class generator is not understood; it is left out"],
    );
}

#[test]
fn a_property_that_changes_the_answer_is_named_and_a_rating_is_not() {
    check_said(
        &format!("{CIRCUIT}new line.l bus1=sourcebus bus2=b normamps=4 geometry=g"),
        &["feeder.dss:3, line.l: geometry: geometry is not understood here"],
    );
}

#[test]
fn a_property_that_does_not_exist_is_named() {
    check_said(
        &format!("{CIRCUIT}new load.l bus1=sourcebus.1 phases=1 kv=2.4 kw=1\n~ colour=3"),
        &["feeder.dss:4, load.l: has no property colour"],
    );
}

#[test]
fn a_name_that_leads_nowhere_is_named_where_it_stands() {
    check_said(
        &format!(
            "{CIRCUIT}redirect nowhere.dss\nnew line.l bus1=sourcebus bus2=b linecode=x\n\
             new regcontrol.r transformer=t winding=2"
        ),
        &[
            "feeder.dss:3: nowhere.dss is not there",
            "feeder.dss:4, line.l: linecode: line code x is not there",
            "feeder.dss:5, regcontrol.r: transformer.t is not there",
        ],
    );
}

#[test]
fn a_load_model_that_is_not_modelled_is_named() {
    check_said(
        &format!("{CIRCUIT}new load.l bus1=sourcebus kv=4.16 kw=1 kvar=1 model=7"),
        &["feeder.dss:3, load.l: model: load model 7 is not understood, 1 to 5 and 8 are"],
    );
}

#[test]
fn an_edit_of_what_is_not_there_is_named() {
    check_said(
        &format!("{CIRCUIT}Transformer.t.taps=[1 1]\nfrobnicate"),
        &[
            "feeder.dss:3, transformer.t: is edited and not there",
            "feeder.dss:4: command frobnicate is not understood",
        ],
    );
}

#[test]
fn files_are_found_whatever_the_case_of_their_letters() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("Parts")).unwrap();
    let part = "new load.l bus1=sourcebus kv=4.16 kw=3 kvar=1";
    std::fs::write(folder.path().join("Parts/LOADS.DSS"), part).unwrap();
    let path = folder.path().join("feeder.dss");
    std::fs::write(&path, format!("{CIRCUIT}redirect parts\\loads.dss")).unwrap();
    let import = cases::opendss::read(&path).unwrap();
    assert!(import.remarks.is_empty(), "{:?}", import.remarks);
    assert_eq!(import.network.loads.len(), 1);
}

#[test]
fn telemetry_of_phase_nodes_is_read_in_volts_and_watts() {
    let Some(folder) = theirs("ieee13_unbal") else { return };
    let network = cases::elements::read_folder(&folder).unwrap().network;
    let path = folder.join("meas_sparse_pmu_s1.csv");
    let (measurements, remarks) = cases::elements::read_measurements(&path, &network).unwrap();
    assert!(remarks.is_empty(), "{remarks:?}");
    let count = |quantity| measurements.iter().filter(|m| m.quantity == quantity).count();
    assert_eq!(measurements.len(), 84);
    assert_eq!(count(Quantity::VoltageAngle), 15);
    assert_eq!(count(Quantity::ActivePower), 25);
    let first = &measurements[0];
    assert_eq!(first.target, Target::Node(network.node_index("sourcebus.1").unwrap()));
    assert!((first.value - 65_984.641_5).abs() < 1e-9);
}

/// One row of telemetry with this kind, element, terminal, unit and value, as it is read.
#[track_caller]
fn check_measured(row: &str, expected: Result<(Quantity, f64), &str>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/opendss/language.dss");
    let network = cases::opendss::read(&script).unwrap().network;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meas.csv");
    let header = "kind,element_type,element_id,terminal,unit_si,value_si,\
                  meas_id,source,phase_node,sigma_si\n";
    std::fs::write(&path, format!("{header}{row},m,scada,b.1,1\n")).unwrap();
    let (read, remarks) = cases::elements::read_measurements(&path, &network).unwrap();
    let said: Vec<String> = remarks.iter().map(ToString::to_string).collect();
    match expected {
        Ok((quantity, value)) => {
            assert!(said.is_empty(), "{said:?}");
            assert_eq!(read[0].quantity, quantity);
            assert!((read[0].value / value - 1.0).abs() < 1e-12, "{}", read[0].value);
        }
        Err(problem) => assert_eq!((read.len(), said), (0, vec![format!("meas.csv:2, {problem}")])),
    }
}

#[test]
fn telemetry_of_conductors_is_in_the_unit_it_says() {
    let line = "branch,line.b,2";
    check_measured(&format!("p_flow,{line},W,1500"), Ok((Quantity::ActivePower, 1500.0)));
    check_measured(&format!("p_flow,{line},MW,1.5"), Ok((Quantity::ActivePower, 1.5e6)));
    check_measured(&format!("p_flow,{line},,1.5"), Ok((Quantity::ActivePower, 1500.0)));
    check_measured(&format!("q_flow,{line},Mvar,2"), Ok((Quantity::ReactivePower, 2e6)));
    check_measured(&format!("i_mag,{line},kA,0.3"), Ok((Quantity::CurrentMagnitude, 300.0)));
    let angle = Ok((Quantity::CurrentAngle, std::f64::consts::PI));
    check_measured(&format!("i_ang,{line},deg,180"), angle);
    check_measured("v_mag,node,b.1,,kV,2.4", Ok((Quantity::VoltageMagnitude, 2400.0)));
    check_measured("v_mag,node,b.1,,V_ln,2400", Ok((Quantity::VoltageMagnitude, 2400.0)));
    check_measured(
        "v_mag,node,b.1,,pu,1",
        Err("column unit_si, v_mag: \"pu\" is no unit of a v_mag"),
    );
    check_measured(
        "p_inj,node,b.1,,kvar,1",
        Err("column unit_si, p_inj: \"kvar\" is no unit of a p_inj"),
    );
}

/// Points of a script, and what a number of each becomes.
#[track_caller]
fn check_points(rows: &str, expected: &Expect) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/opendss/language.dss");
    let network = cases::opendss::read(&script).unwrap().network;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.csv");
    let header = "point,quantity,element,side,phase,unit,sign,sigma,source\n";
    std::fs::write(&path, format!("{header}{rows}")).unwrap();
    let map = cases::point_map::read_unbalanced(&path, &network).unwrap();
    let mut said = String::new();
    for point in &map.points {
        let at = match point.measures {
            Measures::Position { switch, inverted } => format!("switch {switch}, {inverted}"),
            Measures::Tap { element, winding, factor, steps } => {
                let name = &network.elements[element].name;
                format!("{name} {winding} by {factor:.6}{}", if steps { " steps" } else { "" })
            }
            Measures::Value { target, factor, .. } => match target {
                Target::Node(node) => format!("{} by {factor:.6}", network.nodes[node].id),
                Target::Conductor { element, terminal, node } => {
                    let (element, node) = (&network.elements[element], &network.nodes[node]);
                    format!("{} {terminal} {} by {factor:.6}", element.name, node.id)
                }
            },
        };
        said.push_str(&format!("{} {at}\n", point.name));
    }
    expected.assert_eq(&format!("{said}{}", crate::golden::remarks(&map.remarks)));
}

#[test]
fn points_of_conductors_by_bus_and_phase_node_or_load() {
    check_points(
        "a,v_mag,A,,b,V,,1%,\nb,v_mag,a.3,,,kV_ln,,1%,\nc,p_inj,Load.C,,,kW,-,1,meter\n\
         d,q_flow,line.b,to,1,kvar,,1,\ne,i_mag,yd,2,3,A,,1,\nf,status,sw,,,,-,,\n\
         g,v_ang,source,,1,,,0.1,pmu\nh,v_mag,source,,a,pu,,0.1,\n\
         i,tap,euro,to,,,,,\nj,tap,transformer.yd,1,,pu,,,\n",
        &expect![[r#"
            a a.2 by 0.000416
            b a.3 by 0.416358
            c c.1 by -1000.000000
            d line.b 1 b.1 by 1000.000000
            e transformer.yd 1 k.3 by 1.000000
            f switch 0, true
            g source.1 by 1.000000
            h source.1 by 1.000000
            i transformer.euro 1 by 1.000000 steps
            j transformer.yd 0 by 1.000000
        "#]],
    );
}

#[test]
fn faults_of_points_at_conductors_are_told_together() {
    check_points(
        "a,v_mag,aa,,1,V,,1,\nb,v_mag,a,,4,V,,1,\nc,v_mag,a.1,,2,V,,1,\nd,p_inj,load.m,,2,kW,,1,\n\
         e,p_flow,line.b,three,1,kW,,1,\nf,p_flow,sw,from,1,kW,,1,\ng,i_mag,lin.b,from,1,A,,1,\n\
         h,status,line.b,,,,,,\ni,p_inj,load.c,,,pu,,1,\n\
         j,tap,line.b,to,,,,,\nk,tap,euro,3,,,,,\nl,tap,euro,2,,kV,,,\n",
        &expect![[r#"
            Fatal: points.csv:2, column element, a: there is no bus or node "aa"
            Fatal: points.csv:3, column phase, b: "4" is none of the bus's phases 1, 2, 3
            Fatal: points.csv:4, column phase, c: 2 is not the phase of the node a.1
            Fatal: points.csv:5, column element, d: at m.2 there is load.m2, too; name the node,
                with what all of them draw
            Fatal: points.csv:6, column side, e: "three" is none of from, to
            Fatal: points.csv:7, column element, f: line.sw is a switch: measure what lies
                beside it
            Fatal: points.csv:8, column element, g: there is no element "lin.b"; did you mean
                "line.b"?
            Fatal: points.csv:9, column element, h: line.b is no switch
            Fatal: points.csv:10, column unit, i: "pu" is no unit of a p_inj
            Fatal: points.csv:11, column element, j: line.b has no taps
            Fatal: points.csv:12, column side, k: "3" is none of from, to
            Fatal: points.csv:13, column unit, l: "kV" is neither step nor pu
        "#]],
    );
}
