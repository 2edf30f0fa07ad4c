//! What a series remembers, and what is judged and gone back to by it.

use super::*;
use crate::model::Kind;
use crate::model::Quantity;
use crate::model::Role;

const FIRST: i64 = 400_008;

/// A number in [-1, 1) by its counter.
fn noise(counter: i64) -> f64 {
    let mut z = (counter as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn temperature_c(hour: i64) -> f64 {
    let of_day = (hour % 24) as f64;
    14.0 + 5.0 * noise(hour / 30) + 6.0 * ((of_day - 9.0) * 0.2618).sin()
}

/// In the history's own numbers.
fn load(hour: i64) -> f64 {
    let rhythm = 20.0 * (((hour % 24) as f64 - 7.0) * 0.2618).sin();
    let load = 100.0 + rhythm + 2.0 * (temperature_c(hour) - 14.0) + noise(hour + 5_000_000);
    f64::from(load as f32)
}

fn model() -> Adaptive {
    let setup = Setup {
        kind: Kind::Load,
        step_ms: 3_600_000,
        horizon: 24,
        quantities: vec![Quantity { name: "t".to_owned(), role: Role::Temperature }],
        holidays: Default::default(),
        clock_ahead: 0,
        capacity: None,
        place: None,
    };
    let policy = Policy { trees: false, reviews: false, ..Policy::default() };
    Adaptive::new(setup, FIRST, policy)
}

/// Words that come with the reading of an hour: so many hours ahead, off by some degrees; hours of
/// these leads anew, off by less; and the hour itself, as it was measured.
fn words(hour: i64, ahead: i64, anew: std::ops::Range<i64>) -> Vec<Said> {
    let word = |of: i64, off: f64| Said {
        issued: FIRST + hour,
        quantity: 0,
        index: FIRST + of,
        value: (temperature_c(of) + off * noise(of / 7 + 9_000_000)) as f32,
    };
    let mut words = vec![word(hour, 0.0)];
    if hour == 0 {
        words = (0..ahead).map(|of| word(of, 5.0)).collect();
    }
    words.extend(anew.map(|lead| word(hour + lead, 2.0)));
    words.push(word(hour + ahead, 5.0));
    words
}

/// A model that has lived through so many days, and one of its shape that lived beside it.
fn lived(days: i64, ahead: i64, anew: std::ops::Range<i64>) -> (Adaptive, Contestant) {
    let mut model = model();
    let mut beside: Option<Contestant> = None;
    // Its shape is of its whole past: twice through it.
    for round in 0..2 {
        for hour in 0..days * 24 {
            let words = words(hour, ahead, anew.clone());
            if let Some(beside) = &mut beside {
                words.iter().for_each(|said| beside.forecaster.know(said));
                beside.step(load(hour));
            } else {
                model.know(&words);
                model.observe(load(hour));
            }
        }
        if round == 0 {
            let nothing = Memory::new(FIRST, 1, 24, 1);
            let history = &model.memory.history;
            let structure = Structure::choose(&model.setup, history).expect("enough days");
            beside = Some(Contestant::run(&model.setup, structure, &nothing));
        }
    }
    (model, beside.expect("made after the first round"))
}

/// Who is run through the memory is, to the bit, who lived through it.
#[track_caller]
fn check_alike(days: i64, ahead: i64) {
    let (model, mut lived) = lived(days, ahead, 0..0);
    let structure = lived.forecaster.structure().clone();
    let mut run = Contestant::run(&model.setup, structure, &model.memory);
    let champion = lived.champion();
    assert_eq!(model.aside().count(), 0, "the one beside is not screened");
    assert!(champion.losses.days() > 20);
    assert_eq!(champion.losses, run.champion().losses);
    assert_eq!(run.forecaster.outlook(), lived.forecaster.outlook());
    let mut alike = champion.clone();
    alike.hear_alike(&model.setup, &model.memory);
    assert!(alike.lived && alike.losses == champion.losses, "it is judged on its life");
}

#[test]
fn a_challenger_is_told_the_weather_that_was_known() {
    check_alike(50, 24);
}

#[test]
fn so_it_is_where_columns_look_beyond_their_target() {
    check_alike(310, 28);
}

#[test]
fn what_was_measured_would_flatter_it() {
    let (model, lived) = lived(50, 24, 0..0);
    let mut knew = Memory::new(FIRST, 1, 24, 1);
    for (at, value) in model.memory.history.weather[0].iter().enumerate() {
        let index = FIRST + at as i64;
        knew.know(&Said { issued: FIRST, quantity: 0, index, value: *value });
    }
    knew.history.seen.clone_from(&model.memory.history.seen);
    let structure = lived.forecaster.structure().clone();
    let flattered = Contestant::run(&model.setup, structure, &knew);
    assert!(lived.champion().loses_to(&flattered).is_some());
}

#[test]
fn who_heard_later_issues_is_judged_on_what_the_challenger_hears() {
    let (model, lived) = lived(50, 24, 1..13);
    let structure = lived.forecaster.structure().clone();
    let run = Contestant::run(&model.setup, structure, &model.memory).champion();
    let mut champion = lived.champion();
    assert!(champion.losses != run.losses);
    champion.hear_alike(&model.setup, &model.memory);
    assert!(champion.losses == run.losses && !champion.lived);
}

#[test]
fn weather_that_is_only_measured_is_not_known_ahead() {
    let mut memory = Memory::new(FIRST, 1, 24, 1);
    for hour in 0..30 {
        let index = FIRST + hour;
        memory.know(&Said { issued: index, quantity: 0, index, value: hour as f32 });
        memory.history.seen.push(1.0);
    }
    let told: Vec<i64> = (1..30).flat_map(|at| memory.said(at)).map(|said| said.index).collect();
    assert_eq!(told, (FIRST + 1..FIRST + 30).collect::<Vec<i64>>());
    assert!(!memory.knew_more(FIRST));
}

#[test]
fn what_is_bound_keeps_both_in_their_places() {
    let mut memory = Memory::new(FIRST, 1, 24, 1);
    for hour in 0..200 {
        words(hour, 24, 0..0).iter().for_each(|said| assert!(memory.know(said)));
        memory.history.seen.push(hour as f32);
    }
    let before: Vec<Said> = memory.said(150).collect();
    memory.bound(100);
    assert_eq!((memory.history.first, memory.end()), (FIRST + 100, FIRST + 200));
    let after: Vec<Said> = memory.said(50).collect();
    assert_eq!((before.len(), before), (2, after));
}

/// A model of which versions of these ridges answered, one after the other.
fn of_versions(ridges: &[f64]) -> Adaptive {
    let mut model = model();
    for hour in 0..20 * 24 {
        model.know(&words(hour, 24, 0..0));
        model.observe(load(hour));
    }
    model.outlook();
    let first = model.version().expect("it answers").structure.clone();
    for ridge in ridges {
        let structure = Structure { ridge: *ridge, ..first.clone() };
        let contestant = model.contestant(structure.clone());
        let version = Version::of(&model.memory.history, &structure, "a test".to_owned());
        model.adopt(contestant, version);
    }
    model
}

fn answering(model: &Adaptive) -> (u32, f64, f64) {
    let version = model.version().expect("it answers");
    let forecaster = model.forecaster().expect("it answers");
    (version.number, version.structure.ridge, forecaster.structure().ridge)
}

#[test]
fn going_back_twice_is_two_versions_back() {
    let mut model = of_versions(&[5.0, 6.0, 7.0]);
    assert_eq!(answering(&model), (4, 7.0, 7.0));
    assert!(model.roll_back());
    assert_eq!(answering(&model), (5, 6.0, 6.0));
    assert!(model.roll_back());
    assert_eq!(answering(&model), (6, 5.0, 5.0));
    assert!(model.roll_back() && !model.roll_back());
    assert_eq!(answering(&model).0, 7);
    let numbers: Vec<u32> = model.take_versions().iter().map(|v| v.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn what_is_gone_back_to_is_made_ready_beside_and_answers_when_it_is_asked_for() {
    let (mut at_once, mut beside) = (of_versions(&[5.0, 6.0, 7.0]), of_versions(&[5.0, 6.0, 7.0]));
    beside.policy.beside = true;
    for model in [&mut at_once, &mut beside] {
        model.take_versions();
        assert!(model.roll_back());
    }
    assert_eq!(answering(&beside), (4, 7.0, 7.0), "it is being made ready");
    let at = 20 * 24 - 30;
    for model in [&mut at_once, &mut beside] {
        // Meanwhile a past hour is corrected, and the weather is said anew.
        assert!(model.correct(FIRST + at, load(at) + 3.0));
        model.know(&words(20 * 24, 24, 5..6));
    }
    let saved = serde_json::to_vec(&beside).expect("a model can be saved");
    beside = serde_json::from_slice(&saved).expect("and read back");
    assert_ne!(beside.outlook(), at_once.outlook(), "nobody waits for it");
    assert_eq!(answering(&beside), (4, 7.0, 7.0));
    beside.turn_back();
    assert_eq!(beside.outlook(), at_once.outlook());
    assert_eq!(answering(&beside), (5, 6.0, 6.0));
    assert_eq!(beside.take_versions(), at_once.take_versions());
    // Twice before anybody asks is two versions back.
    let mut twice = of_versions(&[5.0, 6.0, 7.0]);
    twice.policy.beside = true;
    let mut left = Vec::new();
    for _ in 0..2 {
        left.push(twice.version_in_force().map(|version| version.number));
        assert!(twice.roll_back());
    }
    assert_eq!(left, [Some(4), Some(3)], "each is left once");
    twice.turn_back();
    assert_eq!(answering(&twice), (5, 5.0, 5.0));
    assert!(twice.roll_back() && !twice.roll_back());
    // A reading that comes first finds it, too.
    twice.know(&words(20 * 24, 24, 0..0));
    twice.observe(load(20 * 24));
    assert_eq!(answering(&twice).0, 6);
    assert!(twice.pinned);
}

#[test]
fn the_four_versions_before_can_be_gone_back_to() {
    let mut model = of_versions(&[2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let mut reached = Vec::new();
    while model.roll_back() {
        reached.push(answering(&model).2);
    }
    assert_eq!(reached, [6.0, 5.0, 4.0, 3.0]);
    assert_eq!(reached.len(), VERSIONS_KEPT);
}

/// The temperature of a station that begins to be heard with the reading of this hour.
const LATE: i64 = 31 * 24 + 5;

/// Words of that station: with the first come those of all coming hours.
fn late_words(hour: i64) -> Vec<Said> {
    if hour < LATE {
        return Vec::new();
    }
    let mut words = words(hour, 24, 0..0);
    if hour == LATE {
        words.extend((hour + 1..hour + 24).flat_map(|of| words_ahead(hour, of)));
    }
    words.into_iter().map(|said| Said { quantity: 1, ..said }).collect()
}

/// The word on an hour as it comes 24 hours before, said at another.
fn words_ahead(hour: i64, of: i64) -> Option<Said> {
    let word = words(of - 24, 24, 0..0).pop()?;
    Some(Said { issued: FIRST + hour, ..word })
}

#[test]
fn who_is_run_through_weather_that_began_late_is_who_lived_through_it() {
    let quantity = |name: &str| Quantity { name: name.to_owned(), role: Role::Temperature };
    let mut model = model();
    for hour in 0..70 * 24 {
        if hour == LATE {
            model.hear(&[quantity("t"), quantity("late")]);
        }
        model.know(&words(hour, 24, 0..0));
        model.know(&late_words(hour));
        model.observe(load(hour));
    }
    let history = &model.memory.history;
    let structure = Structure::choose(&model.setup, history).expect("enough days");
    // Both stations, whatever serves best.
    let structure = Structure { stations: vec![0, 1], ..structure };
    let nothing = Memory::new(FIRST, 2, 24, 1);
    let mut lived = Contestant::run(&model.setup, structure.clone(), &nothing);
    for hour in 0..70 * 24 {
        let words = [words(hour, 24, 0..0), late_words(hour)].concat();
        words.iter().for_each(|said| lived.forecaster.know(said));
        lived.step(load(hour));
    }
    let mut run = Contestant::run(&model.setup, structure, &model.memory);
    assert_eq!(run.champion().losses, lived.champion().losses);
    assert_eq!(run.forecaster.outlook(), lived.forecaster.outlook());
    assert_eq!(model.memory.expected(1), ((70 * 24) - LATE - 1) as usize);
}
