//! JDBC, over both doors. `cargo xtask test` gets the drivers.

use std::process::Command;

use crate::desk::Open;

#[track_caller]
fn java(driver: &str, which: &str, url: &str, token: &str) {
    let jars = std::env::var("GRIDLOOM_TEST_JDBC")
        .expect("GRIDLOOM_TEST_JDBC is not set: run `cargo xtask test`, or `cargo xtask clients`");
    let jar = std::fs::read_dir(&jars)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(driver))
        .expect("the driver is among the jars");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/Jdbc.java");
    let output = Command::new("java")
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args(["--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp"])
        .arg(jar)
        .args([program, which, url, token])
        .output()
        .expect("java is on the machine");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.contains("done"), "{said}");
}

#[test]
fn tools_ask_over_flight_sql() {
    let open = Open::new();
    let url = format!("jdbc:arrow-flight-sql://{}", open.doors.flight.unwrap());
    java("flight-sql-jdbc-driver", "flight", &url, &open.admin);
}

#[test]
fn tools_ask_over_postgresql() {
    let open = Open::new();
    let url = format!("jdbc:postgresql://{}/gridloom", open.doors.postgres.unwrap());
    java("postgresql", "postgres", &url, &open.admin);
}
