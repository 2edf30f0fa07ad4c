//! Told again: where origins are, what an origin knows, and that scores are of what was said.

use std::cell::RefCell;
use std::rc::Rc;

use forecast::backtest::Frame;
use forecast::backtest::FrameError;
use forecast::backtest::Origins;
use forecast::backtest::RunError;
use forecast::backtest::evaluate;
use forecast::backtest::run;
use forecast::backtest::weather;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::Outlook;
use forecast::model::P10;
use forecast::model::P90;
use forecast::model::Point;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::naive::Season;
use forecast::naive::SeasonalNaive;

use crate::watch_data::Dice;

const HOUR_MS: i64 = 3_600_000;

/// Monday, 2024-01-01, in hours since the epoch.
const MONDAY: i64 = 19_723 * 24;

fn setup(horizon: usize) -> Setup {
    Setup {
        kind: Kind::Load,
        step_ms: HOUR_MS,
        horizon,
        quantities: vec![Quantity { name: "temp_c".to_owned(), role: Role::Temperature }],
        holidays: [].into(),
        clock_ahead: 0,
        capacity: None,
        place: None,
    }
}

/// Readings that say their own index, weather that says it too, asked every six hours of `window`.
fn frame(hours: i64, window: std::ops::Range<i64>) -> Frame {
    let values: Vec<f64> = (0..hours).map(|hour| hour as f64).collect();
    let mut words: Vec<Said> = weather::ahead(0, MONDAY, &values, 24).collect();
    words.extend(weather::measured(0, MONDAY, &values));
    weather::order(&mut words);
    let window = MONDAY + window.start..MONDAY + window.end;
    let origins = Origins::Every(6);
    Frame { setup: setup(24), first: MONDAY, readings: values, weather: words, window, origins }
}

/// Everything that a model was told, and when it was asked.
#[derive(Clone, Debug, Default)]
struct Heard {
    readings: Vec<f64>,
    words: Vec<Said>,
    asked_at: Vec<i64>,
    /// How many readings and words had been told at each question.
    known: Vec<(usize, usize)>,
}

/// A model that only listens, and says what it was last told.
#[derive(Clone, Debug)]
struct Probe {
    first: i64,
    horizon: usize,
    heard: Rc<RefCell<Heard>>,
}

impl Probe {
    fn new(frame: &Frame) -> Probe {
        Probe { first: frame.first, horizon: frame.setup.horizon, heard: Rc::default() }
    }
}

impl Model for Probe {
    fn know(&mut self, said: &[Said]) {
        self.heard.borrow_mut().words.extend(said);
    }

    fn observe(&mut self, value: f64) {
        self.heard.borrow_mut().readings.push(value);
    }

    fn outlook(&mut self) -> Outlook {
        let mut heard = self.heard.borrow_mut();
        let origin = self.first + heard.readings.len() as i64 - 1;
        let known = (heard.readings.len(), heard.words.len());
        heard.asked_at.push(origin);
        heard.known.push(known);
        let last = heard.readings.last().copied().unwrap_or(f64::NAN);
        let point = |lead: i64| Point { index: origin + lead, value: last, quantiles: [last; 11] };
        let points = (1..=self.horizon as i64).map(point).collect();
        Outlook {
            origin,
            points,
            models: vec![("half".to_owned(), vec![last / 2.0; self.horizon])],
        }
    }
}

fn hear(frame: &Frame) -> Heard {
    let mut probe = Probe::new(frame);
    run(frame, &mut probe, &mut |_| {}, &mut |_| {}).expect("a model that only listens answers");
    probe.heard.take()
}

/// The origins of a frame as hours since its first reading.
#[track_caller]
fn check_origins(frame: &Frame, expected: &[i64]) {
    let heard = hear(frame);
    let hours: Vec<i64> = heard.asked_at.iter().map(|origin| origin - frame.first).collect();
    assert_eq!(hours, expected);
}

#[test]
fn origins_are_readings_that_end_at_hours_divisible_by_the_step() {
    check_origins(&frame(96, 24..48), &[29, 35, 41, 47]);
}

#[test]
fn an_origin_without_a_whole_horizon_after_it_is_none() {
    check_origins(&frame(96, 48..96), &[53, 59, 65, 71]);
}

#[test]
fn origins_of_issues_are_where_they_were_issued_within_the_window() {
    let issues = [1, 30, 30, 42, 60].map(|hour| MONDAY + hour).to_vec();
    let frame = Frame { origins: Origins::After(issues), ..frame(96, 24..48) };
    check_origins(&frame, &[30, 42]);
}

#[test]
fn at_an_origin_nothing_later_has_been_told() {
    let frame = frame(24 * 21, 24 * 14..24 * 20);
    let heard = hear(&frame);
    assert_eq!(heard.asked_at.len(), 6 * 4);
    for (&origin, &(readings, words)) in heard.asked_at.iter().zip(&heard.known) {
        let told = &heard.readings[..readings];
        assert_eq!(told.last().copied(), Some((origin - frame.first) as f64));
        assert_eq!(readings as i64, origin - frame.first + 1, "all of them, each once");
        let words = &heard.words[..words];
        assert!(words.iter().all(|word| word.issued <= origin), "issued after {origin}");
        let furthest = words.iter().map(|word| word.index).max();
        assert_eq!(furthest, Some(origin + 24), "weather ends with the horizon");
    }
}

#[test]
fn what_comes_after_an_origin_changes_nothing_that_was_said_before() {
    let frame = frame(24 * 21, 24 * 14..24 * 20);
    let cut = MONDAY + 24 * 17;
    let mut changed = frame.clone();
    let mut dice = Dice::new(5);
    for (index, reading) in (changed.first..).zip(&mut changed.readings) {
        if index > cut {
            *reading = dice.normal();
        }
    }
    for word in changed.weather.iter_mut().filter(|word| word.issued > cut) {
        word.value = dice.normal() as f32;
    }
    let say = |frame: &Frame| {
        let mut said = Vec::new();
        let mut model = SeasonalNaive::new(&frame.setup, frame.first, Season::Week);
        run(frame, &mut model, &mut |_| {}, &mut |outlook| said.push(outlook.clone())).unwrap();
        said
    };
    let (before, after) = (say(&frame), say(&changed));
    let upto = before.iter().filter(|outlook| outlook.origin <= cut).count();
    assert!(upto > 10 && upto < before.len());
    assert_eq!(before[..upto], after[..upto]);
    assert_ne!(before, after, "the later ones do rest on what was changed");
}

#[test]
fn an_issue_is_told_when_it_is_issued_and_not_before() {
    let issues = [40, 52].map(|hour| MONDAY + hour);
    let word =
        |issued: i64, lead: i64| Said { issued, quantity: 0, index: issued + lead, value: 1. };
    let words = issues.iter().flat_map(|&issued| (13..=48).map(move |lead| word(issued, lead)));
    let weather: Vec<Said> = words.collect();
    let frame = Frame { weather, origins: Origins::After(issues.to_vec()), ..frame(120, 24..72) };
    assert_eq!(hear(&frame).known, [(41, 36), (53, 72)]);
}

#[test]
fn every_target_of_an_origin_is_scored_once_at_its_lead() {
    let frame = frame(96, 24..48);
    let scored = evaluate(&frame, "probe", &mut Probe::new(&frame), &mut |_| {}).unwrap();
    let names: Vec<&str> = scored.iter().map(|scored| scored.name.as_str()).collect();
    assert_eq!(names, ["probe", "half"]);
    let board = &scored[0].board;
    assert_eq!((board.point().n(), board.point().skipped()), (4 * 24, 0));
    for lead in 1..=24 {
        // Readings rise by one an hour and the probe repeats the last: it is off by the lead.
        let (point, quantile) = board.at_lead(lead * HOUR_MS).unwrap();
        assert_eq!((point.n(), point.mae()), (4, Some(lead as f64)));
        assert_eq!(quantile.coverage_80().share(), Some(0.0));
    }
    let hours: u64 = scored[0].by_hour.iter().map(|score| score.n()).sum();
    assert_eq!(hours, 4 * 24);
    assert_eq!(scored[1].board.quantile().n(), 0, "a part gives no quantiles");
}

#[test]
fn what_a_band_of_no_width_met_is_sure_and_not_counted() {
    let mut frame = frame(96, 24..48);
    // The probe says the last reading with no width; it is met where nothing changes.
    frame.readings.iter_mut().skip(36).for_each(|reading| *reading = 0.0);
    let scored = evaluate(&frame, "probe", &mut Probe::new(&frame), &mut |_| {}).unwrap();
    let held = &scored[0].held;
    // Of origins at 29, 35, 41 and 47 h the last two say zero and see nothing else.
    assert_eq!((held.sure, held.total.n(), held.total.share()), (48, 48, Some(0.0)));
    assert_eq!(held.by_lead.values().map(|coverage| coverage.n()).sum::<u64>(), 48);
    assert_eq!(held.by_month.values().map(|coverage| coverage.n()).sum::<u64>(), 48);
}

#[test]
fn what_is_drawn_is_one_forecast_a_step() {
    let frame = frame(24 * 14, 24 * 7..24 * 12);
    let scored = evaluate(&frame, "probe", &mut Probe::new(&frame), &mut |_| {}).unwrap();
    let steps: Vec<i64> = scored[0].shown.iter().map(|shown| shown.index).collect();
    let first = MONDAY + 24 * 7 + 6;
    let expected: Vec<i64> = (first..first + 24 * 5).collect();
    assert_eq!(steps, expected);
}

#[test]
fn a_missing_reading_is_told_and_not_scored() {
    let mut frame = frame(96, 24..48);
    frame.readings[50] = f64::NAN;
    let scored = evaluate(&frame, "probe", &mut Probe::new(&frame), &mut |_| {}).unwrap();
    let point = scored[0].board.point();
    assert_eq!((point.n(), point.skipped()), (4 * 24 - 4, 4));
    assert!(hear(&frame).readings.len() < 50, "told up to the last origin");
}

/// A model that answers for the wrong steps.
struct Liar(Probe);

impl Model for Liar {
    fn know(&mut self, _said: &[Said]) {}

    fn observe(&mut self, value: f64) {
        self.0.observe(value);
    }

    fn outlook(&mut self) -> Outlook {
        let mut outlook = self.0.outlook();
        outlook.points[3].index += 1;
        outlook
    }
}

#[test]
fn a_model_that_answers_another_question_is_refused() {
    let frame = frame(96, 24..48);
    let said = run(&frame, &mut Liar(Probe::new(&frame)), &mut |_| {}, &mut |_| {});
    assert!(matches!(said, Err(RunError::Answer { .. })), "{said:?}");
}

/// A model that has nothing to say.
struct Mute(i64);

impl Model for Mute {
    fn know(&mut self, _said: &[Said]) {}

    fn observe(&mut self, _value: f64) {
        self.0 += 1;
    }

    fn outlook(&mut self) -> Outlook {
        Outlook { origin: self.0, points: Vec::new(), models: Vec::new() }
    }
}

#[test]
fn a_model_that_says_nothing_yet_scores_nothing() {
    let frame = frame(96, 24..48);
    let scored = evaluate(&frame, "mute", &mut Mute(MONDAY - 1), &mut |_| {}).unwrap();
    let point = scored[0].board.point();
    assert_eq!((point.n(), point.skipped(), point.mae()), (0, 4 * 24, None));
}

#[test]
fn a_frame_that_is_not_sound_says_why() {
    let refused = |change: &dyn Fn(&mut Frame)| {
        let mut frame = frame(96, 24..48);
        change(&mut frame);
        frame.origins().unwrap_err()
    };
    assert_eq!(refused(&|f| f.window = MONDAY + 90..MONDAY + 96), FrameError::NoOrigin);
    let refused_step = refused(&|f| f.setup.step_ms = 7 * HOUR_MS);
    assert_eq!(refused_step, FrameError::Step { step_ms: 7 * HOUR_MS });
    let refused_horizon = refused(&|f| f.setup.horizon = 25);
    assert_eq!(refused_horizon, FrameError::Horizon { horizon: 25, day: 24 });
    assert_eq!(refused(&|f| f.weather[9].issued += 900), FrameError::Order { at: 10 });
    let strange = refused(&|f| f.weather[9].quantity = 1);
    assert_eq!(strange, FrameError::Quantity { at: 9, quantity: 1, known: 1 });
}

/// What a naive model says at the end of `readings` for the next `horizon` steps.
fn naive(season: Season, readings: &[f64], horizon: usize) -> Vec<f64> {
    let mut model = SeasonalNaive::new(&setup(horizon), MONDAY, season);
    readings.iter().for_each(|reading| model.observe(*reading));
    model.outlook().points.iter().map(|point| point.value).collect()
}

#[test]
fn naive_models_repeat_a_day_a_week_or_now() {
    let readings: Vec<f64> = (0..24 * 8).map(f64::from).collect();
    assert_eq!(naive(Season::Day, &readings, 3), [168.0, 169.0, 170.0]);
    assert_eq!(naive(Season::Week, &readings, 3), [24.0, 25.0, 26.0]);
    assert_eq!(naive(Season::Persistence, &readings, 3), [191.0, 191.0, 191.0]);
}

#[test]
fn naive_models_go_a_season_further_back_where_a_reading_is_missing() {
    let mut readings: Vec<f64> = (0..24 * 15).map(f64::from).collect();
    for missing in [24 * 14, 24 * 8, 24 * 15 - 1] {
        readings[missing] = f64::NAN;
    }
    assert_eq!(naive(Season::Day, &readings, 2), [24.0 * 13.0, 24.0 * 14.0 + 1.0]);
    assert_eq!(naive(Season::Week, &readings, 1), [24.0]);
    assert_eq!(naive(Season::Persistence, &readings, 1), [24.0 * 15.0 - 2.0]);
    assert!(naive(Season::Week, &readings[..100], 1)[0].is_nan());
}

#[test]
fn naive_quantiles_keep_their_promise() {
    let mut dice = Dice::new(7);
    let hours = 24 * 400;
    let readings: Vec<f64> = (0..hours)
        .map(|hour: i32| {
            let evening = if hour % 24 >= 18 { 3.0 } else { 1.0 };
            100.0 + 10.0 * f64::from(hour % 24) + evening * dice.normal()
        })
        .collect();
    let frame = Frame { readings, ..frame(i64::from(hours), 24 * 100..24 * 398) };
    for season in [Season::Day, Season::Week] {
        let mut model = SeasonalNaive::new(&frame.setup, frame.first, season);
        let scored = evaluate(&frame, season.name(), &mut model, &mut |_| {}).unwrap();
        let share = scored[0].board.quantile().coverage_80().share().unwrap();
        assert!((0.77..0.83).contains(&share), "{}: {share}", season.name());
        let wide = |shown: &&forecast::backtest::Shown| shown.index % 24 >= 18;
        let (evening, day): (Vec<_>, Vec<_>) = scored[0].shown.iter().partition(wide);
        let width = |shown: &[&forecast::backtest::Shown]| {
            shown.iter().map(|s| s.high - s.low).sum::<f64>() / shown.len() as f64
        };
        assert!(width(&evening) > 2.0 * width(&day), "the evening is less certain");
    }
}

#[test]
fn naive_quantiles_do_not_fall() {
    let mut dice = Dice::new(8);
    let mut model = SeasonalNaive::new(&setup(24), MONDAY, Season::Persistence);
    for _ in 0..24 * 30 {
        model.observe(dice.normal());
        for point in model.outlook().points {
            let ordered = point.quantiles.windows(2).all(|pair| pair[0] <= pair[1]);
            assert!(ordered || point.value.is_nan());
            assert!(point.quantiles[P10] <= point.quantiles[P90] || point.value.is_nan());
        }
    }
}

#[test]
fn a_naive_model_that_was_saved_goes_on_as_if_it_had_not() {
    let mut dice = Dice::new(9);
    let readings: Vec<f64> = (0..24 * 60).map(|_| dice.normal()).collect();
    let mut model = SeasonalNaive::new(&setup(24), MONDAY, Season::Week);
    readings[..999].iter().for_each(|reading| model.observe(*reading));
    let saved = serde_json::to_string(&model).unwrap();
    let mut restored: SeasonalNaive = serde_json::from_str(&saved).unwrap();
    for reading in &readings[999..] {
        model.observe(*reading);
        restored.observe(*reading);
    }
    assert_eq!(model.outlook(), restored.outlook());
}
