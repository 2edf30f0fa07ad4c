//! Views that come, and change, while the workers run.
//!
//! One query of a case is left out of the flow. Half-way it is made a view beside it: its past
//! comes in parts, as the log gives them to an instance, while ticks go on. Once it has caught up
//! it is shown, at a tick that is done, and from then on it is what batch answers. Then another
//! view reads it, and a third is built to take its place. At the swap the reader is given the
//! difference, so that from the next tick on it shows what the third one does.
//!
//! Where an index on a relation was created before, the view takes its past from that, and its
//! twin, which does without, must show the same; after the swap the index is dropped. The reader
//! may read from an index on the view, which is told of the swap too.
//!
//! Everything is chosen by the seed but who is faster: the workers or the ticks.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use std::time::Instant;

use arrow::datatypes::DataType;
use pipeline::flow::Addition;
use pipeline::flow::Flow;
use pipeline::flow::Read;
use pipeline::flow::ReadFrom;
use pipeline::index::serves;
use pipeline::views::store::Views;
use pipeline::workers::Past;
use pipeline::workers::PastRows;
use pipeline::workers::Swap;
use pipeline::workers::Workers;
use pipeline::workers::WorkersError;
use queries::Planner;
use schemas::contract::IndexPlan;
use schemas::plan::ViewPlan;

use super::compared::Compared;
use super::compared::Difference;
use super::data::BEGIN_MS;
use super::data::Change;
use super::data::Column;
use super::data::Table;
use super::data::Type;
use super::data::Value;
use super::feature::Deed;
use super::index::Index;
use super::index::Indexed;
use super::index::index;
use super::query::Query;
use super::random::Random;
use super::run::Case;
use super::run::Held;
use super::run::PANICKED;
use super::run::Planned;
use super::run::Watch;
use super::run::plan;

/// The view that is made half-way, and replaced.
pub(super) const MADE: &str = "made";
/// The view that reads it.
const READER: &str = "reader";
/// The view that is made half-way, once more, where that reads from an index.
const TWIN: &str = "twin";
/// The index on it.
const ON_MADE: &str = "on_made";

/// What comes half-way.
#[derive(Clone, Debug)]
pub(super) struct Midway {
    /// The query that is left out of the flow, by position; the next one that can be maintained.
    query: usize,
    /// Ticks after which it is made a view.
    after: usize,
    /// Parts of its past, at least.
    parts: usize,
    /// For how many ticks the last part is held back: of its past, and of that of its replacement.
    held: [usize; 2],
    /// What takes its place.
    replaced: Option<Replaced>,
    /// The index on a relation, from which it takes its past.
    index: Option<Indexed>,
    /// Whether the view that reads it does so from an index on it.
    on_view: bool,
}

/// What takes the place of a view: a query over its query, with the same columns.
#[derive(Clone, Copy, Debug)]
enum Replaced {
    Distinct,
    NotNull,
    First,
    Doubled,
}

impl Midway {
    /// What comes half-way in a case of so many queries and ticks.
    pub(super) fn random(random: &mut Random, queries: usize, ticks: usize) -> Midway {
        let all = [Replaced::Distinct, Replaced::NotNull, Replaced::First, Replaced::Doubled];
        Midway {
            query: random.below(queries),
            after: (ticks / 2).saturating_sub(1).max(1) + random.below(2),
            parts: 2 + random.below(2),
            held: [random.below(2), random.below(2)],
            replaced: Some(*random.pick(&all)),
            index: random.chance(60).then(|| Indexed::random(random)),
            on_view: random.chance(30),
        }
    }

    /// The same for a case that has only one query.
    pub(super) fn alone(&self) -> Midway {
        Midway { query: 0, ..self.clone() }
    }

    /// The same with this query left out.
    pub(super) fn without(self, query: usize) -> Midway {
        Midway { query, ..self }
    }

    /// The same with a little less.
    pub(super) fn smaller(&self) -> Vec<Midway> {
        let mut all = Vec::new();
        if self.replaced.is_some() {
            all.push(Midway { replaced: None, ..self.clone() });
        }
        if self.index.is_some() {
            all.push(Midway { index: None, ..self.clone() });
        }
        if let Some(index) = self.index.as_ref().and_then(Indexed::smaller) {
            all.push(Midway { index: Some(index), ..self.clone() });
        }
        if self.on_view {
            all.push(Midway { on_view: false, ..self.clone() });
        }
        if self.held != [0, 0] {
            all.push(Midway { held: [0, 0], ..self.clone() });
        }
        if self.parts > 1 {
            all.push(Midway { parts: 1, ..self.clone() });
        }
        if self.after > 1 {
            all.push(Midway { after: self.after - 1, ..self.clone() });
        }
        all
    }

    /// Which of these queries is left out, by its place among them.
    pub(super) fn left_out(&self, plans: &[(usize, ViewPlan)]) -> usize {
        plans.iter().position(|(query, _)| *query >= self.query).unwrap_or(0)
    }

    /// Ticks after which the index is created: before the view, if it can be.
    fn indexed(&self) -> usize {
        self.after.saturating_sub(1).max(1)
    }

    /// Ticks after which it is shown.
    fn shown(&self) -> usize {
        self.after + self.held[0] + 1
    }

    /// Ticks after which another one takes its place.
    fn swapped(&self) -> usize {
        self.shown() + self.held[1] + 1
    }
}

impl Replaced {
    /// The same, unless it compares what the last digits or the form of a list would decide.
    fn fitting(self, of: &ViewPlan) -> Replaced {
        let exact = |of: &DataType| *of != DataType::Float64 && !of.is_nested();
        match self {
            Replaced::Distinct | Replaced::First
                if !of.root.schema.fields().iter().all(|f| exact(f.data_type())) =>
            {
                Replaced::NotNull
            }
            fitting => fitting,
        }
    }

    fn sql(self, query: &Query, of: &ViewPlan) -> String {
        let all = format!("SELECT * FROM ({query}) AS q");
        let first = of.root.schema.field(0).name();
        match self {
            Replaced::Distinct => format!("SELECT DISTINCT * FROM ({query}) AS q"),
            Replaced::NotNull => format!("{all} WHERE {first} IS NOT NULL"),
            Replaced::First => format!("{all} ORDER BY {first} LIMIT 2"),
            Replaced::Doubled => format!("{all} UNION ALL {all}"),
        }
    }
}

/// What comes half-way, planned.
pub(super) struct Plans {
    midway: Midway,
    made: Planned,
    replaced: Option<Replacement>,
    index: Option<Index>,
}

struct Replacement {
    planned: Planned,
    /// The view that reads what is replaced.
    reader: ViewPlan,
    /// The index on what is replaced, from which it does so.
    index: Option<IndexPlan>,
}

impl Replacement {
    /// What takes the place of a view, unless it would not fit or cannot be maintained.
    fn new(
        (case, midway): (&Case, &Midway),
        (query, made): (usize, &ViewPlan),
        planner: &mut Planner,
        (held, compared): (&[Held], &mut Compared),
    ) -> Result<Option<Replacement>, String> {
        let Some(how) = midway.replaced else { return Ok(None) };
        let text = case.text(how.fitting(made).sql(&case.queries[query], made));
        let planned = plan(planner, (MADE, &text), (case, held), compared)?;
        let Some(planned) = planned.filter(|planned| same_columns(planned, made)) else {
            return Ok(None);
        };
        planner.add_view(made);
        let reader = case.text(format!("SELECT * FROM {MADE}"));
        let reader = plan(planner, (READER, &reader), (case, &[]), compared)?;
        let reader = reader.ok_or("it cannot be read")?;
        let mut fields = made.root.schema.fields().iter();
        let column = fields.position(|field| !field.data_type().is_nested());
        let on_made = column.filter(|_| midway.on_view);
        let on_made = on_made.map(|column| index(planner.catalog(), ON_MADE, MADE, &[column]));
        let on_made = on_made.transpose()?.filter(|index| serves(index, &reader).is_some());
        let ticks = midway.swapped()..held.len() + 1;
        let planned = Planned::new((query, planned), &text.asked, (case, held), ticks);
        Ok(Some(Replacement { planned, reader, index: on_made }))
    }
}

impl Plans {
    /// Plans what comes half-way; `left_out` is what the flow does without.
    pub(super) fn new(
        case: &Case,
        midway: &Midway,
        (query, left_out): (usize, ViewPlan),
        planner: &mut Planner,
        (held, compared): (&[Held], &mut Compared),
    ) -> Result<Plans, Difference> {
        let failed = |what: String| Difference::new(query, case.ticks.len(), what);
        let made = ViewPlan { name: MADE.to_owned(), ..left_out };
        let index = midway.index.as_ref().map(|index| index.plan(planner.catalog(), &made));
        let index = index.transpose().map_err(failed)?.flatten();
        let asked = (held, compared);
        let replaced = Replacement::new((case, midway), (query, &made), planner, asked);
        let replaced = replaced.map_err(failed)?;
        let end = held.len() + 1;
        let last = if replaced.is_some() { end.min(midway.swapped() + 1) } else { end };
        let asked = case.queries[query].to_string();
        let made = Planned::new((query, made), &asked, (case, held), midway.shown()..last);
        Ok(Plans { midway: midway.clone(), made, replaced, index })
    }

    /// The query, by position.
    pub(super) fn query(&self) -> usize {
        self.made.query
    }
}

/// Whether whoever reads one of two views can read the other.
fn same_columns(a: &ViewPlan, b: &ViewPlan) -> bool {
    let columns = |of: &ViewPlan| -> Vec<(String, DataType)> {
        let fields = of.root.schema.fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    columns(a) == columns(b)
}

/// What comes half-way, on some workers.
pub(super) struct Making<'a> {
    case: &'a Case,
    plans: &'a Plans,
    flow: &'a Flow,

    /// Parts that are held back, each with the number of ticks after which it goes.
    held: Vec<(usize, Past)>,
    caught_up: BTreeSet<usize>,
}

/// The numbers under which views are published, and of the indexes beside them.
struct Numbers {
    made: usize,
    reader: usize,
    /// What takes the place of the one that is made.
    new: usize,
    twin: usize,
    index: usize,
    on_made: usize,
}

/// A view or an index that is to be built.
struct New<'a> {
    number: usize,
    plan: &'a ViewPlan,
    /// The columns of its key, of an index.
    key: Option<Vec<usize>>,
    /// A relation that it reads from an index, and the number of that.
    from: Option<(&'a str, usize)>,
    past: Vec<Past>,
    /// Ticks after which the last part goes.
    hold: Option<usize>,
}

impl<'a> Making<'a> {
    pub(super) fn new(case: &'a Case, plans: &'a Plans, flow: &'a Flow) -> Making<'a> {
        Making { case, plans, flow, held: Vec::new(), caught_up: BTreeSet::new() }
    }

    /// Does what is due when `done` ticks are done and none is on its way, and compares what can be
    /// read.
    pub(super) fn turn(
        &mut self,
        done: usize,
        running: &mut Workers,
        watch: &mut Watch<'_>,
    ) -> Result<(), Difference> {
        self.appear(done, running, &watch.store).map_err(|what| watch.failed(done, &what))?;
        for (view, planned) in self.readable(done) {
            if watch.compare(view, planned, done)? {
                self.deeds(view, done).into_iter().for_each(|deed| watch.did(deed));
            }
            if view == TWIN {
                watch.agree([MADE, TWIN], planned, done)?;
            }
        }
        let replaced = self.replace(done, running, &watch.store);
        if let Some(planned) = replaced.map_err(|what| watch.failed(done, &what))? {
            watch.swapped();
            watch.compare(MADE, planned, done)?;
        }
        self.begin(done, running, &watch.store).map_err(|what| watch.failed(done, &what))
    }

    /// The views that can be read after so many ticks, and what they show.
    fn readable(&self, done: usize) -> Vec<(&'static str, &'a Planned)> {
        let (plans, midway) = (self.plans, &self.plans.midway);
        let replacement = plans.replaced.as_ref().filter(|_| done > midway.swapped());
        let shows = replacement.map_or(&plans.made, |replacement| &replacement.planned);
        let mut readable = Vec::new();
        if done >= midway.shown() {
            readable.push((MADE, shows));
            if plans.index.is_some() && replacement.is_none() {
                readable.push((TWIN, shows));
            }
        }
        if done > midway.shown() && plans.replaced.is_some() {
            readable.push((READER, shows));
        }
        readable
    }

    /// What it proves that a view shows the rows that it should after so many ticks.
    fn deeds(&self, view: &str, done: usize) -> Vec<Deed> {
        let swapped = self.plans.replaced.is_some() && done > self.plans.midway.swapped();
        let index = self.plans.index.as_ref();
        let mut deeds = Vec::new();
        match view {
            MADE => {
                deeds.push(Deed::MadeHalfWay);
                deeds.extend(index.filter(|_| swapped).map(|_| Deed::DroppedIndex));
            }
            TWIN => {
                deeds.push(Deed::ReadIndex);
                deeds.extend(index.filter(|index| index.shared).map(|_| Deed::SharedIndex));
            }
            _ => {
                deeds.extend(swapped.then_some(Deed::Replaced));
                let on_made = self.plans.replaced.as_ref().and_then(|r| r.index.as_ref());
                deeds.extend(on_made.map(|_| Deed::ReadIndexOfView));
            }
        }
        deeds
    }

    /// The numbers under which views are published, and of the indexes beside them.
    fn numbers(&self) -> Numbers {
        let made = self.flow.published().len();
        let [reader, new, twin, index, on_made] = [1, 2, 3, 4, 5].map(|n| made + n);
        Numbers { made, reader, new, twin, index, on_made }
    }

    /// Shows the views whose time has come.
    fn appear(&mut self, done: usize, running: &mut Workers, store: &Views) -> Result<(), String> {
        let (Numbers { made, reader, twin, .. }, shown) =
            (self.numbers(), self.plans.midway.shown());
        if done == shown {
            self.settle(made, running, store)?;
            store.show(made, MADE);
            if self.plans.index.is_some() {
                self.settle(twin, running, store)?;
                store.show(twin, TWIN);
            }
        }
        if done == shown + 1 && self.plans.replaced.is_some() {
            self.settle(reader, running, store)?;
            store.show(reader, READER);
        }
        Ok(())
    }

    /// Lets the replacement take its place if its time has come; what the view is then.
    fn replace(
        &mut self,
        done: usize,
        running: &mut Workers,
        store: &Views,
    ) -> Result<Option<&'a Planned>, String> {
        let plans = self.plans;
        let due = plans.replaced.as_ref().filter(|_| done == plans.midway.swapped());
        let Some(replacement) = due else { return Ok(None) };
        let Numbers { made: old, new, twin, index, .. } = self.numbers();
        self.settle(new, running, store)?;
        let difference = store.difference(old, new);
        running.swap(Swap { old, new, difference }).map_err(gone)?;
        store.show(new, MADE);
        running.remove(old).map_err(gone)?;
        if plans.index.is_some() {
            running.remove(twin).map_err(gone)?;
            store.remove(twin);
            // Nobody reads from it any more.
            running.remove(index).map_err(gone)?;
        }
        Ok(Some(&replacement.planned))
    }

    /// Begins what is due, and hands over what was held back until now.
    fn begin(&mut self, done: usize, running: &mut Workers, store: &Views) -> Result<(), String> {
        let held = std::mem::take(&mut self.held).into_iter();
        let (due, rest): (Vec<_>, Vec<_>) = held.partition(|(at, _)| *at <= done);
        self.held = rest;
        for (_, part) in due {
            running.past(part).map_err(gone)?;
        }
        let (plans, midway) = (self.plans, &self.plans.midway);
        if done == midway.indexed()
            && let Some(index) = &plans.index
        {
            self.begin_index(&index.plan, done, running, store)?;
        }
        if done == midway.after {
            self.begin_made(done, running, store)?;
        }
        if done == midway.shown()
            && let Some(replacement) = &plans.replaced
        {
            self.begin_reader(replacement, running, store)?;
            let (number, plan) = (self.numbers().new, &replacement.planned.plan);
            let past = self.past((number, plan), done, None);
            let hold = (midway.held[1] > 0).then_some(done + midway.held[1]);
            let new = New { number, plan, key: None, from: None, past, hold };
            self.make(new, running, store)?;
        }
        Ok(())
    }

    /// Begins the index on a relation; its past may be late, but not later than the view.
    fn begin_index(
        &mut self,
        index: &IndexPlan,
        done: usize,
        running: &mut Workers,
        store: &Views,
    ) -> Result<(), String> {
        let midway = &self.plans.midway;
        let late = midway.index.as_ref().is_some_and(|index| index.late) && done < midway.after;
        let (number, plan, key) = (self.numbers().index, &index.view, Some(index.key.clone()));
        let past = self.past((number, plan), done, None);
        let new = New { number, plan, key, from: None, past, hold: late.then_some(done + 1) };
        self.make(new, running, store)
    }

    /// Begins the view; where there is an index, by that, and its twin without.
    fn begin_made(
        &mut self,
        done: usize,
        running: &mut Workers,
        store: &Views,
    ) -> Result<(), String> {
        let (plans, numbers) = (self.plans, self.numbers());
        let index = plans.index.as_ref();
        let index = index.map(|index| (index.plan.relation.as_str(), numbers.index));
        if index.is_some() {
            self.settle(numbers.index, running, store)?;
        }
        let (plan, held) = (&plans.made.plan, plans.midway.held[0]);
        let hold = (held > 0).then_some(done + held);
        let twin = index.map(|_| (numbers.twin, None));
        for (number, from) in std::iter::once((numbers.made, index)).chain(twin) {
            let past = self.past((number, plan), done, from);
            self.make(New { number, plan, key: None, from, past, hold }, running, store)?;
        }
        Ok(())
    }

    /// Begins the view that reads the one that is made, which is shown: its rows are in the store,
    /// or in the index on it.
    fn begin_reader(
        &mut self,
        replacement: &Replacement,
        running: &mut Workers,
        store: &Views,
    ) -> Result<(), String> {
        let numbers = self.numbers();
        let rows = || vec![(0, PastRows::Rows(store.rows(numbers.made).into()))];
        let whole = |relation: usize, deltas: Vec<(usize, PastRows)>| {
            vec![Past { relation, until: store.tick(), deltas, last: true }]
        };
        let mut from = None;
        if let Some(index) = &replacement.index {
            let (number, plan, key) = (numbers.on_made, &index.view, Some(index.key.clone()));
            let past = whole(number, rows());
            let new = New { number, plan, key, from: None, past, hold: None };
            self.make(new, running, store)?;
            self.settle(number, running, store)?;
            from = Some((MADE, number));
        }
        let (number, plan) = (numbers.reader, &replacement.reader);
        let past = whole(number, if from.is_some() { Vec::new() } else { rows() });
        self.make(New { number, plan, key: None, from, past, hold: None }, running, store)
    }

    /// Builds a view or an index beside what runs, and hands over its past; the last part later, if
    /// it is held back until so many ticks are done.
    fn make(&mut self, new: New<'_>, running: &mut Workers, store: &Views) -> Result<(), String> {
        let New { number, plan, key, from, past, hold } = new;
        if key.is_none() {
            store.prepare(number, plan).map_err(|error| format!("{error:?}"))?;
        }
        let reads = plan.reads.iter().map(|name| self.read(name, from)).collect();
        let (relation, view, step) = (number, plan.clone(), self.flow.step);
        let addition = Addition { relation, view, reads, step, index: key };
        running.add(addition).map_err(gone)?;
        for part in past {
            match hold.filter(|_| part.last) {
                Some(until) => self.held.push((until, part)),
                None => running.past(part).map_err(gone)?,
            }
        }
        Ok(())
    }

    /// Where the rows of a relation come from; of one that has an index that is read, from there.
    fn read(&self, name: &str, index: Option<(&str, usize)>) -> Read {
        let (schema, from) = match name {
            MADE => {
                let made = self.numbers().made;
                (self.plans.made.plan.root.schema.clone(), ReadFrom::Inside(made))
            }
            _ => {
                let inputs = &self.flow.inputs;
                let of = inputs.iter().position(|(input, _)| input == name);
                let of = of.expect("the flow takes in every stream and table");
                (inputs[of].1.clone(), ReadFrom::Outside(of))
            }
        };
        let index = index.filter(|(of, _)| *of == name);
        let from = index.map_or(from, |(_, number)| ReadFrom::Index(number));
        Read { name: name.to_owned(), schema, from }
    }

    /// The first `done` ticks of what a view reads, in parts, but for what an index has. As an
    /// instance does it, a part ends before a table changes, and does not tell its ticks apart.
    fn past(
        &self,
        (relation, plan): (usize, &ViewPlan),
        done: usize,
        index: Option<(&str, usize)>,
    ) -> Vec<Past> {
        let parts = self.plans.midway.parts;
        let cut = |n: &usize| (1..parts).any(|part| *n == done * part / parts);
        let ends = (1..done).filter(|n| cut(n) || self.case.brings_table(&plan.reads, *n));
        let ends: Vec<usize> = ends.chain([done]).collect();
        let begins = [0].into_iter().chain(ends.iter().copied());
        let imported = index.map(|(name, _)| name);
        let part = |(from, to): (usize, usize)| Past {
            relation,
            until: self.case.now(to - 1),
            deltas: self.taken(plan, from..to, imported),
            last: to == done,
        };
        begins.zip(ends.iter().copied()).map(part).collect()
    }

    /// What a view takes of some ticks, by input; nothing of what it imports.
    fn taken(
        &self,
        plan: &ViewPlan,
        ticks: Range<usize>,
        imported: Option<&str>,
    ) -> Vec<(usize, PastRows)> {
        let mut taken = Vec::new();
        for (input, name) in plan.reads.iter().enumerate() {
            if imported == Some(name.as_str()) {
                continue;
            }
            let logged = self.case.logged(name, ticks.clone()).into_iter();
            taken.extend(logged.map(|delta| (input, PastRows::Batch(delta))));
        }
        taken
    }

    /// Waits until a view lives with the others, and takes what it said of its past.
    fn settle(
        &mut self,
        relation: usize,
        running: &mut Workers,
        store: &Views,
    ) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            running.listen().map_err(gone)?;
            if let Some(why) = running.unbuilt(relation) {
                return Err(format!("it cannot be rendered: {why}"));
            }
            let caught_up = running.caught_up();
            self.caught_up.extend(caught_up);
            if self.caught_up.contains(&relation) {
                store.absorb(running.take_past(store.tick().plus(1)));
                return Ok(());
            }
            let late = begun.elapsed() > Duration::from_secs(60);
            assert!(!late, "a view does not catch up:\n{}", self.case);
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// What is said of a worker that is gone.
fn gone(_: WorkersError) -> String {
    PANICKED.to_owned()
}

/// A stream `r (k, x, at)` of these rows, by the number of ticks after which they come, minutes
/// after the beginning last, and a view over it that is made after `after` ticks of 20 minutes.
#[track_caller]
fn check(rows: &[(usize, i64, f64, i64)], query: &'static str, after: usize) {
    let column = |name: &str, of: Type| Column { name: name.to_owned(), of, nullable: false };
    let columns = vec![column("k", Type::Int), column("x", Type::Float), column("at", Type::Time)];
    let change = |(_, k, x, minute): &(usize, i64, f64, i64)| {
        let at = BEGIN_MS as i64 + minute * 60_000;
        let row = vec![Value::Int(*k), Value::Float(*x), Value::Time(at)];
        Change { table: 0, row, diff: 1 }
    };
    let tick = |n: usize| -> Vec<Change> {
        rows.iter().filter(|(tick, ..)| *tick == n).map(change).collect()
    };
    let tables = vec![Table { name: "r".to_owned(), columns, stream: true }];
    let ticks = (1..=after + 3).map(tick).collect();
    let held = [0, 0];
    let midway =
        Midway { query: 0, after, parts: 2, held, replaced: None, index: None, on_view: false };
    let case = Case::new(tables, ticks, vec![Query::Text(query)]);
    let case = Case { midway: Some(midway), ..case };
    let compared = case.run(&[1, 2, 3]);
    let compared = compared.unwrap_or_else(|difference| panic!("{difference}\n{case}"));
    assert_eq!((compared.midway, compared.failed), (3 * 3, 0), "{compared:?}");
}

#[test]
fn a_zero_of_the_past_is_as_one_of_the_present() {
    let rows = [(1, 1, -0.0, 10), (2, 2, -1.0, 30), (4, 3, -0.0, 70)];
    check(&rows, "SELECT k, x < 0.0 AS below FROM r", 2);
    check(&rows, "SELECT k FROM r WHERE x < 0.0", 2);
}

#[test]
fn a_late_row_of_the_past_finds_its_group() {
    // The second part of the past goes from 21:20 to 22:00. At 21:40 nothing of 20:50 can come any
    // more, but at 21:20 something did.
    let rows = [(3, 1, 1.0, 50), (4, 2, 2.0, 46), (6, 3, 3.0, 115)];
    let query = "SELECT date_bin(INTERVAL '30 minutes', at) AS begins_at, count(*) AS n, \
                 sum(x) AS x FROM r GROUP BY 1";
    check(&rows, query, 6);
}
