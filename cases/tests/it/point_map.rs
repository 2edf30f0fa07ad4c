//! The point map: what telemetry calls things, in the network's terms.

use std::path::PathBuf;

use cases::folder;
use cases::point_map;
use cases::point_map::Measures;
use cases::point_map::Point;
use cases::point_map::PointMap;
use expect_test::Expect;
use expect_test::expect;
use grid::BusIndex;
use grid::Network;
use grid::network::Equivalent;
use grid::network::ThreeWinding;
use grid::network::Winding;

use crate::golden;
use crate::places;

/// cigre_mv: 20 kV, base 1 MVA.
fn network() -> Network {
    folder::read(&places::ours("cigre_mv")).unwrap().network
}

fn read(text: &str) -> PointMap {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("points.csv");
    std::fs::write(&path, text).unwrap();
    point_map::read(&path, &network()).unwrap()
}

const HEADER: &str =
    "point,quantity,element,side,unit,scale,sign,sigma,sigma_min,interval,stale_after,source\n";

/// One row, and what a number of the telemetry becomes.
#[track_caller]
fn check(row: &str, number: f64, expected: &Expect) {
    let map = read(&format!("{HEADER}{row}\n"));
    assert_eq!(golden::remarks(&map.remarks), "");
    let point = &map.points[0];
    let measured = point.measurement(number).unwrap();
    let (quantity, target) = (measured.quantity, measured.target);
    let said = format!(
        "{quantity:?} {target:?}\n{:.9} +- {:.9} {:?} {:?}",
        measured.value, measured.sigma, point.averaging, point.stale_after_s
    );
    expected.assert_eq(&said);
}

#[test]
fn a_flow_in_kilowatts_with_a_percentage() {
    check(
        "F.P,p_flow,L12,from,kW,,,1.5%,2,instant,60,",
        800.0,
        &expect![[r#"
        ActivePower BranchEnd(BranchIndex(12), From)
        0.800000000 +- 0.012000000 Instant Some(60.0)"#]],
    );
}

#[test]
fn a_percentage_of_little_is_its_least() {
    check(
        "F.P,p_flow,L12,from,kW,,,1.5%,2,instant,60,",
        8.0,
        &expect![[r#"
        ActivePower BranchEnd(BranchIndex(12), From)
        0.008000000 +- 0.002000000 Instant Some(60.0)"#]],
    );
}

#[test]
fn a_current_through_a_transformer_nobody_configured() {
    check(
        "F.I,i_mag,L12,to,A,0.2,,2,,,,",
        300.0,
        &expect![[r#"
        CurrentMagnitude BranchEnd(BranchIndex(12), To)
        2.078460969 +- 0.069282032 Instant None"#]],
    );
}

#[test]
fn a_consumption_counted_as_positive_over_a_quarter_of_an_hour() {
    check(
        "M.P,p_inj,LD1,,kW,,-,5,,900,7200,meter",
        276.45,
        &expect![[r#"
        ActivePower Injection(InjectionIndex(1))
        -0.276450000 +- 0.005000000 Mean(900.0) Some(7200.0)"#]],
    );
}

#[test]
fn a_voltage_whose_percentage_is_of_the_nominal_one() {
    check(
        "B.U,v_mag,B3,,,,,0.5%,,,,",
        19.8,
        &expect![[r#"
            VoltageMagnitude Bus(BusIndex(3))
            0.990000000 +- 0.005000000 Instant None"#]],
    );
}

#[test]
fn an_angle_in_degrees_and_a_total_at_a_bus() {
    check(
        "B.A,v_ang,B3,,,,,0.5,,,,scada",
        -30.0,
        &expect![[r#"
            VoltageAngle Bus(BusIndex(3))
            -0.523598776 +- 0.008726646 Instant None"#]],
    );
    check(
        "B.Q,q_inj,B3,,Mvar,,+,0.1,,,,",
        -0.5,
        &expect![[r#"
            ReactivePower Bus(BusIndex(3))
            -0.500000000 +- 0.100000000 Instant None"#]],
    );
}

#[test]
fn positions_of_switches_either_way() {
    let map = read(&format!("{HEADER}a,status,S0,,,,,,,,,\nb,status,S1,,,,-,,,,,\n"));
    assert_eq!(golden::remarks(&map.remarks), "");
    let [a, b] = map.points.as_slice() else { panic!() };
    assert_eq!([a.position(1.0), a.position(0.0)], [Some((0, true)), Some((0, false))]);
    assert_eq!([b.position(1.0), b.position(0.0)], [Some((1, false)), Some((1, true))]);
    assert_eq!([a.position(2.0), a.position(f64::NAN)], [None, None]);
    assert_eq!((a.measurement(1.0), b.measurement(1.0)), (None, None));
}

#[test]
fn no_number_is_no_measurement() {
    let map = read(&format!("{HEADER}B.U,v_mag,B3,,,,,0.5%,,,,\n"));
    assert_eq!(map.points[0].measurement(f64::NAN), None);
}

#[test]
fn a_phasor_is_two_rows_of_one_name_in_the_units_of_its_frames() {
    let map = read(
        "point,quantity,element,side,sigma,source\nU,v_mag,B3,,20,pmu\nU,v_ang,B3,,0.001,pmu\n\
         I,i_mag,L12,from,1,pmu\nI,i_ang,L12,from,0.001,pmu\n",
    );
    assert!(map.is_whole(), "{}", golden::remarks(&map.remarks));
    // 20 kV between lines is 11547 V of a phase; the base of currents is 1 MVA / (sqrt 3 20 kV).
    let numbers = [11_547.005_38, 0.5, 28.867_513_46, -0.2];
    let measured = map.points.iter().zip(numbers).map(|(p, n)| p.measurement(n).unwrap().value);
    let expected = [1.0, 0.5, 1.0, -0.2];
    assert!(measured.zip(expected).all(|(is, should)| (is - should).abs() < 1e-9));
    assert!(!read("point,quantity,element,sigma\nU,v_mag,B3,1\nU,v_ang,B3,1\n").is_whole());
}

#[test]
fn what_a_value_loses_and_can_be_is_in_its_unit() {
    let header = "point,quantity,element,side,unit,sign,sigma,drift,min,max\n";
    let map = read(&format!("{header}P,p_flow,L12,from,kW,-,5,0.5,-900,300\n"));
    let Measures::Value { drift_per_s, range, .. } = map.points[0].measures else { panic!() };
    assert_eq!((drift_per_s, range), (Some(0.000_5), (-0.9, 0.3)));
    let wrong = read(&format!("{header}P,p_flow,L12,from,kW,-,5,-1,2,1\n"));
    let said = golden::remarks(&wrong.remarks);
    assert!(said.contains("column drift") && said.contains("lies above max"), "{said}");
}

#[test]
fn all_faults_are_told_at_once_with_what_may_be_meant() {
    let map = read(
        "point,quantity,element,side,unit,scale,sign,sigma,sigma_min,interval,stale_after,source,\
colour
a,p_flow,l12,from,kW,,,1.5%,2,instant,60,,red
b,p_flw,L1,from,,,,1,,,,,
c,p_flow,L1,middle,kV,0,*,-1,-1,0,-5,sms,
a,v_mag,B3,,kV,,-,0,,,,,
d,p_inj,LD99,,MW,,,2%,,900,60,,
e,v_ang,B3,to,deg,,,2%,,,,,
f,status,S77,,,,,,,,,,
g,status,S7,,kV,,,,,,,,
,v_mag,B3,,kV,,,,,,,,
h,v_mag,Bus 33,,kV,x,,1 kV,,,,,
",
    );
    assert!(!map.is_whole());
    assert_eq!(map.points.len(), 1);
    expect![[r#"
        Warning: points.csv:1: the column "colour" is not read; known are point, quantity,
            element, side, unit, scale, sign, sigma, sigma_min, drift, min, max, interval,
            stale_after, source
        Fatal: points.csv:2, column element, a: there is no branch "l12"; did you mean
            "L12"?
        Fatal: points.csv:3, column quantity, b: "p_flw" is none of v_mag, v_ang, p_inj,
            q_inj, p_flow, q_flow, i_mag, i_ang, status, tap; did you mean "p_flow"?
        Fatal: points.csv:4, column sign, c: "*" is neither + nor -
        Fatal: points.csv:4, column interval, c: 0 s must be above zero
        Fatal: points.csv:4, column stale_after, c: -5 s must be above zero
        Fatal: points.csv:4, column source, c: "sms" is none of scada, meter, pmu, pseudo
        Fatal: points.csv:4, column scale, c: 0 leaves nothing of a value
        Fatal: points.csv:4, column side, c: "middle" is neither from nor to
        Fatal: points.csv:4, column unit, c: "kV" is no unit of a p_flow
        Fatal: points.csv:4, column sigma_min, c: it must not be below zero
        Fatal: points.csv:4, column sigma, c: -1 must be above zero
        Fatal: points.csv:5, column point, a: is on line 2 already
        Fatal: points.csv:5, column sign, a: a magnitude has none
        Fatal: points.csv:5, column sigma, a: 0 must be above zero
        Warning: points.csv:6, column stale_after, d: 60 s are over before the next mean of
            900 s is there
        Fatal: points.csv:6, column element, d: there is no injection or bus "LD99"; did you
            mean "LD9"?
        Fatal: points.csv:6, column sigma_min, d: is needed beside a percentage: of nothing
            it is nothing
        Note: points.csv:7, column side, e: only a branch has sides: passed over
        Fatal: points.csv:7, column sigma, e: an angle has no percentage; give it in the
            unit
        Fatal: points.csv:8, column element, f: there is no switch "S77"; did you mean
            "S17"?
        Note: points.csv:9, column unit, g: a switch has none: passed over
        Fatal: points.csv:10, column point: is empty; telemetry has a name
        Fatal: points.csv:10, column sigma: is empty; a number is needed
        Fatal: points.csv:11, column scale, h: "x" is not a number
        Fatal: points.csv:11, column element, h: there is no bus "Bus 33"; did you mean "Bus
            13"?
        Fatal: points.csv:11, column sigma, h: "1 kV" is not a number
    "#]]
    .assert_eq(&golden::remarks(&map.remarks));
}

/// cigre_mv with a transformer of three windings at its first buses.
#[track_caller]
fn check_winding(rows: &str, expected: &Expect) {
    let mut network = network();
    let winding =
        |bus, rated_kv| Winding { bus: BusIndex(bus), rated_kv, rated_mva: 5.0, shift_deg: 0.0 };
    network.three_winding.push(ThreeWinding {
        id: "TW0".to_owned(),
        name: String::new(),
        windings: [winding(0, 110.0), winding(1, 20.0), winding(2, 20.0)],
        vk_percent: [8.0, 7.0, 9.0],
        vkr_percent: [0.4, 0.4, 0.4],
        pfe_kw: 6.0,
        i0_percent: 0.1,
        tap: None,
        losses_at: 0,
        equivalent: Equivalent::default(),
        in_service: true,
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.csv");
    std::fs::write(&path, format!("{HEADER}{rows}")).unwrap();
    let map = point_map::read(&path, &network).unwrap();
    let at = |point: &Point| {
        let measured = point.measurement(100.0).unwrap();
        let (of, winding) = measured.target.as_winding(&network).unwrap();
        let bus = &network.buses[measured.target.bus(&network).0].id;
        format!("{of} winding {winding} at {bus}: {:.6}\n", measured.value)
    };
    let said: String = map.points.iter().map(at).collect();
    expected.assert_eq(&format!("{said}{}", golden::remarks(&map.remarks)));
}

#[test]
fn windings_of_a_transformer_go_by_word_or_number() {
    check_winding(
        "a,p_flow,TW0,hv,kW,,,1,,,,\nb,q_flow,TW0,2,kvar,,,1,,,,\nc,i_mag,TW0,lv,A,,,1,,,,\n",
        &expect![[r#"
            0 winding 0 at B0: 0.100000
            0 winding 1 at B1: 0.100000
            0 winding 2 at B2: 3.464102
        "#]],
    );
}

#[test]
fn an_end_that_a_transformer_of_three_windings_has_not_is_a_fault() {
    check_winding(
        "a,p_flow,TW0,from,kW,,,1,,,,\nb,p_flow,TW1,hv,kW,,,1,,,,\n",
        &expect![[r#"
            Fatal: points.csv:2, column side, a: "from" is none of hv, mv, lv, 1, 2, 3
            Fatal: points.csv:3, column side, b: "hv" is neither from nor to
            Fatal: points.csv:3, column element, b: there is no branch "TW1"; did you mean "T1"?
        "#]],
    );
}

#[test]
fn a_map_without_its_columns_is_no_map() {
    expect![[r#"
        Warning: points.csv:1: the column "name" is not read; known are point, quantity,
            element, side, unit, scale, sign, sigma, sigma_min, drift, min, max, interval,
            stale_after, source
        Warning: points.csv:1: the column "what" is not read; known are point, quantity,
            element, side, unit, scale, sign, sigma, sigma_min, drift, min, max, interval,
            stale_after, source
        Fatal: points.csv:1: has no column point, quantity, element; it names name, what
    "#]]
    .assert_eq(&golden::remarks(&read("name,what\na,b\n").remarks));
}
