//! Every action that is sent ends once.

use schemas::decision::Action;
use schemas::event::Setpoint;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use super::EmitKernel;
use super::kernel::AssetSaid;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

fn cleared(tick: u64, kw: f64) -> Action {
    Action {
        action_id: format!("{tick}:b1:0"),
        tick_at: Timestamp(tick * 5_000),
        asset_id: "b1".to_owned(),
        feeder_id: "f".to_owned(),
        actor: "dispatch".to_owned(),
        state: "cleared".to_owned(),
        active_power_kw: kw,
        valid_until_at: Timestamp((tick + 3) * 5_000),
        rule: "guard".to_owned(),
        reason: String::new(),
        saw: String::new(),
    }
}

/// What a tick brings: an action's power, and what the device says of the step that the tick ends.
type Tick = (Option<f64>, Option<f64>);

fn step(kernel: &mut EmitKernel, tick: u64, (asked, said): Tick) -> (Vec<Action>, Vec<Setpoint>) {
    let asked: Vec<Action> = asked.map(|kw| cleared(tick, kw)).into_iter().collect();
    let row = |kw| AssetSaid {
        asset_id: "b1".to_owned(),
        feeder_id: "f".to_owned(),
        measured_at: Some(Timestamp(tick * 5_000 - 1_000)),
        active_power_kw: Some(kw),
    };
    let said: Vec<AssetSaid> = said.map(row).into_iter().collect();
    let changes =
        [Change::of(&asked, vec![1; asked.len()]), Change::of(&said, vec![1; said.len()])];
    let out = kernel.step(Timestamp(tick * 5_000), &changes);
    (Action::from_batch(&out[0]).unwrap(), Setpoint::from_batch(&out[1]).unwrap())
}

/// The ticks begin at 1; expected are `tick id state`, the id being the tick of the action.
#[track_caller]
fn check(ticks: &[Tick], expected: &str) {
    let mut kernel = EmitKernel::new(Settings::default());
    let mut told = Vec::new();
    for (n, tick) in ticks.iter().enumerate() {
        for action in step(&mut kernel, n as u64 + 1, *tick).0 {
            let id = action.action_id.split(':').next().unwrap().to_owned();
            told.push(format!("{} {id} {}", action.tick_at.0 / 5_000, action.state));
        }
    }
    assert_eq!(told.join(", "), expected);
}

#[test]
fn telemetry_within_a_fifth_of_a_kilowatt_confirms() {
    check(&[(Some(2.0), Some(0.0)), (None, Some(1.85))], "1 1 sent, 2 1 confirmed");
}

#[test]
fn two_ticks_are_enough() {
    check(&[(Some(2.0), None), (None, None), (None, Some(2.0))], "1 1 sent, 3 1 confirmed");
}

#[test]
fn after_two_ticks_it_has_failed() {
    let ticks = [(Some(2.0), Some(0.0)), (None, Some(0.0)), (None, Some(1.7)), (None, Some(2.0))];
    check(&ticks, "1 1 sent, 3 1 failed");
}

#[test]
fn who_is_always_late_is_given_the_time_he_takes_and_not_more() {
    let mut ticks: Vec<Tick> = Vec::new();
    for n in 0..10 {
        let (before, kw) = if n % 2 == 0 { (0.0, 3.0) } else { (3.0, 0.0) };
        ticks.push((Some(kw), Some(before)));
        ticks.extend([(None, Some(before)); 3]);
        ticks.extend([(None, Some(kw)); 2]);
    }
    // Then it does nothing any more.
    ticks.push((Some(3.0), Some(0.0)));
    ticks.extend([(None, Some(0.0)); 8]);
    let mut kernel = EmitKernel::new(Settings::default());
    let mut ends = Vec::new();
    for (n, tick) in ticks.iter().enumerate() {
        let said = step(&mut kernel, n as u64 + 1, *tick).0;
        for action in said.into_iter().filter(|action| action.state != "sent") {
            let sent: u64 = action.action_id.split(':').next().unwrap().parse().unwrap();
            ends.push((action.state, action.tick_at.0 / 5_000 - sent));
        }
    }
    let (failed, confirmed) = ("failed".to_owned(), "confirmed".to_owned());
    let mut expected = vec![(failed.clone(), 2); 4];
    expected.extend(vec![(confirmed, 4); 6]);
    expected.push((failed, 5));
    assert_eq!(ends, expected);
}

#[test]
fn a_newer_one_supersedes() {
    let ticks = [(Some(2.0), None), (Some(3.0), Some(0.0)), (None, Some(3.0))];
    check(&ticks, "1 1 sent, 2 1 superseded, 2 2 sent, 3 2 confirmed");
}

#[test]
fn what_telemetry_confirms_is_not_superseded() {
    let ticks = [(Some(2.0), None), (Some(3.0), Some(2.0)), (None, Some(3.0))];
    check(&ticks, "1 1 sent, 2 1 confirmed, 2 2 sent, 3 2 confirmed");
}

#[test]
fn a_newer_one_at_the_last_tick_supersedes_and_does_not_fail() {
    let ticks = [(Some(2.0), None), (None, None), (Some(2.5), None), (None, Some(2.5))];
    check(&ticks, "1 1 sent, 3 1 superseded, 3 3 sent, 4 3 confirmed");
}

#[test]
fn what_the_device_did_before_confirms_nothing() {
    // It says 2 kW of the step before the send, and is silent then.
    check(&[(Some(2.0), Some(2.0)), (None, None), (None, None)], "1 1 sent, 3 1 failed");
}

#[test]
fn a_setpoint_leaves_at_the_tick_that_cleared_it() {
    let mut kernel = EmitKernel::new(Settings::default());
    let (_, setpoints) = step(&mut kernel, 4, (Some(2.0), None));
    let expected = Setpoint {
        action_id: "4:b1:0".to_owned(),
        asset_id: "b1".to_owned(),
        tick_at: Timestamp(20_000),
        active_power_kw: 2.0,
        valid_until_at: Timestamp(35_000),
    };
    assert_eq!(setpoints, [expected]);
}

#[test]
fn what_was_refused_does_not_leave() {
    let mut kernel = EmitKernel::new(Settings::default());
    let refused = Action { state: "refused".to_owned(), ..cleared(1, 2.0) };
    let changes = [Change::of(&[refused], vec![1]), Change::none(AssetSaid::schema())];
    let out = kernel.step(Timestamp(5_000), &changes);
    assert_eq!((out[0].num_rows(), out[1].num_rows()), (0, 0));
}

#[test]
fn an_open_action_survives_a_restart_and_ends_once() {
    let mut kernel = EmitKernel::new(Settings::default());
    step(&mut kernel, 1, (Some(2.0), None));
    let mut other = EmitKernel::new(Settings::default());
    other.restore(&kernel.save()).unwrap();
    let told = |kernel: &mut EmitKernel| step(kernel, 2, (None, Some(2.0))).0;
    assert_eq!(told(&mut other), told(&mut kernel));
    assert!(other.save().is_empty());
}
