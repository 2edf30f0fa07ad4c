//! Plants whose past is corrected: told again they are, to the bit, as if they had known.

use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::plant::Breadth;
use forecast::plant::unit::Unit;
use forecast::rewind::NEAR;
use forecast::rewind::Past;
use forecast::rewind::REACH;
use forecast::rewind::Rewind;

use crate::series::Chance;

/// Hours before the first reading.
const FIRST: i64 = 15_706 * 24;

/// Rated power in kW.
const RATED_KW: f64 = 8.0;

/// A past as it is known.
#[derive(Clone)]
struct World {
    kind: Kind,
    words: Vec<Vec<Said>>,
    readings: Vec<f64>,
}

impl Past<Unit> for World {
    fn tell(&self, model: &mut Unit, index: i64) {
        let at = (index - FIRST) as usize;
        model.know(&self.words[at]);
        model.observe(self.readings[at]);
    }
}

/// A plant whose weather is expected four times a day, with errors; some hours are missing.
fn world(kind: Kind, hours: usize, seed: u64) -> World {
    let mut chance = Chance(seed);
    let draws: Vec<f64> = (0..hours + 64).map(|_| chance.next()).collect();
    let light = |at: usize| {
        let turn = ((at % 24) as f64 - 12.0) / 12.0 * std::f64::consts::PI;
        if kind == Kind::Wind { 1.0 } else { turn.cos().max(0.0) }
    };
    let strength = |at: usize| 0.25 + 0.7 * draws[at / 24 + 7] * (0.7 + 0.3 * draws[at]);
    let mut words = vec![Vec::new(); hours];
    for issued in (0..hours).step_by(6) {
        for at in issued..issued + 40 {
            let off = 1.0 + 0.3 * (draws[(at + 3 * issued) % draws.len()] - 0.5);
            let size = if kind == Kind::Wind { 12.0 } else { 1000.0 };
            let value = (size * light(at) * strength(at) * off) as f32;
            let (issued, index) = (FIRST + issued as i64, FIRST + at as i64);
            words[(issued - FIRST) as usize].push(Said { issued, quantity: 0, index, value });
        }
    }
    let reading = |at: usize| {
        let share = light(at) * strength(at);
        if draws[at] < 0.01 { f64::NAN } else { RATED_KW * share }
    };
    World { kind, words, readings: (0..hours).map(reading).collect() }
}

fn unit(world: &World, breadth: Breadth) -> Unit {
    let role = if world.kind == Kind::Wind { Role::WindSpeed } else { Role::Radiation };
    let setup = Setup {
        kind: world.kind,
        step_ms: 3_600_000,
        horizon: 24,
        quantities: vec![Quantity { name: "s".to_owned(), role }],
        holidays: Default::default(),
        clock_ahead: 0,
        capacity: Some(RATED_KW),
        place: None,
    };
    Unit::new(&setup, FIRST, breadth)
}

/// Who was told the right past from the beginning.
fn told(world: &World, breadth: Breadth) -> Unit {
    let mut unit = unit(world, breadth);
    (0..world.readings.len()).for_each(|at| world.tell(&mut unit, FIRST + at as i64));
    unit
}

/// Lives through a past in which a share of the readings come late or wrong and are put right
/// within the reach, `budget` steps an hour; at the end it must be as who knew.
#[track_caller]
fn check(kind: Kind, days: usize, budget: usize, seed: u64) {
    let breadth = if seed.is_multiple_of(2) { Breadth::Lean } else { Breadth::Broad };
    let right = world(kind, days * 24, seed);
    let mut chance = Chance(seed + 1_000);
    let mut wrong = right.clone();
    // By the hour at which it is put right.
    let mut due: Vec<Vec<usize>> = vec![Vec::new(); right.readings.len() + 1];
    for at in 0..right.readings.len() {
        if chance.next() < 0.1 {
            let reach = if chance.next() < 0.8 { 4.0 } else { REACH as f64 - 1.0 };
            let later = at + 1 + (chance.next() * reach) as usize;
            wrong.readings[at] = if chance.next() < 0.5 { f64::NAN } else { 3.0 };
            due[later.min(right.readings.len())].push(at);
        }
    }
    let mut rewind = Rewind::new(unit(&right, breadth), FIRST);
    for (end, due) in due.iter().enumerate().skip(1) {
        let index = FIRST + end as i64;
        rewind.step(&wrong, index);
        for at in due.iter().copied() {
            wrong.readings[at] = right.readings[at];
            assert!(rewind.correct(FIRST + at as i64));
        }
        rewind.work(&wrong, index, &mut budget.clone());
        if end == right.readings.len() / 2 {
            let record = serde_json::to_string(&rewind).expect("it can be written");
            rewind = serde_json::from_str(&record).expect("it can be read");
        }
    }
    let end = FIRST + right.readings.len() as i64;
    while !rewind.work(&wrong, end, &mut budget.clone()) {}
    let unit = told(&right, breadth);
    // Plain comparisons: printed, they would fill a book. As records, for NaN is not NaN.
    let record = |unit: &Unit| serde_json::to_string(unit).expect("it can be written");
    let newest = record(rewind.model().expect("it is done"));
    assert!(newest == record(&unit), "{kind:?} {days} {budget} {seed}");
    let said = format!("{:?}", rewind.outlook().expect("it is done").points);
    assert_eq!(said, format!("{:?}", unit.clone().outlook().points));
}

#[test]
fn late_and_restated_readings_are_as_if_they_had_been_known_12_seeds() {
    for seed in 0..6 {
        check(Kind::Pv, 30, 500, seed);
        check(Kind::Wind, 30, 500, seed);
    }
}

#[test]
fn in_small_portions_too() {
    check(Kind::Pv, 40, 30, 20);
    check(Kind::Wind, 20, 7, 21);
}

#[test]
fn while_there_is_work_the_model_before_answers() {
    let world = world(Kind::Pv, 30 * 24, 3);
    let mut rewind = Rewind::new(unit(&world, Breadth::Lean), FIRST);
    let end = FIRST + 29 * 24;
    assert!(rewind.outlook().is_none());
    assert!(!rewind.work(&world, end, &mut 100));
    assert!(rewind.outlook().is_none());
    while !rewind.work(&world, end, &mut 100) {}
    let before = rewind.outlook().expect("it is done");
    assert!(rewind.correct(end - 200) && !rewind.is_done());
    assert!(!rewind.work(&world, end, &mut 20));
    assert_eq!(format!("{before:?}"), format!("{:?}", rewind.outlook().expect("still there")));
    rewind.step(&world, end + 1);
    assert_eq!(rewind.outlook().expect("still there").origin, end);
}

#[test]
fn what_is_too_long_ago_changes_nothing() {
    let world = world(Kind::Pv, 30 * 24, 4);
    let mut rewind = Rewind::new(unit(&world, Breadth::Lean), FIRST);
    let end = FIRST + 30 * 24;
    while !rewind.work(&world, end, &mut 1_000) {}
    assert!(!rewind.correct(end - REACH - 1) && rewind.is_done());
    assert!(rewind.correct(end - REACH) && !rewind.is_done());
}

#[test]
fn a_correction_of_the_last_hours_costs_few_steps() {
    let world = world(Kind::Pv, 30 * 24, 5);
    let mut rewind = Rewind::new(unit(&world, Breadth::Lean), FIRST);
    let end = FIRST + 30 * 24;
    while !rewind.work(&world, end, &mut 1_000) {}
    rewind.correct(end - 1);
    let mut budget = 100;
    assert!(rewind.work(&world, end, &mut budget));
    assert_eq!(budget, 100 - NEAR as usize);
}

#[test]
fn what_is_frozen_or_absurd_is_told_as_missing() {
    let right = world(Kind::Pv, 40 * 24, 6);
    let mut odd = right.clone();
    let mut missing = right.clone();
    // A meter that counts in another unit, at noon of a day; and an inverter that hangs all day.
    odd.readings[35 * 24 + 12] = 8_000.0;
    missing.readings[35 * 24 + 12] = f64::NAN;
    let odd = told(&odd, Breadth::Lean);
    let missing = told(&missing, Breadth::Lean);
    let said = |mut unit: Unit| format!("{:?}", unit.outlook().points);
    assert_eq!((odd.aside(), missing.aside()), (1, 0));
    assert_eq!(said(odd), said(missing));
    let mut hung = right.clone();
    (36 * 24 + 6..37 * 24 + 6).for_each(|at| hung.readings[at] = 2.5);
    let hung = told(&hung, Breadth::Lean);
    assert!((12..24).contains(&hung.aside()), "{} set aside", hung.aside());
}
