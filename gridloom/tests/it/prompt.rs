//! `gridloom sql --connect` and its prompt against a running instance, as an engineer uses them:
//! the binary on both sides, a source and a view that come while it runs, and a restart.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;

/// A village that passes a minute a second, and a door.
const CONFIG: &str = "[instance]\nname = \"prompt\"\ndata_dir = \"data\"\npatience = \"1s\"\n\
    [desk]\npostgres = \"127.0.0.1:0\"\n\
    [[sources]]\nname = \"village\"\nkind = \"simulator\"\nspeed = 60\n";

const CHARGERS: &str = "CREATE SOURCE chargers (charger_id TEXT NOT NULL, at TIMESTAMP NOT NULL, \
    kw DOUBLE PRECISION) WITH (kind = 'file', path = 'chargers.csv', event_time = 'at')";

const POWER: &str = "CREATE MATERIALIZED VIEW power AS SELECT charger_id, sum(kw) AS kw \
    FROM chargers GROUP BY charger_id";

fn gridloom(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.current_dir(folder).args(args).env("GRIDLOOM_LOG", "error");
    command.env("XDG_STATE_HOME", folder.join("state"));
    command.env_remove("PGSSLMODE").env_remove("PGSSLROOTCERT");
    command
}

/// A running instance.
struct Running {
    child: Child,
    port: u16,
    /// Said at the first start only.
    token: Option<String>,
}

impl Running {
    fn start(folder: &Path) -> Running {
        let mut command = gridloom(folder, &["run"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut port, mut token, mut said) = (None, None, String::new());
        let wanted = |token: &Option<String>| folder.join("asked").exists() || token.is_some();
        while port.is_none() || !wanted(&token) {
            let line = lines.next().unwrap_or_else(|| panic!("it does not start: {said}")).unwrap();
            said.push_str(&line);
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["PostgreSQL", "psql", "-h", _, "-p", at, ..] => port = at.parse().ok(),
                ["admin", made, ..] => token = Some((*made).to_owned()),
                _ => {}
            }
        }
        // Whoever does not read what is said makes it wait.
        let reader = std::thread::Builder::new().name("said".to_owned());
        reader.spawn(move || lines.count()).unwrap();
        fs::write(folder.join("asked"), "").unwrap();
        Running { child, port: port.unwrap(), token }
    }

    fn sql(&self, folder: &Path, token: &str, more: &[&str]) -> Command {
        let url = format!("postgresql://admin@127.0.0.1:{}/", self.port);
        let mut command = gridloom(folder, &["sql", "--connect", &url]);
        command.args(more).env("PGPASSWORD", token);
        command
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn good(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}{err}");
    out
}

/// What a prompt says to these lines.
fn prompt(command: &mut Command, typed: &str) -> Output {
    let (stdin, out) = (Stdio::piped(), Stdio::piped());
    let mut child = command.stdin(stdin).stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Asks until the answer says so.
#[track_caller]
fn until(what: &str, asked: impl Fn() -> Output) {
    let began = Instant::now();
    loop {
        let (out, err) = text(&asked());
        if out.contains(what) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{what} does not come: {out}{err}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The audit log, asked once and maintained.
fn audit_log(sql: &dyn Fn(&[&str]) -> Command) {
    let made = "CREATE MATERIALIZED VIEW made AS
        SELECT subject, change, count(*) AS n FROM audit.views GROUP BY subject, change";
    good(&mut sql(&[made]));
    let both = "SELECT v.subject, v.change, m.n FROM audit.views v
        JOIN made m USING (subject, change) WHERE v.subject = 'power'";
    until("| power   | created | 1 ", || sql(&[both]).output().unwrap());
}

#[test]
fn an_engineer_at_the_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fs::write(folder.join("gridloom.toml"), CONFIG).unwrap();
    let rows = "charger_id,at,kw\nc1,2016-08-31T00:00:01Z,7.5\nc2,2016-08-31T00:00:02Z,11\n";
    fs::write(folder.join("chargers.csv"), rows).unwrap();
    let running = Running::start(folder);
    let token = running.token.clone().unwrap();
    let sql = |more: &[&str]| running.sql(folder, &token, more);

    // One statement, in each form.
    let asked = "SELECT meter_id, bus_id FROM meters WHERE meter_id = 'meter-01'";
    let table = good(&mut sql(&[asked]));
    assert!(table.contains("| meter_id | bus_id  |") && table.contains("1 row"), "{table}");
    let csv = good(&mut sql(&[asked, "-o", "csv"]));
    assert!(csv.starts_with("meter_id,bus_id\nmeter-01,"), "{csv}");
    let json = good(&mut sql(&["SELECT 1 AS one, true AS yes, NULL AS no", "-o", "json"]));
    assert_eq!(json.trim(), r#"[{"one":1,"yes":true,"no":null}]"#);

    // A refusal has a hint, and ends the command.
    let (_, said) = text(&sql(&["SELECT * FROM meterz"]).output().unwrap());
    assert!(said.contains("(42P01)") && said.contains("did you mean meters?"), "{said}");
    let (_, said) = text(&running.sql(folder, "wrong", &["SELECT 1"]).output().unwrap());
    assert!(said.contains("there is no user admin with this password"), "{said}");

    // At the prompt, statements go over lines and there are commands.
    let typed = format!("{CHARGERS};\n{POWER};\n\\d chargers\nSELECT 'a;b'\n  AS x;\n\\q\n");
    let (out, said) = text(&prompt(&mut sql(&[]), &typed));
    assert!(said.contains("rows of chargers are taken from tick"), "{said}");
    assert!(out.contains("charger_id  text") && out.contains("| a;b |"), "{out}{said}");
    let ask = |what: &str| sql(&[what]).output().unwrap();
    until("| c2         | 11.0 ", || ask("SELECT * FROM power ORDER BY 1"));
    let (out, said) = text(&prompt(&mut sql(&[]), "SELECT nothing;\nSELECT 7 AS seven;\n"));
    assert!(said.contains("42703") && !out.contains("seven"), "a script ends there: {out}{said}");

    // What is kept, in words and as rows.
    let plan = good(&mut sql(&["EXPLAIN ANALYZE VIEW power"]));
    assert!(plan.contains("now: 2 rows"), "{plan}");
    let kept = good(&mut sql(&[
        "SELECT rows FROM gridloom.arrangements WHERE view = 'power' AND node LIKE 'Reduce%'",
        "-o",
        "csv",
    ]));
    assert_eq!(kept, "rows\n2\n");

    audit_log(&sql);

    // Changes come as they happen.
    let mut command = sql(&["SUBSCRIBE grid_state WITH (snapshot = false)"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let header = lines.next().unwrap().unwrap();
    assert!(header.starts_with("tick_at\tprogress\tdiff\t"), "{header}");
    assert!(lines.next().unwrap().unwrap().starts_with("2016-08-31 "));
    child.kill().unwrap();
    child.wait().unwrap();

    // Source and view are there after a restart.
    drop(running);
    let running = Running::start(folder);
    let sources = "SELECT source, ended FROM gridloom.sources WHERE source = 'chargers'";
    until("| chargers | t ", || running.sql(folder, &token, &[sources]).output().unwrap());
    let ask = |what: &str| running.sql(folder, &token, &[what]).output().unwrap();
    until("| c1         | 7.5 ", || ask("SELECT * FROM power ORDER BY 1"));
    good(&mut running.sql(folder, &token, &["DROP MATERIALIZED VIEW power"]));
    good(&mut running.sql(folder, &token, &["DROP SOURCE chargers"]));
    assert!(text(&ask("SELECT * FROM chargers")).1.contains("42P01"));
}

/// Who signs certificates, with its own.
fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::default();
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    own.distinguished_name.push(DnType::CommonName, name);
    let certificate = own.self_signed(&key).unwrap().pem();
    (certificate, Issuer::new(own, key))
}

/// A door with a certificate for 127.0.0.1; `ca.pem` is of whoever signed it, `other.pem` is not.
fn with_certificate(folder: &Path) {
    let (ours, issuer) = authority("ours");
    let key = KeyPair::generate().unwrap();
    let mut door = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    door.distinguished_name.push(DnType::CommonName, "door");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("ca.pem", &ours);
    write("other.pem", &authority("theirs").0);
    write("door.pem", &door.signed_by(&key, &issuer).unwrap().pem());
    write("door.key", &key.serialize_pem());
    let tls = "[desk]\ncertificate = \"door.pem\"\nkey = \"door.key\"\n";
    write("gridloom.toml", &CONFIG.replace("[desk]\n", tls));
}

#[test]
fn a_door_with_a_certificate_is_asked_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    with_certificate(folder);
    let running = Running::start(folder);
    let token = running.token.clone().unwrap();
    let command = |host: &str, query: &str, more: &[&str]| {
        let url = format!("postgresql://admin@{host}:{}/?{query}", running.port);
        let mut command = gridloom(folder, &["sql", "--connect", &url]);
        command.args(more).env("PGPASSWORD", &token);
        command
    };
    let ask = |host: &str, query: &str| command(host, query, &["SELECT 7 AS n", "-o", "csv"]);
    assert_eq!(good(&mut ask("127.0.0.1", "sslrootcert=ca.pem")), "n\n7\n");
    good(&mut ask("127.0.0.1", "sslmode=verify-full&sslrootcert=ca.pem"));
    good(ask("127.0.0.1", "sslmode=require").env("PGSSLROOTCERT", "ca.pem"));
    good(&mut ask("localhost", "hostaddr=127.0.0.1&sslmode=verify-ca&sslrootcert=ca.pem"));

    // Whom nobody vouches for learns no password.
    let refused = |host: &str, query: &str, expected: &str| {
        let output = ask(host, query).output().unwrap();
        let (out, said) = text(&output);
        assert!(!output.status.success() && said.contains(expected), "{query}: {out}{said}");
    };
    let theirs = "of 127.0.0.1 is signed by none that sslrootcert other.pem holds";
    refused("127.0.0.1", "sslrootcert=other.pem", theirs);
    refused("127.0.0.1", "sslmode=verify-ca&sslrootcert=other.pem", theirs);
    refused("127.0.0.1", "sslmode=prefer", "sslrootcert=FILE");
    let another = "the certificate that localhost shows is another's";
    refused("localhost", "hostaddr=127.0.0.1&sslrootcert=ca.pem", another);
    refused("127.0.0.1", "sslrootcert=gone.pem", "sslrootcert gone.pem cannot be read");
    refused("127.0.0.1", "sslmode=maybe", "there is no sslmode \"maybe\"");
    refused("127.0.0.1", "sslmode=disable", "");

    // Ctrl-C goes over TLS as well.
    let endless = ["SUBSCRIBE grid_state"];
    let mut command = command("127.0.0.1", "sslrootcert=ca.pem", &endless);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("tick_at\t"));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    lines.for_each(drop);
    let (_, said) = text(&child.wait_with_output().unwrap());
    assert!(said.contains("57014"), "{said}");
}

#[test]
fn a_door_without_a_certificate_is_not_asked_where_tls_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    with_certificate(folder);
    fs::write(folder.join("gridloom.toml"), CONFIG).unwrap();
    let running = Running::start(folder);
    let token = running.token.clone().unwrap();
    for query in ["sslmode=require", "sslrootcert=ca.pem"] {
        let url = format!("postgresql://admin@127.0.0.1:{}/?{query}", running.port);
        let mut command = gridloom(folder, &["sql", "--connect", &url, "SELECT 1"]);
        let (_, said) = text(&command.env("PGPASSWORD", &token).output().unwrap());
        assert!(said.contains("does not support TLS"), "{query}: {said}");
    }
}

#[test]
fn the_prompt_asks_a_folder_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    good(&mut gridloom(folder, &["demo", "--ticks", "3", "--data-dir", "day"]));
    let typed = "\\timing\n\\d grid_state\n\\wrong\nSELECT count(*) AS n\nFROM grid_state";
    let (out, said) = text(&prompt(&mut gridloom(folder, &["sql", "--data-dir", "day"]), typed));
    assert!(out.contains("| 116 |") && out.contains(" ms"), "{out}{said}");
    assert!(out.contains("bus_id"), "{out}");
    assert!(said.contains("there is no command \\wrong"), "{said}");
}
