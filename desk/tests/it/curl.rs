//! curl, for the HTTP door.

use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::desk::Open;

fn curl(open: &Open, path: &str, more: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"]).args(more);
    command.arg(format!("http://{}{path}", open.doors.http.unwrap()));
    command
}

/// The body, and the status after it.
fn get(open: &Open, path: &str, more: &[&str]) -> (String, u16) {
    let output = curl(open, path, more).output().expect("curl is on the machine");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = said.rsplit_once('\n').expect("the status comes last");
    (body.to_owned(), status.parse().unwrap())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[track_caller]
fn sql(open: &Open, body: &str) -> (Value, u16) {
    let auth = bearer(&open.admin);
    let (body, status) = get(open, "/sql", &["-H", &auth, "--data-binary", body]);
    (serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")), status)
}

#[test]
fn statements_are_answered_as_json() {
    let open = Open::new();
    let (body, status) = sql(&open, "SELECT meter_id, limit_kw FROM meters ORDER BY 1 LIMIT 2");
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["tick"], "2026-01-01T00:00:00Z");
    assert_eq!(body["rows"][1]["meter_id"], "m2");
    assert_eq!(body["rows"][1]["limit_kw"], 7.5);
    assert_eq!(body["columns"][1]["type"], "Float64");
    let (body, _) = sql(&open, "SELECT * FROM meters WHERE false");
    assert_eq!(body["rows"], serde_json::json!([]));
    let (body, status) = sql(&open, "CREATE MATERIALIZED VIEW v AS SELECT * FROM meters");
    assert_eq!((status, &body["done"]), (200, &"CREATE MATERIALIZED VIEW".into()));
}

#[test]
fn values_are_bound() {
    let open = Open::new();
    let auth = bearer(&open.admin);
    let body = r#"{"sql": "SELECT meter_id FROM meters WHERE limit_kw > $1 AND feeder_id = $2",
                   "parameters": [6, "f1"]}"#;
    let json = "Content-Type: application/json";
    let (body, status) = get(&open, "/sql", &["-H", &auth, "-H", json, "-d", body]);
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["rows"], serde_json::json!([{"meter_id": "m2"}]));
}

#[test]
fn statements_are_answered_as_arrow() {
    let open = Open::new();
    let auth = bearer(&open.admin);
    let accept = "Accept: application/vnd.apache.arrow.stream";
    let output = Command::new("curl")
        .args(["-sS", "-H", &auth, "-H", accept, "-d", "SELECT sequence FROM audit.actions"])
        .arg(format!("http://{}/sql", open.doors.http.unwrap()))
        .output()
        .unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(&output.stdout[..], None).unwrap();
    let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 200_000);
}

#[test]
fn refusals_have_a_status_a_code_and_a_hint() {
    let open = Open::new();
    let (body, status) = sql(&open, "SELECT * FROM meter");
    assert_eq!((status, &body["error"]["sqlstate"]), (400, &"42P01".into()), "{body}");
    assert_eq!(body["error"]["hint"], "did you mean meters?");
    let long = format!("SELECT '{}'", "x".repeat(5 << 20));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("long.sql");
    std::fs::write(&file, long).unwrap();
    let (body, status) = sql(&open, &format!("@{}", file.display()));
    assert_eq!(status, 413, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("more than 1048576"), "{body}");
}

#[test]
fn only_health_is_told_to_anybody() {
    let open = Open::new();
    assert_eq!(get(&open, "/healthz", &[]), ("ok\n".to_owned(), 200));
    assert_eq!(get(&open, "/readyz", &[]), ("ready\n".to_owned(), 200));
    let (body, status) = get(&open, "/", &[]);
    assert_eq!((status, body.starts_with("there are POST /sql")), (404, true), "{body}");
    for path in ["/metrics", "/subscribe?view=feeder_kw"] {
        assert_eq!(get(&open, path, &[]).1, 401, "{path}");
    }
    assert_eq!(get(&open, "/sql", &["-d", "SELECT 1"]).1, 401);
    let wrong = bearer("wrong");
    assert_eq!(get(&open, "/metrics", &["-H", &wrong]).1, 401);
    let viewer = bearer(&open.viewer);
    let drop = ["-H", &viewer, "-d", "DROP MATERIALIZED VIEW feeder_kw"];
    assert_eq!(get(&open, "/sql", &drop).1, 403);
    open.engine.hydrating("feeder_kw", 43);
    let (body, status) = get(&open, "/readyz", &[]);
    assert_eq!((body.as_str(), status), ("feeder_kw is hydrating (43 %)\n", 503));
}

#[test]
fn metrics_are_scraped() {
    let open = Open::new();
    let auth = bearer(&open.viewer);
    let (text, status) = get(&open, "/metrics", &["-H", &auth]);
    assert_eq!(status, 200);
    for line in [
        "# TYPE gridloom_readings counter",
        "gridloom_readings_total 0",
        "gridloom_view_rows{view=\"feeder_kw\"} 2",
        "gridloom_tick_seconds 1767225600",
        "# EOF",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
}

#[test]
fn changes_are_events() {
    let open = Open::new();
    let auth = bearer(&open.viewer);
    let path = "/subscribe?view=feeder_kw&snapshot=false";
    let child = curl(&open, path, &["-N", "-H", &auth, "--max-time", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(700));
    open.engine.step();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let data = said.lines().find_map(|line| line.strip_prefix("data: ")).expect("an event");
    let rows: Value = serde_json::from_str(data).unwrap();
    assert_eq!(rows[0]["diff"], -1, "{said}");
    assert_eq!(rows[2]["kw"], 3.5, "{said}");
    assert!(said.contains("event: change") && said.contains("id: 1767225605000"), "{said}");
}

#[test]
fn a_client_that_is_gone_stops_the_work() {
    let open = Open::new();
    let auth = bearer(&open.admin);
    let long =
        "SELECT count(*) FROM audit.actions a, audit.actions b WHERE a.sequence < b.sequence * 2";
    let mut child = curl(&open, "/sql", &["-H", &auth, "-d", long]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(open.desk.computing(), 1);
    child.kill().unwrap();
    let began = Instant::now();
    while open.desk.computing() > 0 {
        assert!(began.elapsed() < Duration::from_secs(1), "the work goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait().unwrap();
}
