//! One case a rule, and what happens where several meet.

use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::FeederNow;
use schemas::time::Timestamp;

use super::GuardKernel;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

const AT: Timestamp = Timestamp(50_000);

fn battery(id: &str, soc_kwh: f64, power_kw: f64) -> AssetState {
    AssetState {
        asset_id: id.to_owned(),
        feeder_id: "f".to_owned(),
        kind: "battery".to_owned(),
        power_kw_min: -5.0,
        power_kw_max: 5.0,
        ramp_kw_max: 6.0,
        energy_kwh_max: 6.4,
        efficiency: 0.95,
        measured_at: Some(Timestamp(49_000)),
        active_power_kw: Some(power_kw),
        state_of_charge_kwh: Some(soc_kwh),
    }
}

fn head(head_kw: f64) -> FeederNow {
    let measured_at = Timestamp(49_000);
    FeederNow { feeder_id: "f".to_owned(), measured_at, head_kw, limit_kw: 100.0 }
}

fn wish(actor: &str, asset: &str, kw: f64) -> Action {
    let sequence = u8::from(actor != "dispatch");
    Action {
        action_id: format!("50000:{asset}:{sequence}"),
        tick_at: AT,
        asset_id: asset.to_owned(),
        feeder_id: "f".to_owned(),
        actor: actor.to_owned(),
        state: "proposed".to_owned(),
        active_power_kw: kw,
        valid_until_at: Timestamp(65_000),
        rule: "shave".to_owned(),
        reason: "a wish".to_owned(),
        saw: String::new(),
    }
}

fn judge(head: FeederNow, assets: &[AssetState], wishes: &[Action]) -> (Vec<Action>, Vec<Alarm>) {
    let changes = [
        Change::of(wishes, vec![1; wishes.len()]),
        Change::of(&[head], vec![1]),
        Change::of(assets, vec![1; assets.len()]),
    ];
    let out = GuardKernel::new(Settings::default()).step(AT, &changes);
    (Action::from_batch(&out[0]).unwrap(), Alarm::from_batch(&out[1]).unwrap())
}

/// Expected are `id state` or `id rule` of each, in the order judged.
#[track_caller]
fn check(head: FeederNow, assets: &[AssetState], wishes: &[Action], expected: &str) {
    let (actions, _) = judge(head, assets, wishes);
    let told = |a: &Action| {
        let outcome = if a.state == "refused" { &a.rule } else { &a.state };
        format!("{}:{} {outcome}", a.actor, a.asset_id)
    };
    assert_eq!(actions.iter().map(told).collect::<Vec<_>>().join(", "), expected);
}

#[track_caller]
fn check_one(asset: AssetState, kw: f64, expected: &str) {
    check(head(60.0), &[asset], &[wish("dispatch", "b1", kw)], &format!("dispatch:b1 {expected}"));
}

#[test]
fn what_breaks_no_rule_is_cleared() {
    check_one(battery("b1", 3.2, 0.0), 5.0, "cleared");
    check_one(battery("b1", 3.2, 0.0), -5.0, "cleared");
}

#[test]
fn an_unknown_device_is_refused() {
    check_one(battery("b2", 3.2, 0.0), 1.0, "unknown-asset");
}

#[test]
fn a_device_of_another_feeder_is_unknown() {
    let asset = AssetState { feeder_id: "g".to_owned(), ..battery("b1", 3.2, 0.0) };
    check_one(asset, 1.0, "unknown-asset");
}

#[test]
fn what_is_no_number_is_refused() {
    check_one(battery("b1", 3.2, 0.0), f64::NAN, "not-a-number");
    check_one(battery("b1", 3.2, 0.0), f64::INFINITY, "not-a-number");
}

#[test]
fn what_has_run_out_is_refused() {
    let late = Action { valid_until_at: AT, ..wish("trader", "b1", 1.0) };
    check(head(60.0), &[battery("b1", 3.2, 0.0)], &[late], "trader:b1 expired");
}

#[test]
fn the_box_is_kept() {
    check_one(battery("b1", 3.2, 0.0), 5.1, "box");
    check_one(battery("b1", 3.2, 0.0), -5.1, "box");
}

#[test]
fn a_silent_device_is_refused() {
    let silent = |measured_at| AssetState { measured_at, ..battery("b1", 3.2, 0.0) };
    check_one(silent(None), 1.0, "age");
    check_one(silent(Some(Timestamp(29_999))), 1.0, "age");
    check_one(silent(Some(Timestamp(30_000))), 1.0, "cleared");
}

#[test]
fn a_device_that_does_not_say_its_energy_is_refused() {
    let vague = AssetState { state_of_charge_kwh: None, ..battery("b1", 3.2, 0.0) };
    check_one(vague.clone(), 1.0, "age");
    check_one(AssetState { energy_kwh_max: 0.0, ..vague }, 1.0, "cleared");
}

#[test]
fn energy_must_last_until_the_action_runs_out() {
    // 5 kW for 15 s take 0.0219 kWh out of the store; 0.128 kWh is the floor.
    check_one(battery("b1", 0.151, 0.0), 5.0, "cleared");
    check_one(battery("b1", 0.149, 0.0), 5.0, "soc");
    // Charging them puts 0.0198 kWh in.
    check_one(battery("b1", 6.380, 0.0), -5.0, "cleared");
    check_one(battery("b1", 6.381, 0.0), -5.0, "soc");
}

#[test]
fn the_ramp_is_from_what_the_device_does() {
    check_one(battery("b1", 3.2, -2.0), 4.0, "cleared");
    check_one(battery("b1", 3.2, -2.0), 4.1, "ramp");
}

#[test]
fn one_action_a_device_a_tick_and_dispatch_goes_first() {
    let wishes = [wish("trader", "b1", 1.0), wish("dispatch", "b1", 2.0)];
    let expected = "dispatch:b1 cleared, trader:b1 one-per-tick";
    check(head(60.0), &[battery("b1", 3.2, 0.0)], &wishes, expected);
}

#[test]
fn a_refused_wish_leaves_the_device_to_the_next() {
    let wishes = [wish("trader", "b1", 1.0), wish("dispatch", "b1", 9.0)];
    check(head(60.0), &[battery("b1", 3.2, 0.0)], &wishes, "dispatch:b1 box, trader:b1 cleared");
}

fn two() -> [AssetState; 2] {
    [battery("b1", 3.2, 0.0), battery("b2", 3.2, 0.0)]
}

#[test]
fn what_would_make_an_excess_is_refused_last_in_order_first() {
    let wishes = [wish("dispatch", "b1", -4.0), wish("trader", "b2", -4.0)];
    check(head(92.0), &two(), &wishes, "dispatch:b1 cleared, trader:b2 cleared");
    check(head(95.0), &two(), &wishes, "dispatch:b1 cleared, trader:b2 feeder-limit");
    check(head(98.0), &two(), &wishes, "dispatch:b1 feeder-limit, trader:b2 feeder-limit");
}

#[test]
fn a_command_of_another_may_go_up_to_the_limit_and_not_a_watt_beyond() {
    let asks = |kw: f64| [wish("trader", "b2", -kw)];
    check(head(96.0), &two(), &asks(4.0), "trader:b2 cleared");
    check(head(96.0), &two(), &asks(4.001), "trader:b2 feeder-limit");
    // At the limit and above it there is no room, however little is asked for.
    check(head(100.0), &two(), &asks(0.001), "trader:b2 feeder-limit");
    check(head(120.0), &two(), &asks(0.5), "trader:b2 feeder-limit");
    check(head(120.0), &two(), &asks(0.001), "trader:b2 feeder-limit");
    check(head(120.0), &two(), &asks(0.0), "trader:b2 cleared");
}

#[test]
fn giving_less_while_above_the_limit_adds_to_the_excess() {
    let gives = [battery("b1", 3.2, 0.0), battery("b2", 3.2, 3.0)];
    let asks = |actor: &str, kw| [wish(actor, "b2", kw)];
    check(head(120.0), &gives, &asks("trader", 2.9), "trader:b2 feeder-limit");
    check(head(120.0), &gives, &asks("trader", 3.0), "trader:b2 cleared");
    check(head(120.0), &gives, &asks("dispatch", 2.8), "dispatch:b2 feeder-limit");
    check(head(120.0), &gives, &asks("dispatch", 0.0), "dispatch:b2 feeder-limit");
}

#[test]
fn what_lowers_an_excess_makes_no_room_above_the_limit_for_others() {
    let wishes = [wish("dispatch", "b1", 5.0), wish("trader", "b2", -4.0)];
    check(head(101.0), &two(), &wishes, "dispatch:b1 cleared, trader:b2 cleared");
    check(head(101.1), &two(), &wishes, "dispatch:b1 cleared, trader:b2 feeder-limit");
    check(head(130.0), &two(), &wishes, "dispatch:b1 cleared, trader:b2 feeder-limit");
}

#[test]
fn dispatch_may_shift_from_one_device_to_another_if_the_sum_adds_nothing() {
    let gives = [battery("b1", 3.2, 0.0), battery("b2", 3.2, 3.0)];
    let shifts = |kw| [wish("dispatch", "b1", kw), wish("dispatch", "b2", 1.0)];
    check(head(120.0), &gives, &shifts(2.0), "dispatch:b1 cleared, dispatch:b2 cleared");
    check(head(120.0), &gives, &shifts(1.9), "dispatch:b1 cleared, dispatch:b2 feeder-limit");
}

#[test]
fn a_renewal_that_telemetry_does_not_match_to_the_watt_is_not_refused() {
    // The devices say a little more than they are told to go on with.
    let gives = [battery("b1", 3.2, 3.01), battery("b2", 3.2, 3.09)];
    let renewals = [wish("dispatch", "b1", 3.0), wish("dispatch", "b2", 3.0)];
    check(head(120.0), &gives, &renewals, "dispatch:b1 cleared, dispatch:b2 cleared");
    let beyond = [battery("b1", 3.2, 3.01), battery("b2", 3.2, 3.11)];
    check(head(120.0), &beyond, &renewals, "dispatch:b1 cleared, dispatch:b2 feeder-limit");
    // Who draws adds to the excess as long as he does.
    let draws = [battery("b1", 3.2, -2.99), battery("b2", 3.2, 0.0)];
    let renewal = [wish("dispatch", "b1", -3.0)];
    check(head(120.0), &draws, &renewal, "dispatch:b1 feeder-limit");
}

#[test]
fn who_calls_himself_dispatch_is_judged_as_another() {
    let commanded = |kw| Action { rule: "commanded".to_owned(), ..wish("dispatch", "b2", kw) };
    let gives = [battery("b1", 3.2, 0.0), battery("b2", 3.2, 3.01)];
    check(head(120.0), &gives, &[commanded(3.0)], "dispatch:b2 feeder-limit");
    let (_, alarms) = judge(head(60.0), &two(), &[commanded(9.0)]);
    assert_eq!(alarms.len(), 1);
}

#[test]
fn where_the_head_is_no_number_nothing_may_draw_more() {
    let wishes = [wish("dispatch", "b1", -1.0), wish("dispatch", "b2", 1.0)];
    let expected = "dispatch:b1 feeder-limit, dispatch:b2 cleared";
    check(head(f64::NAN), &two(), &wishes, expected);
}

#[test]
fn what_lowers_an_excess_is_never_refused_for_it() {
    let wishes = [wish("dispatch", "b1", 4.0), wish("trader", "b2", 1.0)];
    check(head(140.0), &two(), &wishes, "dispatch:b1 cleared, trader:b2 cleared");
}

#[test]
fn what_another_action_makes_room_for_is_cleared() {
    let wishes = [wish("dispatch", "b1", 4.0), wish("trader", "b2", -4.0)];
    check(head(99.0), &two(), &wishes, "dispatch:b1 cleared, trader:b2 cleared");
}

#[test]
fn where_the_head_is_not_known_nothing_may_draw_more() {
    let silent = FeederNow { measured_at: Timestamp(29_000), ..head(10.0) };
    let wishes = [wish("dispatch", "b1", -1.0), wish("dispatch", "b2", 1.0)];
    check(silent, &two(), &wishes, "dispatch:b1 age, dispatch:b2 cleared");
}

#[test]
fn a_refused_command_of_another_raises_an_alarm_and_ours_does_not() {
    let wishes = [wish("trader", "b1", 9.0), wish("dispatch", "b2", 9.0)];
    let (actions, alarms) = judge(head(60.0), &two(), &wishes);
    assert!(actions.iter().all(|action| action.state == "refused" && action.rule == "box"));
    assert_eq!(alarms.len(), 1);
    let alarm = &alarms[0];
    assert_eq!((alarm.kind.as_str(), alarm.state.as_str()), ("command-refused", "raised"));
    assert_eq!(alarm.subject, "50000:b1:1");
    assert_eq!((alarm.value, alarm.limit_value), (9.0, 5.0));
    assert_eq!(alarm.reason, "box: 9.000 kW is above 5 kW; a wish");
    assert_eq!(alarm.saw, actions[1].saw);
}

#[test]
fn a_verdict_names_what_it_saw() {
    let (actions, _) = judge(head(60.0), &two(), &[wish("dispatch", "b1", 1.0)]);
    assert_eq!(
        actions[0].saw,
        "asset_state@50000 power_kw=0.000 soc_kwh=3.200 measured_at=1970-01-01T00:00:49Z; \
         feeder_now@50000 head_kw=60.000 limit_kw=100"
    );
}
