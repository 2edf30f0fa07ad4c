//! What is asked of whom, and when a command leaves.

use schemas::decision::Action;
use schemas::decision::Forecast;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::FeederNow;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::DispatchKernel;
use super::kernel::QuarterSaid;
use crate::forecast::feeder::RULE_VERSION;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// One feeder of 100 kW with two batteries; ticks are numbered.
struct Desk {
    kernel: DispatchKernel,
    soc_kwh: [f64; 2],
}

fn battery(n: usize, tick: u64, kw: f64, soc_kwh: f64) -> AssetState {
    AssetState {
        asset_id: format!("b{n}"),
        feeder_id: "f".to_owned(),
        kind: "battery".to_owned(),
        power_kw_min: -5.0,
        power_kw_max: 5.0,
        ramp_kw_max: 10.0,
        energy_kwh_max: 6.4,
        efficiency: 0.95,
        measured_at: Some(Timestamp(tick * 5_000 - 1_000)),
        active_power_kw: Some(kw),
        state_of_charge_kwh: Some(soc_kwh),
    }
}

impl Desk {
    fn new(settings: Settings, soc_kwh: [f64; 2]) -> Desk {
        Desk { kernel: DispatchKernel::new(settings), soc_kwh }
    }

    /// A tick at which the head and the batteries said this, `None` where it was lost.
    fn tick(
        &mut self,
        tick: u64,
        head_kw: Option<f64>,
        said: [Option<f64>; 2],
        forecasts: &[Forecast],
    ) -> Vec<Action> {
        let at = Timestamp(tick * 5_000);
        let head = head_kw.map(|head_kw| FeederNow {
            feeder_id: "f".to_owned(),
            measured_at: at.minus(1_000),
            head_kw,
            limit_kw: 100.0,
        });
        let heads: Vec<FeederNow> = head.into_iter().collect();
        let state = |(n, kw): (usize, Option<f64>)| Some(battery(n, tick, kw?, self.soc_kwh[n]));
        let assets: Vec<AssetState> = said.into_iter().enumerate().filter_map(state).collect();
        let changes = [
            Change::of(&heads, vec![1; heads.len()]),
            Change::of(&assets, vec![1; assets.len()]),
            Change::of(forecasts, vec![1; forecasts.len()]),
            Change::none(QuarterSaid::schema()),
        ];
        Action::from_batch(&self.kernel.step(at, &changes)[0]).unwrap()
    }

    /// Expected are `device kW` of the commands that leave.
    #[track_caller]
    fn check(&mut self, tick: u64, head_kw: f64, said: [f64; 2], expected: &str) {
        let actions = self.tick(tick, Some(head_kw), said.map(Some), &[]);
        assert_eq!(brief(&actions), expected, "tick {tick}");
    }
}

fn brief(actions: &[Action]) -> String {
    let one = |a: &Action| format!("{} {}", a.asset_id, a.active_power_kw);
    actions.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn desk() -> Desk {
    Desk::new(Settings::default(), [3.2, 3.2])
}

#[test]
fn above_0_96_of_the_limit_they_give_the_difference() {
    desk().check(10, 104.0, [0.0, 0.0], "b0 4, b1 4");
}

#[test]
fn what_they_give_already_belongs_to_the_load() {
    desk().check(10, 98.0, [3.0, 3.0], "b0 4, b1 4");
}

#[test]
fn between_charging_and_giving_nothing_is_asked() {
    desk().check(10, 93.0, [0.0, 0.0], "");
    desk().check(10, 95.9, [0.0, 0.0], "");
}

#[test]
fn they_charge_from_what_is_left_under_0_92() {
    desk().check(10, 86.0, [0.0, 0.0], "b0 -3, b1 -3");
    desk().check(10, -50.0, [0.0, 0.0], "b0 -5, b1 -5");
}

#[test]
fn the_fuller_gives_more_and_the_full_does_not_charge() {
    Desk::new(Settings::default(), [4.928, 2.528]).check(10, 102.0, [0.0, 0.0], "b0 4, b1 2");
    Desk::new(Settings::default(), [6.4, 3.2]).check(10, 86.0, [0.0, 0.0], "b1 -5");
}

#[test]
fn a_small_excess_is_given_to_few() {
    desk().check(10, 97.5, [0.0, 0.0], "b0 1.5");
}

#[test]
fn a_command_leaves_again_when_the_wish_moved() {
    let mut desk = desk();
    desk.check(10, 104.0, [0.0, 0.0], "b0 4, b1 4");
    desk.check(11, 96.1, [4.0, 4.0], "");
    desk.check(12, 96.4, [4.0, 4.0], "b0 4.2, b1 4.2");
}

#[test]
fn a_command_leaves_again_before_it_runs_out_at_the_value_then_wished() {
    let mut desk = desk();
    desk.check(10, 104.0, [0.0, 0.0], "b0 4, b1 4");
    desk.check(11, 96.0, [4.0, 4.0], "");
    desk.check(12, 96.1, [4.0, 4.0], "b0 4.05, b1 4.05");
    desk.check(13, 96.0, [4.05, 4.05], "");
    desk.check(14, 96.0, [4.05, 4.05], "b0 4.05, b1 4.05");
}

#[test]
fn zero_is_commanded_once_and_not_again() {
    let mut desk = desk();
    desk.check(10, 104.0, [0.0, 0.0], "b0 4, b1 4");
    desk.check(11, 86.0, [4.0, 4.0], "b0 0, b1 0");
    desk.check(12, 94.0, [0.0, 0.0], "");
    desk.check(13, 94.0, [0.0, 0.0], "");
    desk.check(14, 94.0, [0.0, 0.0], "");
}

#[test]
fn a_device_that_did_not_hear_is_told_again() {
    let mut desk = desk();
    desk.check(10, 104.0, [0.0, 0.0], "b0 4, b1 4");
    // 4 kW were given less than asked: a fiftieth of that is asked for on top.
    desk.check(11, 100.0, [4.0, 0.0], "b1 4.04");
}

#[test]
fn lost_telemetry_is_not_answered_by_a_second_command() {
    let mut desk = desk();
    desk.check(10, 104.0, [0.0, 0.0], "b0 4, b1 4");
    // The head shows what both give; b1 was not heard. Believing its old 0 kW would ask for 4 kW
    // less.
    assert_eq!(brief(&desk.tick(11, Some(96.0), [Some(4.0), None], &[])), "");
}

#[test]
fn a_lost_head_is_not_answered_by_a_second_command() {
    let mut desk = desk();
    desk.check(10, 104.0, [0.0, 0.0], "b0 4, b1 4");
    // The last head was measured before they gave anything.
    assert_eq!(brief(&desk.tick(11, None, [Some(4.0), Some(4.0)], &[])), "");
    assert_eq!(brief(&desk.tick(12, None, [Some(4.0), Some(4.0)], &[])), "b0 4, b1 4");
    assert_eq!(brief(&desk.tick(13, None, [Some(4.0), Some(4.0)], &[])), "");
    // Older than three ticks: nothing is decided, and the devices go to 0 by themselves.
    assert_eq!(brief(&desk.tick(14, None, [Some(4.0), Some(4.0)], &[])), "");
}

#[test]
fn a_battery_that_is_silent_for_long_is_left_out() {
    let mut desk = desk();
    desk.check(10, 94.0, [0.0, 0.0], "");
    let after = |desk: &mut Desk, ticks: u64| {
        brief(&desk.tick(10 + ticks, Some(104.0), [Some(0.0), None], &[]))
    };
    assert_eq!(after(&mut desk, 4), "b0 5");
    let mut desk = self::desk();
    desk.check(10, 94.0, [0.0, 0.0], "");
    assert_eq!(after(&mut desk, 3), "b0 4, b1 4");
}

#[test]
fn what_is_no_battery_or_says_no_number_is_left_out() {
    let mut desk = desk();
    let actions = desk.tick(10, Some(104.0), [Some(f64::NAN), Some(0.0)], &[]);
    assert_eq!(brief(&actions), "b1 5");
    // A head that is no number is as good as none: the load measured before stands.
    assert_eq!(brief(&desk.tick(11, Some(f64::NAN), [Some(0.0), Some(5.0)], &[])), "b0 4, b1 4");
}

fn forecasts(hours_kw: &[f64]) -> Vec<Forecast> {
    let row = |(hour, kw): (usize, &f64)| Forecast {
        scope: "feeder".to_owned(),
        subject_id: "f".to_owned(),
        feeder_id: "f".to_owned(),
        issued_at: Timestamp(50_000),
        target_at: Timestamp(hour as u64 * HOUR_MS),
        p10_kw: kw - 10.0,
        p50_kw: kw - 5.0,
        p90_kw: *kw,
        model_version: "test".to_owned(),
        because: String::new(),
        saw: String::new(),
    };
    hours_kw.iter().enumerate().map(row).collect()
}

#[test]
fn short_of_the_reserve_they_give_only_above_0_99() {
    // 5.8 kWh can be delivered; the forecast puts 10 kWh above the limit in the next hour.
    let ahead = forecasts(&[95.0, 110.0]);
    let told = |settings: Settings, ahead: &[Forecast]| {
        let mut desk = Desk::new(settings, [3.2, 3.2]);
        let actions = desk.tick(10, Some(104.0), [Some(0.0); 2], ahead);
        (brief(&actions), actions[0].rule.clone())
    };
    let settings = Settings::default();
    assert_eq!(
        told(settings.clone(), &ahead),
        ("b0 2.5, b1 2.5".into(), "shave-from-reserve".into())
    );
    let enough = forecasts(&[95.0, 104.0]);
    assert_eq!(told(settings.clone(), &enough), ("b0 4, b1 4".into(), "shave".into()));
    // Of the rule the p50 counts: 5 kWh above the limit.
    let mut ruled = ahead.clone();
    ruled.iter_mut().for_each(|row| row.model_version = RULE_VERSION.to_owned());
    assert_eq!(told(settings.clone(), &ruled), ("b0 4, b1 4".into(), "shave".into()));
    // Plants are in the feeder's net load: of them alone nothing is known of it.
    let mut plants = ahead.clone();
    plants.iter_mut().for_each(|row| row.scope = "plant".to_owned());
    assert_eq!(told(settings.clone(), &plants), ("b0 4, b1 4".into(), "shave".into()));
    let without = Settings { reserve: false, ..settings };
    assert_eq!(told(without, &ahead), ("b0 4, b1 4".into(), "shave".into()));
}

#[test]
fn a_proposal_names_what_it_saw_and_when_it_runs_out() {
    let actions = desk().tick(10, Some(104.0), [Some(0.0), Some(0.0)], &forecasts(&[104.0]));
    let action = &actions[0];
    assert_eq!(action.action_id, "50000:b0:0");
    assert_eq!((action.actor.as_str(), action.state.as_str()), ("dispatch", "proposed"));
    assert_eq!(action.valid_until_at, Timestamp(65_000));
    assert_eq!(action.reason, "load 104.00 kW is 8.00 kW above 0.96 of the limit");
    assert_eq!(
        action.saw,
        "feeder_now@50000 head_kw=104.000 limit_kw=100 measured_at=1970-01-01T00:00:49Z; \
         forecasts@50000 reserve_kwh=3.94 stored_kwh=5.84; asset_state@50000 soc_kwh=3.200 \
         power_kw=0.000 heard_at=50000"
    );
}

#[test]
fn saved_and_restored_it_decides_the_same() {
    let mut before = desk();
    before.tick(10, Some(104.0), [Some(0.0), Some(0.0)], &forecasts(&[95.0, 110.0]));
    let mut after = desk();
    after.kernel.restore(&before.kernel.save()).unwrap();
    for tick in 11..16 {
        let head = Some(97.0 + tick as f64 / 8.0);
        let said = [Some(2.5), (tick != 12).then_some(2.5)];
        let expected = before.tick(tick, head, said, &[]);
        assert_eq!(after.tick(tick, head, said, &[]), expected, "tick {tick}");
    }
}
