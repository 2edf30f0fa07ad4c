//! What can be watched: every metric with its meaning, in OpenMetrics.
//!
//! [`ALL`] is the one list. What a scraper gets ([`text`]) and the page `docs/metrics.md`
//! ([`page`]) are both made of it, and a test compares the page with the file.

use std::fmt::Write;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use schemas::contract::Status;
use schemas::time::Timestamp;

/// What is counted at the desk itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    statements: AtomicU64,
    refused: AtomicU64,
    connections: AtomicU64,
    subscriptions: AtomicU64,
}

/// Something that is counted as long as it is there.
#[derive(Debug)]
pub(crate) struct Open<'a>(&'a AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// A statement was asked.
    pub(crate) fn asked(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// A statement was refused or failed.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A client came; it is counted until it leaves.
    pub(crate) fn connected(&self) -> Open<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(&self.connections)
    }

    /// A subscription began; it is counted until it ends.
    pub(crate) fn subscribed(&self) -> Open<'_> {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
        Open(&self.subscriptions)
    }
}

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    /// It goes up and down.
    Gauge,
    /// It only grows while the process lives.
    Counter,
}

/// One number, with what tells it apart from others of its metric.
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: f64,
}

/// One metric.
struct Metric {
    name: &'static str,
    kind: Type,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Status, &Counters) -> Vec<Sample>,
}

fn one(value: f64) -> Vec<Sample> {
    vec![Sample { labels: Vec::new(), value }]
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e3
}

fn of_views(status: &Status, value: impl Fn(&schemas::contract::ViewStatus) -> f64) -> Vec<Sample> {
    let samples = status.views.iter().map(|view| {
        let labels = vec![("view", view.name.clone())];
        Sample { labels, value: value(view) }
    });
    samples.collect()
}

fn of_arrangements(
    status: &Status,
    value: impl Fn(&schemas::contract::ArrangementStatus) -> f64,
) -> Vec<Sample> {
    // Nodes of one view may print alike; a scraper wants one number for one set of labels.
    let mut sums = std::collections::BTreeMap::<&str, f64>::new();
    for kept in &status.arrangements {
        *sums.entry(kept.view.as_str()).or_default() += value(kept);
    }
    let samples = sums.into_iter();
    samples.map(|(view, value)| Sample { labels: vec![("view", view.to_owned())], value }).collect()
}

fn of_sources(
    status: &Status,
    value: impl Fn(&schemas::contract::SourceStatus) -> Option<f64>,
) -> Vec<Sample> {
    let samples = status.sources.iter().filter_map(|source| {
        let labels =
            vec![("source", source.source.clone()), ("partition", source.partition.clone())];
        Some(Sample { labels, value: value(source)? })
    });
    samples.collect()
}

/// Every metric, in the order in which they are given.
const ALL: [Metric; 23] = [
    Metric {
        name: "gridloom_tick_seconds",
        kind: Type::Gauge,
        labels: &[],
        help: "The last complete tick, in seconds since the Unix epoch.",
        read: |status, _| one(seconds(status.tick)),
    },
    Metric {
        name: "gridloom_step_seconds",
        kind: Type::Gauge,
        labels: &[],
        help: "The length of a tick.",
        read: |status, _| one(status.step_ms as f64 / 1e3),
    },
    Metric {
        name: "gridloom_ticks",
        kind: Type::Counter,
        labels: &[],
        help: "Ticks that were completed since the process started.",
        read: |status, _| one(status.ticks as f64),
    },
    Metric {
        name: "gridloom_readings",
        kind: Type::Counter,
        labels: &[],
        help: "Readings that were taken since the process started.",
        read: |status, _| one(status.readings as f64),
    },
    Metric {
        name: "gridloom_refused_records",
        kind: Type::Counter,
        labels: &[],
        help: "Records that were refused since the process started; they stand in the quarantine.",
        read: |status, _| one(status.refused as f64),
    },
    Metric {
        name: "gridloom_ticks_in_flight",
        kind: Type::Gauge,
        labels: &[],
        help: "Ticks that the dataflow works on.",
        read: |status, _| one(status.ticks_in_flight as f64),
    },
    Metric {
        name: "gridloom_tick_latency_p50_seconds",
        kind: Type::Gauge,
        labels: &[],
        help: "From a tick's last reading to every view past the tick, median.",
        read: |status, _| one(status.tick_latency_p50_ms / 1e3),
    },
    Metric {
        name: "gridloom_tick_latency_p99_seconds",
        kind: Type::Gauge,
        labels: &[],
        help: "From a tick's last reading to every view past the tick, 99th percentile.",
        read: |status, _| one(status.tick_latency_p99_ms / 1e3),
    },
    Metric {
        name: "gridloom_audit_records",
        kind: Type::Counter,
        labels: &[],
        help: "Records in the audit chain.",
        read: |status, _| one(status.audit_records as f64),
    },
    Metric {
        name: "gridloom_view_rows",
        kind: Type::Gauge,
        labels: &["view"],
        help: "Rows of a view.",
        read: |status, _| of_views(status, |view| view.rows as f64),
    },
    Metric {
        name: "gridloom_view_faults",
        kind: Type::Gauge,
        labels: &["view"],
        help: "Rows of a view that could not be computed; they stand in gridloom.errors.",
        read: |status, _| of_views(status, |view| view.faults.len() as f64),
    },
    Metric {
        name: "gridloom_view_hydrated_ratio",
        kind: Type::Gauge,
        labels: &["view"],
        help: "How much of a view's history is worked off; 1 once it can be read.",
        read: |status, _| of_views(status, |view| f64::from(view.hydrated) / 100.0),
    },
    Metric {
        name: "gridloom_view_lag_seconds",
        kind: Type::Gauge,
        labels: &["view"],
        help: "How far a view's tick is behind the last complete one.",
        read: |status, _| of_views(status, |view| seconds(status.tick) - seconds(view.tick)),
    },
    Metric {
        name: "gridloom_arrangement_rows",
        kind: Type::Gauge,
        labels: &["view"],
        help: "Rows that a view's operators keep.",
        read: |status, _| of_arrangements(status, |kept| kept.rows as f64),
    },
    Metric {
        name: "gridloom_arrangement_bytes",
        kind: Type::Gauge,
        labels: &["view"],
        help: "Bytes that a view's operators keep, estimated.",
        read: |status, _| of_arrangements(status, |kept| kept.bytes as f64),
    },
    Metric {
        name: "gridloom_source_position",
        kind: Type::Gauge,
        labels: &["source", "partition"],
        help: "The record that a source's partition goes on with.",
        read: |status, _| of_sources(status, |source| Some(source.position as f64)),
    },
    Metric {
        name: "gridloom_source_watermark_seconds",
        kind: Type::Gauge,
        labels: &["source", "partition"],
        help: "What a source's partition has passed, in seconds since the Unix epoch.",
        read: |status, _| of_sources(status, |source| source.watermark.map(seconds)),
    },
    Metric {
        name: "gridloom_source_missed_ticks",
        kind: Type::Counter,
        labels: &["source", "partition"],
        help: "Ticks that were closed without a source's partition.",
        read: |status, _| of_sources(status, |source| Some(source.missed as f64)),
    },
    Metric {
        name: "gridloom_source_broken",
        kind: Type::Gauge,
        labels: &["source", "partition"],
        help: "Whether a source's door is broken (1); why stands in gridloom.sources.",
        read: |status, _| of_sources(status, |source| Some(f64::from(source.error.is_some()))),
    },
    Metric {
        name: "gridloom_desk_statements",
        kind: Type::Counter,
        labels: &[],
        help: "Statements that clients asked.",
        read: |_, counters| one(counters.statements.load(Ordering::Relaxed) as f64),
    },
    Metric {
        name: "gridloom_desk_refused_statements",
        kind: Type::Counter,
        labels: &[],
        help: "Statements that were refused, or failed before their first row.",
        read: |_, counters| one(counters.refused.load(Ordering::Relaxed) as f64),
    },
    Metric {
        name: "gridloom_desk_connections",
        kind: Type::Gauge,
        labels: &[],
        help: "Clients of the PostgreSQL door.",
        read: |_, counters| one(counters.connections.load(Ordering::Relaxed) as f64),
    },
    Metric {
        name: "gridloom_desk_subscriptions",
        kind: Type::Gauge,
        labels: &[],
        help: "Subscriptions that are open, over all doors.",
        read: |_, counters| one(counters.subscriptions.load(Ordering::Relaxed) as f64),
    },
];

/// The media type of [`text`].
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as a scraper gets them.
pub(crate) fn text(status: &Status, counters: &Counters) -> String {
    let mut text = String::new();
    for metric in &ALL {
        // Writing into a String cannot fail.
        write_metric(&mut text, metric, &(metric.read)(status, counters)).ok();
    }
    text.push_str("# EOF\n");
    text
}

fn write_metric(text: &mut String, metric: &Metric, samples: &[Sample]) -> std::fmt::Result {
    let (kind, suffix) = match metric.kind {
        Type::Gauge => ("gauge", ""),
        Type::Counter => ("counter", "_total"),
    };
    writeln!(text, "# TYPE {} {kind}", metric.name)?;
    writeln!(text, "# HELP {} {}", metric.name, metric.help)?;
    for sample in samples {
        let labels: Vec<String> = sample
            .labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(text, "{}{suffix}{labels} {}", metric.name, sample.value)?;
    }
    Ok(())
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The page that documents them.
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` of the HTTP door gives them in OpenMetrics. This page is made of the \
         list in `desk/src/metrics.rs`; a test compares the two.\n\n\
         | metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for metric in &ALL {
        let (kind, suffix) = match metric.kind {
            Type::Gauge => ("gauge", ""),
            Type::Counter => ("counter", "_total"),
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, help, labels) = (metric.name, metric.help, labels.join(", "));
        page.push_str(&format!("| `{name}{suffix}` | {kind} | {labels} | {help} |\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::contract::SourceStatus;
    use schemas::contract::ViewStatus;

    #[test]
    fn every_sample_has_the_labels_that_its_metric_says() {
        let status = Status {
            views: vec![ViewStatus { name: "a\"b".to_owned(), ..ViewStatus::default() }],
            sources: vec![SourceStatus { watermark: Some(Timestamp(5)), ..Default::default() }],
            ..Status::default()
        };
        for metric in &ALL {
            for sample in (metric.read)(&status, &Counters::default()) {
                let labels: Vec<&str> = sample.labels.iter().map(|(name, _)| *name).collect();
                assert_eq!(labels, metric.labels, "{}", metric.name);
            }
        }
        let text = text(&status, &Counters::default());
        assert!(text.contains("gridloom_view_rows{view=\"a\\\"b\"} 0\n"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_page_is_the_one_in_docs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, page()).unwrap();
            return;
        }
        assert!(written == page(), "docs/metrics.md is stale: run with UPDATE_EXPECT=1");
    }
}
