//! `cargo xtask accuracy`: the table of docs/forecast.md, from the command that a user runs.
//!
//! Each row is one `gridloom forecast backtest` on a public set of the data folder, with the window
//! and the terms of the protocol. What stands in the table is what the command printed, rounded;
//! the column of what is to be reached is the only one that is written here.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use serde_json::Value;

use crate::paths::Paths;
use crate::paths::cargo;

const BEGIN: &str = "<!-- accuracy: begin -->";
const END: &str = "<!-- accuracy: end -->";

const VICTORIA: &str = "load_vic_au_30min_2012_2013.csv";
const TAYLOR: &str = "load_taylor_england_wales_30min_2000.csv";
const GEFCOM: &str = "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv";
const LDC2: &str = "load_bigdeal2022_LDC2_hourly_2015_2018.csv";
const ISO_NE: &str = "load_isone_zones_ME_NH_CT_NEMASSBOST_hourly_2017-01_2017-04.csv";
const PID_287: &str = "substation_openstef_nl_pid287_15min_2020_2021.csv";
const PID_307: &str = "substation_openstef_nl_pid307_15min_2020_2021.csv";
const WIND: &str = "wind_gefcom2012_power_hourly_wf1-4.csv";
const PV_1: &str = "pv_gefcom2014_zone1_hourly_with_ecmwf.csv";
const PV_2: &str = "pv_gefcom2014_zone2_hourly_with_ecmwf.csv";

/// What a row is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// Mean absolute percentage error.
    Mape,
    /// Mean absolute error, in the series' unit.
    Mae,
    /// Mean absolute error in percent of capacity.
    Nmae,
}

/// A public set on its terms.
struct Set {
    name: &'static str,
    files: &'static [&'static str],
    /// What else the command is told.
    args: &'static str,
    measure: Measure,
    /// Not to be exceeded; nothing where nothing was set beforehand.
    reach: Option<f64>,
}

const fn set(
    name: &'static str,
    files: &'static [&'static str],
    args: &'static str,
    measure: Measure,
    reach: f64,
) -> Set {
    Set { name, files, args, measure, reach: Some(reach) }
}

const fn shown(
    name: &'static str,
    file: &'static [&'static str],
    args: &'static str,
    measure: Measure,
) -> Set {
    Set { name, files: file, args, measure, reach: None }
}

const HALF_2013: &str = "--utc-offset +10:00 --from 2013-07-01 --to 2013-12-31";
const ZONE_2: &str = "--target z02_kw --from 2007-07-01 --to 2008-06-28";
const ZONE_10: &str = "--target z10_kw --from 2007-07-01 --to 2008-06-28";
const MEASURED_2018: &str = "--holidays US --from 2018-01-01 --to 2018-10-30";
const FORECAST_2018: &str =
    "--holidays US --weather-kind forecast --from 2018-01-01 --to 2018-10-30";
const ME: &str = "--target ME_load_mw --holidays US --from 2017-03-15 --to 2017-04-29";
const NH: &str = "--target NH_load_mw --holidays US --from 2017-03-15 --to 2017-04-29";
const CT: &str = "--target CT_load_mw --holidays US --from 2017-03-15 --to 2017-04-29";
const NEMA: &str = "--target NEMASSBOST_load_mw --holidays US --from 2017-03-15 --to 2017-04-29";
const DUTCH: &str = "--holidays NL --weather-kind forecast --from 2020-12-18 --to 2021-01-27";
const FARM_1: &str = "--target wf1_pu --from 2011-01 --to 2012-06";
const FARM_2: &str = "--target wf2_pu --from 2011-01 --to 2012-06";
const FARM_3: &str = "--target wf3_pu --from 2011-01 --to 2012-06";
const FARM_4: &str = "--target wf4_pu --from 2011-01 --to 2012-06";
// The set does not say where its plants are; the competition says near Canberra.
const PLANT: &str = "--place -35.3,149.1 --weather-kind forecast --from 2013-01 --to 2013-04";

// Single homes, small and odd: here the naive forecasts are hard to beat.
const HOMES: &str = "homes_citylearn2022_fontana_ca_b01-08_hourly_2016_2017.csv";
const LLS: &str = "substation_netload_split_nl_LLS_15min_2021.csv";
const MNZL: &str = "substation_netload_split_nl_MNZL_15min_2021.csv";
const OWD: &str = "substation_netload_split_nl_OWD_15min_2021.csv";
const WEW: &str = "substation_netload_split_nl_WEW_15min_2021.csv";
const SERF: &str = "pv_nrel_serf_east_15min_2016.csv";
const LHB: &str = "wind_lahauteborne_fr_4turbines_hourly_2014_2015Q1.csv";
const SPLIT: &str = "--target net_load_mw --holidays NL --weather-kind forecast";

const SETS: [Set; 32] = [
    set("Victoria 2013 H2", &[VICTORIA], HALF_2013, Measure::Mape, 2.1),
    set(
        "England and Wales (TAYLOR)",
        &[TAYLOR],
        "--from 2000-07-31 --to 2000-08-26",
        Measure::Mape,
        1.0,
    ),
    set("GEFCom2012 zone 2", &[GEFCOM], ZONE_2, Measure::Mape, 3.4),
    set("GEFCom2012 zone 10 (drift)", &[GEFCOM], ZONE_10, Measure::Mape, 5.2),
    set("BigDEAL LDC2, measured temperature", &[LDC2], MEASURED_2018, Measure::Mape, 4.0),
    set("BigDEAL LDC2, forecast temperature", &[LDC2], FORECAST_2018, Measure::Mape, 4.8),
    set("ISO-NE ME", &[ISO_NE], ME, Measure::Mape, 2.3),
    set("ISO-NE NH", &[ISO_NE], NH, Measure::Mape, 2.5),
    set("ISO-NE CT", &[ISO_NE], CT, Measure::Mape, 3.0),
    set("ISO-NE NEMASSBOST", &[ISO_NE], NEMA, Measure::Mape, 2.6),
    set("Dutch substation 287", &[PID_287], DUTCH, Measure::Mae, 0.412),
    set("Dutch substation 307", &[PID_307], DUTCH, Measure::Mae, 2.17),
    set("wind farm 1", &[WIND, "wind_gefcom2012_nwp_wf1.csv"], FARM_1, Measure::Nmae, 10.9),
    set("wind farm 2", &[WIND, "wind_gefcom2012_nwp_wf2.csv"], FARM_2, Measure::Nmae, 9.9),
    set("wind farm 3", &[WIND, "wind_gefcom2012_nwp_wf3.csv"], FARM_3, Measure::Nmae, 11.2),
    set("wind farm 4", &[WIND, "wind_gefcom2012_nwp_wf4.csv"], FARM_4, Measure::Nmae, 10.3),
    set("PV zone 1", &[PV_1], PLANT, Measure::Nmae, 3.45),
    set("PV zone 2", &[PV_2], PLANT, Measure::Nmae, 3.64),
    shown("Dutch substation LLS (wind)", &[LLS], SPLIT, Measure::Mae),
    shown("Dutch substation MNZL (sun)", &[MNZL], SPLIT, Measure::Mae),
    shown("Dutch substation OWD (sun)", &[OWD], SPLIT, Measure::Mae),
    shown("Dutch substation WEW (wind)", &[WEW], SPLIT, Measure::Mae),
    shown("a home in Fontana, 1", &[HOMES], "--target b01_load_kw", Measure::Mae),
    shown("a home in Fontana, 2", &[HOMES], "--target b02_load_kw", Measure::Mae),
    shown("a home in Fontana, 3", &[HOMES], "--target b03_load_kw", Measure::Mae),
    shown("a home in Fontana, 4", &[HOMES], "--target b04_load_kw", Measure::Mae),
    shown("a home in Fontana, 5", &[HOMES], "--target b05_load_kw", Measure::Mae),
    shown("a home in Fontana, 6", &[HOMES], "--target b06_load_kw", Measure::Mae),
    shown("a home in Fontana, 7", &[HOMES], "--target b07_load_kw", Measure::Mae),
    shown("a home in Fontana, 8", &[HOMES], "--target b08_load_kw", Measure::Mae),
    shown("a roof (NREL SERF East)", &[SERF], "--target ac_power_kw --kind pv", Measure::Nmae),
    shown("a turbine (La Haute Borne)", &[LHB], "--target R80711_kw --kind wind", Measure::Nmae),
];

impl Measure {
    fn name(self, unit: &str) -> String {
        match self {
            Measure::Mape => "MAPE %".to_owned(),
            Measure::Mae => format!("MAE {unit}"),
            Measure::Nmae => "nMAE %".to_owned(),
        }
    }

    fn of(self, scores: &Value) -> Option<f64> {
        let key = match self {
            Measure::Mape => "mape",
            Measure::Mae => "mae",
            Measure::Nmae => "nmae",
        };
        scores[key].as_f64()
    }

    fn write(self, value: Option<f64>) -> String {
        let digits = if self == Measure::Mae { 3 } else { 2 };
        value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
    }
}

/// Runs all sets and writes the table; `only` names a part of the rows, which are then printed and
/// not written. Whether all that was to be reached was.
///
/// # Errors
/// The data are absent, the binary cannot be built, or a run fails.
pub(crate) fn run(paths: &Paths, only: Option<&str>) -> anyhow::Result<bool> {
    let data = std::env::var_os("GRIDLOOM_DATA").map(PathBuf::from);
    let data = data.context("GRIDLOOM_DATA does not say where the public sets are")?;
    let binary = binary(paths)?;
    let mut table = vec![HEAD.to_owned()];
    let mut reached = true;
    for set in SETS.iter().filter(|set| only.is_none_or(|part| set.name.contains(part))) {
        let (row, kept) = row(set, &binary, &data.join("forecast"))?;
        reached &= kept;
        tell(&row);
        table.push(row);
    }
    if only.is_none() {
        write(&paths.workspace.join("docs/forecast.md"), &table.join("\n"))?;
    }
    Ok(reached)
}

const HEAD: &str = "\
| set | measure | gridloom | to reach | 1 h ahead | 24 h ahead | best part alone | naive day | \
naive week | skill % | P10-P90 % | by month | CRPS | targets | seconds |\n\
|---|---|--:|--:|--:|--:|---|--:|--:|--:|--:|---|--:|--:|--:|";

#[expect(clippy::print_stdout, reason = "this is a command-line tool")]
fn tell(row: &str) {
    println!("{row}");
}

/// The release binary, built now; `GRIDLOOM_BIN` names one that is there.
fn binary(paths: &Paths) -> anyhow::Result<PathBuf> {
    if let Some(binary) = std::env::var_os("GRIDLOOM_BIN") {
        return Ok(PathBuf::from(binary));
    }
    let status = Command::new(cargo())
        .args(["build", "--release", "-p", "gridloom"])
        .current_dir(&paths.workspace)
        .status()
        .context("cargo could not be run")?;
    ensure!(status.success(), "gridloom could not be built");
    let target = paths.kafka.parent().context("the target directory has a parent")?;
    Ok(target.join("release/gridloom"))
}

fn row(set: &Set, binary: &Path, data: &Path) -> anyhow::Result<(String, bool)> {
    let mut command = Command::new(binary);
    command.args(["forecast", "backtest", "--output", "json"]);
    for file in set.files {
        command.arg("--data").arg(data.join(file));
    }
    command.args(set.args.split_whitespace());
    let begun = Instant::now();
    let output = command.output().with_context(|| format!("{} cannot run", binary.display()))?;
    let seconds = begun.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", set.name);
    let report: Value = serde_json::from_slice(&output.stdout).context("no JSON was printed")?;
    line(set, &report, seconds).with_context(|| format!("{}: a score is missing", set.name))
}

/// The row, and whether it keeps what was to be reached.
fn line(set: &Set, report: &Value, seconds: f64) -> Option<(String, bool)> {
    let models = report["models"].as_array()?;
    let model = |name: &str| models.iter().find(|model| model["model"] == name);
    let ours = model("gridloom")?;
    let own = set.measure.of(ours);
    let at = |hours: f64| {
        let leads = ours["by_horizon"].as_array()?;
        let lead = leads.iter().find(|lead| lead["lead_h"].as_f64() == Some(hours))?;
        match set.measure {
            Measure::Mape => lead["mape"].as_f64(),
            Measure::Mae => lead["mae"].as_f64(),
            Measure::Nmae => {
                let capacity = report["capacity"].as_f64()?;
                lead["mae"].as_f64().map(|mae| 100.0 * mae / capacity)
            }
        }
    };
    let naive = ["naive-day", "naive-week", "persistence"];
    // They come best first.
    let part = models.iter().find(|model| {
        let name = model["model"].as_str().unwrap_or_default();
        name != "gridloom" && !naive.contains(&name)
    });
    let part = part.map_or("-".to_owned(), |part| {
        let name = part["model"].as_str().unwrap_or_default();
        format!("{name} {}", set.measure.write(set.measure.of(part)))
    });
    let of = |name: &str| set.measure.write(model(name).and_then(|m| set.measure.of(m)));
    let coverage = ours["coverage_80"].as_f64()?;
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let months = ours["by_month"].as_array()?.iter().filter_map(|m| m["coverage_80"].as_f64());
    let (low, high) =
        months.fold((1.0_f64, 0.0_f64), |(low, high), share| (low.min(share), high.max(share)));
    let unit = report["unit"].as_str()?;
    let kept = set.reach.is_none_or(|reach| {
        own.is_some_and(|own| own <= reach) && (0.77..=0.83).contains(&coverage)
    });
    let cells = [
        set.name.to_owned(),
        set.measure.name(unit),
        format!("**{}**", set.measure.write(own)),
        set.reach.map_or("-".to_owned(), |reach| format!("≤ {}", set.measure.write(Some(reach)))),
        set.measure.write(at(1.0)),
        set.measure.write(at(24.0)),
        part,
        of("naive-day"),
        of("naive-week"),
        ours["skill"].as_f64().map_or("-".to_owned(), percent),
        percent(coverage),
        format!("{} to {}", percent(low), percent(high)),
        size(ours["crps"].as_f64()?, unit),
        ours["n"].as_u64()?.to_string(),
        format!("{seconds:.0}"),
    ];
    Some((format!("| {} |", cells.join(" | ")), kept))
}

/// Four digits that count, with the unit.
fn size(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 {
        1
    } else if value >= 1.0 {
        3
    } else {
        4
    };
    format!("{value:.digits$} {unit}")
}

/// Puts the table between its markers.
fn write(file: &Path, table: &str) -> anyhow::Result<()> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
    let (before, rest) =
        text.split_once(BEGIN).with_context(|| format!("{shown} has no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{shown} has no {END}"))?;
    let text = format!("{before}{BEGIN}\n\n{table}\n\n{END}{after}");
    std::fs::write(file, text).with_context(|| format!("{shown} cannot be written"))
}
