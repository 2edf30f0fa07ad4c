//! The views that the oracle compares, and what it must know of each: what may differ by rounding,
//! and which rows cannot be computed.
//!
//! A batch query fails as a whole on one bad row. So it is asked of the input without the rows that
//! the view leaves out, and how many those are is asked of the input with them.

use super::compare::Bound;

/// A view.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The statement that is maintained.
    pub(crate) sql: &'static str,
    /// What is asked in batch, if it is another: SQL has no word for NULL instead of an error.
    pub(crate) batch: Option<&'static str>,
    /// Of what it reads, a relation and what holds for the rows that it can compute.
    pub(crate) without: &'static [(&'static str, &'static str)],
    /// How many rows it cannot compute.
    pub(crate) faults: Option<&'static str>,
    /// What is in the row of each such fault.
    pub(crate) of_row: &'static str,
    /// Columns that need not be equal bit for bit.
    pub(crate) loose: &'static [(&'static str, Bound)],
}

impl Case {
    const fn new(name: &'static str, sql: &'static str) -> Case {
        Case { name, sql, batch: None, without: &[], faults: None, of_row: "", loose: &[] }
    }
}

/// Sums of hourly means, or means of means: neither is a multiple of 2^-10, so their order counts.
const MEANS_OF_MEANS: [(&str, &[(&str, Bound)]); 8] = [
    // A minute is the mean of bins, and each bin is a mean.
    ("feeder_load", &[("kw", Bound::Stacked)]),
    // A bus is the sum of the hourly means of its meters, which are rows of meter_hour.
    ("node_hour", &[("net_load_kw", Bound::Stacked)]),
    ("node_quarter", &[("net_load_kw", Bound::Stacked)]),
    // Means of differences from node_hour.
    ("forecast_error", FORECAST_ERRORS),
    ("forecast_error_by_lead", FORECAST_ERRORS),
    ("short_forecast_error", FORECAST_ERRORS),
    // Sums of slopes.
    ("asset_efficiency", &[("measured_kwh", Bound::Stacked), ("efficiency", Bound::Stacked)]),
    ("asset_state", &[("efficiency", Bound::Stacked)]),
];

const FORECAST_ERRORS: &[(&str, Bound)] =
    &[("mae_kw", Bound::Stacked), ("coverage", Bound::Stacked), ("bias_kw", Bound::Stacked)];

/// What no sum takes: 2^44.
const READINGS: &[(&str, &str)] = &[("meter_readings", "abs(active_power_kw) <= 17592186044416.0")];

/// The same of stores.
const STORES: &[(&str, &str)] = &[("asset_telemetry", "abs(active_power_kw) <= 17592186044416.0")];

/// Of both.
const METERS_AND_STORES: &[(&str, &str)] = &[READINGS[0], STORES[0]];

/// Shipped views that sum what came from outside.
const SHIPPED: [Case; 9] = [
    Case {
        without: READINGS,
        faults: Some(
            "SELECT count(*) FROM (
               SELECT DISTINCT ON (meter_id, measured_at) meter_id, measured_at, active_power_kw
               FROM meter_readings ORDER BY meter_id, measured_at, revision DESC
             ) r JOIN meters m USING (meter_id)
             WHERE abs(r.active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new("feeder_bin", "")
    },
    Case {
        without: READINGS,
        faults: Some(
            "SELECT count(*) FROM (
               SELECT DISTINCT ON (meter_id, measured_at) meter_id, measured_at, active_power_kw
               FROM meter_readings ORDER BY meter_id, measured_at, revision DESC
             ) r WHERE abs(r.active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new("meter_hour", "")
    },
    Case {
        without: STORES,
        faults: Some(
            "SELECT count(*) FROM asset_telemetry WHERE abs(active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new("node_hour", "")
    },
    Case {
        without: METERS_AND_STORES,
        faults: Some(
            "SELECT (
               SELECT count(*) FROM meter_readings
               WHERE revision = 0 AND abs(active_power_kw) > 17592186044416.0
             ) + (
               SELECT count(*) FROM asset_telemetry WHERE abs(active_power_kw) > 17592186044416.0
             )",
        ),
        of_row: "active_power_kw=",
        ..Case::new("node_quarter", "")
    },
    Case {
        without: STORES,
        faults: Some(
            "SELECT count(*) FROM asset_telemetry WHERE abs(active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new("plant_hour", "")
    },
    Case {
        without: &[("asset_telemetry", "abs(active_power_kw) <= 17592186044416.0")],
        faults: Some(
            "SELECT count(*) FROM asset_telemetry WHERE abs(active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new("plant_quarter", "")
    },
    Case {
        without: &[("meter_latest", "abs(active_power_kw) <= 17592186044416.0")],
        faults: Some(
            "SELECT count(*) FROM meter_latest l JOIN meters m USING (meter_id)
             WHERE abs(l.active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new("node_load", "")
    },
    Case {
        without: &[("asset_latest", "abs(active_power_kw) <= 17592186044416.0")],
        faults: Some(
            "SELECT count(*) FROM asset_latest l JOIN assets a USING (asset_id)
             WHERE abs(l.active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new("bus_assets", "")
    },
    Case {
        without: &[("weather_now", "abs(temperature_c) <= 17592186044416.0")],
        faults: Some(
            "SELECT count(*) FROM weather_now WHERE abs(temperature_c) > 17592186044416.0",
        ),
        of_row: "temperature_c=",
        ..Case::new("grid_state", "")
    },
];

/// The shipped views.
pub(crate) fn shipped() -> Vec<Case> {
    let case = |(name, sql): &(&'static str, &'static str)| {
        let known = SHIPPED.into_iter().find(|case| case.name == *name);
        let loose = MEANS_OF_MEANS.into_iter().find(|(view, _)| view == name);
        let loose = loose.map_or(&[][..], |(_, columns)| columns);
        Case { sql, loose, ..known.unwrap_or(Case::new(name, sql)) }
    };
    queries::shipped().iter().map(case).collect()
}

/// Views for what the shipped ones have not.
pub(crate) const OURS: [Case; 25] = [
    Case {
        loose: SPREAD,
        ..Case::new(
            "spread_at_the_read",
            "CREATE MATERIALIZED VIEW spread_at_the_read AS
             SELECT station_id, CAST(count(wind_m_per_s) AS DOUBLE) AS n,
               sum(abs(wind_m_per_s)) AS magnitude, sum(wind_m_per_s * wind_m_per_s) AS squares,
               sum(wind_m_per_s) AS total, avg(wind_m_per_s) AS mean,
               var(wind_m_per_s) AS variance, var_pop(wind_m_per_s) AS variance_of_all,
               stddev(wind_m_per_s) AS deviation, stddev_pop(wind_m_per_s) AS deviation_of_all
             FROM weather_observations GROUP BY station_id",
        )
    },
    Case {
        loose: SPREAD,
        ..Case::new(
            "spread_by_bin",
            "CREATE MATERIALIZED VIEW spread_by_bin AS
             SELECT date_bin(INTERVAL '30 minutes', observed_at) AS bin_at,
               CAST(count(wind_m_per_s) AS DOUBLE) AS n,
               sum(abs(wind_m_per_s)) AS magnitude, sum(wind_m_per_s * wind_m_per_s) AS squares,
               sum(wind_m_per_s) AS total, avg(wind_m_per_s) AS mean,
               var(wind_m_per_s) AS variance, stddev_pop(wind_m_per_s) AS deviation_of_all
             FROM weather_observations GROUP BY 1",
        )
    },
    Case::new(
        "extremes",
        "CREATE MATERIALIZED VIEW extremes AS
         SELECT m.feeder_id, min(r.active_power_kw) AS least, max(r.active_power_kw) AS greatest,
           min(r.measured_at) AS first_at, max(r.quality) FILTER (WHERE r.revision > 0) AS word,
           count(r.energy_import_kwh) AS n
         FROM meter_readings r JOIN meters m USING (meter_id) GROUP BY m.feeder_id",
    ),
    Case::new(
        "extremes_by_bin",
        "CREATE MATERIALIZED VIEW extremes_by_bin AS
         SELECT date_bin(INTERVAL '10 minutes', measured_at) AS bin_at,
           min(active_power_kw) AS least, max(energy_export_kwh) AS greatest
         FROM meter_readings GROUP BY 1",
    ),
    Case::new(
        "words",
        "CREATE MATERIALIZED VIEW words AS
         SELECT m.feeder_id,
           count(DISTINCT r.quality) AS words, count(DISTINCT r.meter_id) AS meters,
           array_agg(r.quality ORDER BY r.measured_at DESC) AS qualities,
           array_agg(DISTINCT r.revision ORDER BY r.revision) AS revisions
         FROM meter_readings r JOIN meters m USING (meter_id) GROUP BY m.feeder_id",
    ),
    Case::new(
        "words_by_bin",
        "CREATE MATERIALIZED VIEW words_by_bin AS
         SELECT date_bin(INTERVAL '5 minutes', measured_at) AS bin_at,
           count(DISTINCT quality) AS words, array_agg(revision ORDER BY meter_id) AS revisions
         FROM meter_readings GROUP BY 1",
    ),
    Case::new(
        "each_once",
        "CREATE MATERIALIZED VIEW each_once AS
         SELECT DISTINCT m.feeder_id, m.bus_id, r.quality
         FROM meter_readings r JOIN meters m USING (meter_id)",
    ),
    Case::new(
        "either_once",
        "CREATE MATERIALIZED VIEW either_once AS
         SELECT bus_id, feeder_id FROM buses UNION SELECT bus_id, feeder_id FROM meters",
    ),
    Case {
        without: READINGS,
        faults: Some(
            "SELECT count(*) FROM meter_readings r JOIN meters m USING (meter_id)
             WHERE abs(r.active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new(
            "having_sums",
            "CREATE MATERIALIZED VIEW having_sums AS
             SELECT m.bus_id, sum(r.active_power_kw) AS kw, avg(r.active_power_kw) AS mean_kw,
               sum(r.active_power_kw) / 3.0 - avg(r.active_power_kw) * 0.1 AS made_of_both,
               sum(r.revision) AS revisions, count(*) AS n
             FROM meter_readings r JOIN meters m USING (meter_id)
             GROUP BY m.bus_id HAVING sum(r.active_power_kw) > 0.0 AND count(*) > 2",
        )
    },
    Case::new(
        "top_three",
        "CREATE MATERIALIZED VIEW top_three AS
         SELECT r.meter_id, m.feeder_id, r.measured_at, r.active_power_kw
         FROM meter_readings r JOIN meters m USING (meter_id)
         ORDER BY r.active_power_kw DESC LIMIT 3",
    ),
    Case::new(
        "newest_three",
        "CREATE MATERIALIZED VIEW newest_three AS
         SELECT meter_id, measured_at, active_power_kw, revision
         FROM meter_readings ORDER BY measured_at DESC LIMIT 3",
    ),
    Case::new(
        "least_three",
        "CREATE MATERIALIZED VIEW least_three AS
         SELECT meter_id, quality, revision FROM meter_readings ORDER BY quality, revision LIMIT 3",
    ),
    Case::new(
        "left_join",
        "CREATE MATERIALIZED VIEW left_join AS
         SELECT m.meter_id, m.bus_id, f.feeder_id, f.limit_kw, z.name
         FROM meters m LEFT JOIN feeders f ON f.feeder_id = m.feeder_id
         LEFT JOIN zones z ON z.zone_id = f.zone_id",
    ),
    Case::new(
        "left_join_of_counts",
        "CREATE MATERIALIZED VIEW left_join_of_counts AS
         SELECT b.bus_id, c.n, c.last_at, coalesce(c.n, 0) + coalesce(s.sensors, 0) AS together
         FROM buses b
         LEFT JOIN (
           SELECT m.bus_id, count(*) AS n, max(r.measured_at) AS last_at
           FROM meter_readings r JOIN meters m USING (meter_id) GROUP BY m.bus_id
         ) c ON c.bus_id = b.bus_id
         LEFT JOIN (SELECT bus_id, count(*) AS sensors FROM sensors GROUP BY bus_id) s
           ON s.bus_id = b.bus_id",
    ),
    Case {
        without: &[("meter_readings", "revision <> 0")],
        faults: Some("SELECT count(*) FROM meter_readings WHERE revision = 0"),
        of_row: "revision=0",
        ..Case::new(
            "share_each",
            "CREATE MATERIALIZED VIEW share_each AS
             SELECT meter_id, measured_at, 1000 / revision AS share FROM meter_readings",
        )
    },
    Case {
        without: &[("meter_readings", "revision <> 0")],
        faults: Some("SELECT count(*) FROM meter_readings WHERE revision = 0"),
        of_row: "revision=0",
        ..Case::new(
            "share_by_bin",
            "CREATE MATERIALIZED VIEW share_by_bin AS
             SELECT date_bin(INTERVAL '5 minutes', measured_at) AS bin_at,
               sum(1000 / revision) AS shares, count(*) AS n
             FROM meter_readings GROUP BY 1",
        )
    },
    Case {
        without: &[("meter_readings", "revision <> 0")],
        faults: Some("SELECT count(*) FROM meter_readings WHERE revision = 0"),
        of_row: "revision=0",
        ..Case::new(
            "share_latest",
            "CREATE MATERIALIZED VIEW share_latest AS
             SELECT DISTINCT ON (meter_id) meter_id, measured_at, share
             FROM (SELECT meter_id, measured_at, 1000 / revision AS share FROM meter_readings) r
             ORDER BY meter_id, measured_at DESC",
        )
    },
    Case {
        faults: Some(
            "SELECT count(*) FROM sensors s JOIN feeders f USING (feeder_id)
             WHERE CAST(f.limit_kw AS BIGINT) = s.stale_after_ms / 90000",
        ),
        of_row: "stale_after_ms=9",
        batch: Some(
            "SELECT s.sensor_id, f.feeder_id,
               1000 / (CAST(f.limit_kw AS BIGINT) - s.stale_after_ms / 90000) AS share
             FROM (
               SELECT * FROM sensors s WHERE NOT EXISTS (
                 SELECT 1 FROM feeders f
                 WHERE f.feeder_id = s.feeder_id
                   AND CAST(f.limit_kw AS BIGINT) = s.stale_after_ms / 90000
               )
             ) s JOIN feeders f USING (feeder_id)",
        ),
        ..Case::new(
            "share_of_tables",
            "CREATE MATERIALIZED VIEW share_of_tables AS
             SELECT s.sensor_id, f.feeder_id,
               1000 / (CAST(f.limit_kw AS BIGINT) - s.stale_after_ms / 90000) AS share
             FROM sensors s JOIN feeders f USING (feeder_id)",
        )
    },
    Case {
        without: READINGS,
        faults: Some(
            "SELECT count(*) FROM meter_readings WHERE abs(active_power_kw) > 17592186044416.0",
        ),
        of_row: "active_power_kw=",
        ..Case::new(
            "sum_by_bin",
            "CREATE MATERIALIZED VIEW sum_by_bin AS
             SELECT meter_id, date_bin(INTERVAL '1 minute', measured_at) AS bin_at,
               sum(active_power_kw) AS kw, avg(active_power_kw) AS mean_kw, count(*) AS n,
               sum(active_power_kw) FILTER (WHERE quality = 'good') AS good_kw
             FROM meter_readings GROUP BY 1, 2",
        )
    },
    Case {
        batch: Some(
            "SELECT meter_id, sum(kwh_in) AS kwh, avg(kwh_in) AS mean_kwh, count(*) AS n,
               count(energy_import_kwh) AS heard, sum(1000 / nullif(revision, 0)) AS shares,
               var_pop(CASE WHEN abs(kwh_in) <= 4194304.0 THEN kwh_in END) AS spread
             FROM (
               SELECT *, CASE WHEN abs(energy_import_kwh) <= 17592186044416.0
                              THEN energy_import_kwh END AS kwh_in
               FROM meter_readings
             ) r GROUP BY meter_id",
        ),
        loose: &[("spread", Bound::VarianceOfReadings)],
        ..Case::new(
            "lenient",
            "CREATE MATERIALIZED VIEW lenient WITH (on_error = 'null') AS
             SELECT meter_id, sum(energy_import_kwh) AS kwh, avg(energy_import_kwh) AS mean_kwh,
               count(*) AS n, count(energy_import_kwh) AS heard, sum(1000 / revision) AS shares,
               var_pop(energy_import_kwh) AS spread
             FROM meter_readings GROUP BY meter_id",
        )
    },
    Case {
        without: &[("meter_readings", "revision <> 0")],
        faults: Some(
            "SELECT count(*) FROM meter_readings WHERE revision = 0 AND quality = 'suspect'",
        ),
        of_row: "revision=0",
        ..Case::new(
            "failing",
            "CREATE MATERIALIZED VIEW failing WITH (on_error = 'fail') AS
             SELECT meter_id, revision, 1000 / revision AS share
             FROM meter_readings WHERE quality = 'suspect'",
        )
    },
    Case::new(
        "above_failing",
        "CREATE MATERIALIZED VIEW above_failing AS
         SELECT meter_id, count(*) AS n FROM failing GROUP BY meter_id",
    ),
    Case {
        batch: Some(
            "SELECT m.feeder_id, avg(CAST(r.energy_export_kwh AS DECIMAL(38, 10))) AS mean_kwh
             FROM meter_readings r JOIN meters m USING (meter_id)
             WHERE m.feeder_id NOT IN (
               SELECT m.feeder_id FROM meter_readings r JOIN meters m USING (meter_id)
               WHERE r.energy_export_kwh > 1e20
             ) GROUP BY m.feeder_id",
        ),
        faults: Some(
            "SELECT count(DISTINCT m.feeder_id) FROM meter_readings r JOIN meters m USING (meter_id)
             WHERE r.energy_export_kwh > 1e20",
        ),
        of_row: "feeder_id=feeder-",
        ..Case::new(
            "decimals",
            "CREATE MATERIALIZED VIEW decimals AS
             SELECT m.feeder_id, avg(CAST(r.energy_export_kwh AS DECIMAL(38, 10))) AS mean_kwh
             FROM meter_readings r JOIN meters m USING (meter_id) GROUP BY m.feeder_id",
        )
    },
    Case {
        batch: Some(
            "SELECT date_bin(INTERVAL '5 minutes', measured_at) AS bin_at,
               avg(CAST(energy_export_kwh AS DECIMAL(38, 10))) AS mean_kwh, count(*) AS n
             FROM meter_readings WHERE date_bin(INTERVAL '5 minutes', measured_at) NOT IN (
               SELECT date_bin(INTERVAL '5 minutes', measured_at) FROM meter_readings
               WHERE energy_export_kwh > 1e20
             ) GROUP BY 1",
        ),
        faults: Some(
            "SELECT count(DISTINCT date_bin(INTERVAL '5 minutes', measured_at))
             FROM meter_readings WHERE energy_export_kwh > 1e20",
        ),
        of_row: "measured_at)=2016-08-31T",
        ..Case::new(
            "decimals_by_bin",
            "CREATE MATERIALIZED VIEW decimals_by_bin AS
             SELECT date_bin(INTERVAL '5 minutes', measured_at) AS bin_at,
               avg(CAST(energy_export_kwh AS DECIMAL(38, 10))) AS mean_kwh, count(*) AS n
             FROM meter_readings GROUP BY 1",
        )
    },
    Case {
        batch: Some(
            "SELECT meter_id, count(*) AS n,
               CASE WHEN max(energy_export_kwh) < 1e20
                    THEN avg(CAST(small_kwh AS DECIMAL(38, 10))) END AS mean_kwh
             FROM (
               SELECT *, CASE WHEN energy_export_kwh < 1e20 THEN energy_export_kwh END AS small_kwh
               FROM meter_readings
             ) r GROUP BY meter_id",
        ),
        ..Case::new(
            "lenient_decimals",
            "CREATE MATERIALIZED VIEW lenient_decimals WITH (on_error = 'null') AS
             SELECT meter_id, count(*) AS n,
               avg(CAST(energy_export_kwh AS DECIMAL(38, 10))) AS mean_kwh
             FROM meter_readings GROUP BY meter_id",
        )
    },
];

/// Sums of any doubles, each within what the exact sum and the sum of magnitudes allow.
const SPREAD: &[(&str, Bound)] = &[
    ("magnitude", Bound::Sum),
    ("squares", Bound::Squares),
    ("total", Bound::Sum),
    ("mean", Bound::Mean),
    ("variance", Bound::Variance),
    ("variance_of_all", Bound::Variance),
    ("deviation", Bound::Deviation),
    ("deviation_of_all", Bound::Deviation),
];
