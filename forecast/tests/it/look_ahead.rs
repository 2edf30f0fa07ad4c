//! Nothing that is said rests on what came later. Models are told by the loop of the backtest,
//! which tells what becomes known as an instance does; what comes after an origin is shuffled.

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::backtest::Frame;
use forecast::backtest::Origins;
use forecast::backtest::run;
use forecast::backtest::weather;
use forecast::model::Model;
use forecast::model::Outlook;
use forecast::model::Said;

use crate::series::Chance;
use crate::series::Made;
use crate::series::made;
use crate::series::quarters;

/// What a model says at each origin.
fn said(frame: &Frame, model: &mut dyn Model) -> Vec<Outlook> {
    let mut said = Vec::new();
    run(frame, model, &mut |_| {}, &mut |outlook| said.push(outlook.clone())).expect("answers");
    said
}

fn shuffle<T>(values: &mut [T], chance: &mut Chance) {
    for last in (1..values.len()).rev() {
        values.swap(last, (chance.next() * (last + 1) as f64) as usize);
    }
}

/// All readings after the origin in another order, and the values of all words issued after it.
fn shuffled(frame: &Frame, origin: i64) -> Frame {
    let (mut frame, mut chance) = (frame.clone(), Chance(77));
    let known = (origin + 1 - frame.first) as usize;
    shuffle(&mut frame.readings[known..], &mut chance);
    for quantity in 0..frame.setup.quantities.len() {
        let later = |word: &&mut Said| word.issued > origin && word.quantity == quantity;
        let mut words: Vec<&mut Said> = frame.weather.iter_mut().filter(later).collect();
        let mut values: Vec<f32> = words.iter().map(|word| word.value).collect();
        shuffle(&mut values, &mut chance);
        words.iter_mut().zip(values).for_each(|(word, value)| word.value = value);
    }
    frame
}

/// What is said up to the origin is the same, to the bit, whatever comes after it; what is said
/// later is not.
#[track_caller]
pub(crate) fn check(frame: &Frame, later: &Frame, origin: i64, new: &dyn Fn() -> Box<dyn Model>) {
    // As texts, for NaN is not NaN.
    let texts = |frame: &Frame| -> Vec<(i64, String)> {
        let all = said(frame, new().as_mut());
        all.iter().map(|outlook| (outlook.origin, format!("{outlook:?}"))).collect()
    };
    let (before, after) = (texts(frame), texts(later));
    let upto = before.partition_point(|(at, _)| *at <= origin);
    assert!(upto > 1 && before[upto - 1].0 == origin && upto < before.len(), "asked on both sides");
    for (a, b) in before[..upto].iter().zip(&after[..upto]) {
        assert!(a == b, "what is said at {} knows what comes after {origin}", a.0);
    }
    assert!(before[upto..] != after[upto..], "nothing was changed that matters");
}

/// The same for the readings alone, the weather alone, and both.
#[track_caller]
pub(crate) fn check_shuffled(frame: &Frame, origin: i64, new: &dyn Fn() -> Box<dyn Model>) {
    let both = shuffled(frame, origin);
    let readings = Frame { weather: frame.weather.clone(), ..both.clone() };
    let weather = Frame { readings: frame.readings.clone(), ..both.clone() };
    for later in [readings, weather, both] {
        check(frame, &later, origin, new);
    }
}

/// A series whose weather is said a day ahead, again each six hours for the coming twelve, and as
/// it was measured; asked each `every` steps from the day `from` on.
fn frame(made: &Made, from: usize, every: usize) -> Frame {
    let day = made.setup.horizon;
    let mut words: Vec<Said> = (0..made.load.len()).flat_map(|at| made.said(at)).collect();
    for issued in (0..made.load.len()).step_by(day / 4).skip(1) {
        for at in issued + 1..issued + day / 2 {
            let value = 0.5 * (made.ahead_c[at] + made.temperature_c[at]);
            let (issued, index) = (made.first + issued as i64, made.first + at as i64);
            words.push(Said { issued, quantity: 0, index, value });
        }
    }
    weather::order(&mut words);
    let end = made.first + made.load.len() as i64;
    Frame {
        setup: made.setup.clone(),
        first: made.first,
        readings: made.load.clone(),
        weather: words,
        window: made.first + (from * day) as i64..end,
        origins: Origins::Every(every as i64),
    }
}

fn adaptive(made: &Made) -> Box<dyn Model> {
    let policy = Policy { trees: false, ..Policy::default() };
    Box::new(Adaptive::new(made.setup.clone(), made.first, policy))
}

#[test]
fn a_load_by_hours_knows_nothing_of_what_comes() {
    let made = made(90, 2).misforecast(3);
    // Reviews were held before.
    let origin = made.first + 85 * 24 + 11;
    check_shuffled(&frame(&made, 40, 6), origin, &|| adaptive(&made));
}

#[test]
fn a_young_load_knows_nothing_of_what_comes() {
    let made = made(20, 4).misforecast(5);
    check_shuffled(&frame(&made, 10, 1), made.first + 15 * 24 + 7, &|| adaptive(&made));
}

/// Times of the day that are learned together: of the target a day after the origin, the times
/// beside it have samples that are newer than the origin.
#[test]
fn samples_of_the_times_beside_that_are_newer_than_the_origin_are_not_known() {
    let made = quarters(20, 6).misforecast(7);
    let frame = frame(&made, 15, 4);
    let mut model = Adaptive::new(made.setup.clone(), made.first, Policy::default());
    said(&frame, &mut model);
    let structure = &model.version().expect("it answers").structure;
    assert_eq!((structure.slots, structure.kernel), (24, 2), "times of the day share");
    for quarter in [3, 39, 67, 95] {
        let origin = made.first + 16 * 96 + quarter;
        let known = (origin + 1 - frame.first) as usize;
        let mut later = frame.clone();
        // Two hours to each side share.
        later.readings[known..known + 8].iter_mut().for_each(|load| *load *= 1.2);
        check(&frame, &later, origin, &|| adaptive(&made));
    }
    check_shuffled(&frame, made.first + 17 * 96 + 35, &|| adaptive(&made));
}
