//! `cargo bench -p gridloom-benches --bench micro`: the steps that a reading passes, one by one.
//!
//! Each is one call of a public function on data of the size that a tick has; criterion repeats it
//! and says how its time is spread. What they come to together is measured by `feeder_cost`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use benches::feeder_cost::BEGIN_MS;
use benches::feeder_cost::SQL;
use benches::feeder_cost::VARIANTS;
use benches::feeder_cost::Workload;
use benches::feeder_cost::catalog;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use criterion::BatchSize;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use grid::BusIndex;
use grid::Complex;
use grid::Model;
use grid::Network;
use grid::model::SourceImpedance;
use grid::model::siemens_from_nf;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::Bus;
use grid::network::Control;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Line;
use grid::network::Parameters;
use grid::network::Zip;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;
use pipeline::ingest::IngestSettings;
use pipeline::ingest::Session;
use pipeline::log::InstanceId;
use pipeline::log::Log;
use pipeline::log::Options;
use pipeline::log::TickCommit;
use pipeline::render::accumulate::SUM_MAX;
use pipeline::render::accumulate::Slot;
use queries::Planner;
use schemas::audit::Entry;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::audit::Records;
use schemas::audit::chain::chain;
use schemas::catalog::Catalog;
use schemas::event::MeterReading;
use schemas::relation::Relation;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time::Timestamp;

/// A tick of 10,000 readings.
fn readings() -> RecordBatch {
    Workload::new(VARIANTS[1]).readings.swap_remove(0)
}

fn rows(c: &mut Criterion) {
    let batch = readings();
    let mut group = c.benchmark_group("rows");
    group.throughput(Throughput::Elements(batch.num_rows() as u64));
    let mut codec = RowCodec::new(MeterReading::schema()).expect("plain columns");
    let encoded: Vec<Row> = codec.rows(&batch).expect("of the schema");
    group.bench_function("encode 10,000 readings", |b| {
        b.iter(|| codec.rows(black_box(&batch)).expect("of the schema"));
    });
    let codec = RowCodec::new(MeterReading::schema()).expect("plain columns");
    group.bench_function("decode 10,000 readings", |b| {
        b.iter(|| codec.decode(black_box(&encoded).iter().map(Row::as_bytes)).expect("rows"));
    });
    group.finish();
}

fn accumulate(c: &mut Criterion) {
    let values: Vec<f64> = (0..10_000).map(|n| f64::from(n) / 1_024.0).collect();
    let mut group = c.benchmark_group("accumulate");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("add 10,000 doubles exactly", |b| {
        b.iter(|| {
            let mut slot = Slot::default();
            for x in black_box(&values) {
                slot.add_float(*x, 1, SUM_MAX).expect("small values");
            }
            slot
        });
    });
    group.finish();
}

fn ingest(c: &mut Criterion) {
    let rows = readings();
    let partition = PartitionId::new("meters", 0);
    let count = rows.num_rows() as Position;
    let fetched = || {
        let of = partition.clone();
        Polled::Batch(Fetched::of_rows(of, MeterReading::NAME, rows.clone(), 0))
    };
    let session = || {
        let relations = Catalog::built_in();
        let mut session = Session::new(IngestSettings::default(), relations.streams());
        session.add_partition(partition.clone(), 0);
        (session, fetched())
    };
    let mark = || {
        let (partition, at) = (partition.clone(), Timestamp(BEGIN_MS + 60_000));
        Polled::Mark { partition, at, position: count + 1 }
    };
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function("10,000 readings into a closed tick", |b| {
        let tick = |(mut session, polled): (Session, Polled)| {
            session.take(polled);
            session.take(mark());
            session.close(Timestamp(0)).expect("the mark closes it")
        };
        b.iter_batched(session, tick, BatchSize::LargeInput);
    });
    group.finish();
}

/// A hundred records of one tick.
fn records(tick: Timestamp) -> RecordBatch {
    let mut records = Records::new(tick);
    for n in 0..100 {
        let subject = format!("battery-{n:02}");
        records.push(&Entry {
            subject: &subject,
            actor: "dispatch",
            reason: "113.2 kW of 114 kW",
            ..Entry::default()
        });
    }
    let kw: ArrayRef = Arc::new((0..100).map(|n| Some(f64::from(n))).collect::<Float64Array>());
    let field = Field::new("active_power_kw", DataType::Float64, true);
    records.finish(vec![(field, kw)]).expect("one value a record")
}

fn audit(c: &mut Criterion) {
    let mut group = c.benchmark_group("audit");
    group.throughput(Throughput::Elements(100));
    let (head, tick) = (Head::genesis("bench"), Timestamp(BEGIN_MS));
    let batches = [(Kind::Action, records(tick))];
    group.bench_function("chain 100 records", |b| {
        b.iter(|| chain(&head, tick, black_box(&batches)).expect("new records"));
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let instance = InstanceId::new("bench").expect("a plain name");
    let (mut log, _) = Log::open(folder.path(), &instance, Options::default()).expect("empty");
    let (rows, mut at) = (readings(), BEGIN_MS);
    group.bench_function("commit a tick: 10,000 readings, 100 records, one fdatasync", |b| {
        b.iter(|| {
            at += 5_000;
            let mut commit = TickCommit::new(Timestamp(at));
            commit.inputs.push((MeterReading::NAME.to_owned(), rows.clone()));
            commit.audit.push((Kind::Action, records(Timestamp(at))));
            log.append(&commit).expect("ticks in order");
            log.sync().expect("a disk that takes it");
        });
    });
    group.finish();
}

fn plan(c: &mut Criterion) {
    let planner = Planner::new(catalog());
    c.bench_function("plan/feeder cost from its text", |b| {
        b.iter(|| planner.select(black_box(SQL)).expect("it can be maintained"));
    });
}

/// A tree of 116 buses of 0.4 kV, as a village has, on a power base of 1 MVA.
fn village() -> Network {
    const BUSES: usize = 116;
    let line = Line {
        r_ohm: 0.2067 * 0.03,
        x_ohm: 0.0804 * 0.03,
        g_siemens: 0.0,
        b_siemens: siemens_from_nf(830.0 * 0.03, 50.0),
        rated_ka: Some(0.27),
    };
    let branch = |n: usize| Branch {
        id: format!("line-{n}"),
        name: String::new(),
        from: BusIndex((n - 1) / 2),
        to: BusIndex(n),
        class: BranchClass::Line,
        parameters: Parameters::Line(line),
        in_service: true,
    };
    let injection = |n: usize| Injection {
        id: format!("load-{n}"),
        name: String::new(),
        class: InjectionClass::Load,
        bus: BusIndex(n),
        control: match n {
            0 => Control::Slack { vm_pu: 1.0, va_deg: 0.0, impedance_pu: None },
            _ => Control::Power,
        },
        p_mw: -(1.0 + (n % 7) as f64 / 7.0) / 1e3,
        q_mvar: -0.2 / 1e3,
        zip: Zip::POWER,
        q_limits_mvar: None,
        in_service: true,
    };
    let bus = |n: usize| Bus {
        id: format!("bus-{n}"),
        name: String::new(),
        nominal_kv: 0.4,
        in_service: true,
    };
    Network {
        base_mva: 1.0,
        frequency_hz: 50.0,
        buses: (0..BUSES).map(bus).collect(),
        branches: (1..BUSES).map(branch).collect(),
        injections: (0..BUSES).map(injection).collect(),
        ..Network::default()
    }
}

fn power_flow(c: &mut Criterion) {
    let model = Model::new(&village(), SourceImpedance::Kept).expect("without faults");
    let mut flow = PowerFlow::new(model);
    let settings = Settings::default();
    c.bench_function("power flow/116 buses from a flat start", |b| {
        b.iter(|| flow.solve(black_box(Start::Flat), &settings));
    });
    let mut up = false;
    c.bench_function("power flow/116 buses after a load moved", |b| {
        b.iter(|| {
            up = !up;
            flow.set_power(60, Complex::new(if up { -2e-3 } else { -1e-3 }, -2e-4));
            flow.solve(black_box(Start::Warm), &settings)
        });
    });
}

criterion_group! {
    name = steps;
    config = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1))
        .without_plots();
    targets = rows, accumulate, ingest, audit, plan, power_flow
}
criterion_main!(steps);
