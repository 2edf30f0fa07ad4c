//! temp
use super::*;
use std::time::Instant;
use schemas::relation::timestamp_type;
use arrow_array::TimestampMillisecondArray;

fn input(number: u64, prefix: &str, rows: usize, floats: usize) -> RecordBatch {
    let mut fields = vec![Field::new("id", DataType::Utf8, false), Field::new("measured_at", timestamp_type(), false)];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values((0..rows).map(|r| format!("{prefix}-{r}")))),
        Arc::new(TimestampMillisecondArray::from_value((number * STEP) as i64, rows).with_timezone("UTC")),
    ];
    for c in 0..floats {
        fields.push(Field::new(format!("v{c}"), DataType::Float64, false));
        columns.push(Arc::new(Float64Array::from_iter_values((0..rows).map(|r| ((number as f64 * 0.37 + r as f64 * 1.7 + c as f64).sin() * 1000.0).round() / 1024.0))));
    }
    fields.push(Field::new("quality", DataType::Utf8, false));
    columns.push(Arc::new(StringArray::from_iter_values((0..rows).map(|_| "good"))));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn audit(number: u64, prefix: &str, rows: usize) -> RecordBatch {
    let t = tick(number);
    let mut r = Records::new(t);
    for i in 0..rows {
        let s = format!("{prefix}-{i:02}");
        let id = format!("{}:{s}:0", t.0);
        let inputs = format!("feeder_load@{} asset_telemetry@{}", t.0, t.0);
        r.push(&Entry { subject: &s, actor: "dispatch", action_id: &id, inputs: &inputs, model_version: "water-filling-1", reason: "feeder above 0.96 of its limit" });
    }
    let kw = Float64Array::from_iter_values((0..rows).map(|r| ((number as f64 + r as f64).cos() * 5120.0).round() / 1024.0));
    let st = StringArray::from_iter_values((0..rows).map(|_| "proposed"));
    r.finish(vec![(Field::new("state", DataType::Utf8, false), Arc::new(st)), (Field::new("kw", DataType::Float64, false), Arc::new(kw))]).unwrap()
}

#[test]
#[ignore]
fn measure() {
    for (compress, audits) in [(true, 30), (false, 30), (true, 0), (true, 250)] {
        let room = tempfile::tempdir_in("/work/tmp-log").unwrap();
        let o = Options { compress, ..Options::default() };
        let (mut log, _) = Log::open(room.path(), &north(), o).unwrap();
        let n = 2000;
        let commits: Vec<TickCommit> = (1..=n).map(|k| {
            let mut c = TickCommit::new(tick(k));
            c.inputs.push(("meter_readings".into(), input(k, "meter", 57, 3)));
            c.inputs.push(("asset_telemetry".into(), input(k, "battery", 57, 3)));
            c.inputs.push(("scada_measurements".into(), input(k, "bus", 117, 2)));
            c.set_offsets(&[("a/0", k), ("b/0", k), ("c/0", k)]).unwrap();
            if audits > 0 { c.audit.push((Kind::Action, audit(k, "battery", audits))); }
            c
        }).collect();
        let (mut ta, mut ts) = (0, 0);
        let mut tc = 0;
        for c in &commits {
            let t = Instant::now();
            chain(log.head(), c.tick, &c.audit).unwrap();
            tc += t.elapsed().as_nanos();
            let t = Instant::now();
            log.append(c).unwrap();
            ta += t.elapsed().as_nanos();
            let t = Instant::now();
            log.sync().unwrap();
            ts += t.elapsed().as_nanos();
        }
        log.close().unwrap();
        let bytes: u64 = segment_files(room.path()).iter().map(|p| std::fs::metadata(p).unwrap().len()).sum();
        let t = Instant::now();
        let rep = verify(room.path()).unwrap();
        assert!(rep.intact());
        let tv = t.elapsed().as_millis();
        let t = Instant::now();
        let (_l, rec) = Log::open(room.path(), &north(), Options::default()).unwrap();
        let to = t.elapsed().as_millis();
        let t = Instant::now();
        assert_eq!(rec.replay(tick(1)).count(), n as usize);
        let tr = t.elapsed().as_millis();
        let t = Instant::now();
        let k = read_kind(room.path(), Kind::Action).unwrap().count();
        let tk = t.elapsed().as_millis();
        let n = n as u128;
        println!("compress {compress} audits {audits}: {} bytes/tick, chain {} us (part), append {} us, sync {} us; verify {tv} ms, open {to} ms, replay {tr} ms, read_kind {k} {tk} ms for {n} ticks", bytes / n as u64, tc / n / 1000, ta / n / 1000, ts / n / 1000);
    }
}
