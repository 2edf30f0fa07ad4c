//! Points that do not fit: a row while they do not, and an alarm when that begins and ends.

use std::collections::BTreeMap;

use schemas::decision::Alarm;
use schemas::decision::BAD_DATA;
use schemas::estimate::EstimateResidual;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::Estimate;
use super::Kept;
use super::Outs;
use super::Seen;
use super::Tick;
use crate::estimate::adapter::Suspect;
use crate::estimate::history::NO_NUMBER;

/// An alarm that has been raised and not cleared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    raised_at: Timestamp,
    normalised: f64,
    threshold: f64,
    /// Ticks since the point was last found wrong.
    quiet: u64,
}

impl Kept {
    /// Says which points do not fit, and raises and clears alarms about those that were left out.
    pub(super) fn alarm(
        &mut self,
        seen: &Seen<'_>,
        estimate: &Estimate,
        tick: &Tick<'_>,
        out: &mut Outs,
    ) {
        // Of several verdicts on a point the gravest stands: that it was left out.
        let mut suspects: Vec<&Suspect> = (estimate.suspects.iter())
            .filter(|suspect| suspect.residual.is_finite() && suspect.normalised.is_finite())
            .collect();
        suspects.sort_by_key(|suspect| suspect.removed);
        let named = |suspect: &&'_ Suspect| seen.plan.points[suspect.point].id.as_str();
        let found: BTreeMap<&str, &Suspect> =
            suspects.iter().map(|suspect| (named(suspect), *suspect)).collect();
        let fitting = self.shown.residuals.keys().filter(|id| !found.contains_key(id.as_str()));
        let fitting: Vec<String> = fitting.cloned().collect();
        for point_id in fitting {
            out.residuals.set(&mut self.shown.residuals, point_id, None);
        }
        for (point_id, suspect) in &found {
            let row = residual(seen, suspect, tick);
            let shown = &mut self.shown.residuals;
            if shown.get(*point_id).is_none_or(|before| turned(before, &row)) {
                out.residuals.set(shown, (*point_id).to_owned(), Some(row));
            }
            // A value that was not renewed may well have become wrong, and one that is left out for
            // what was said before may fit by now: nobody is accused for these.
            let beyond = suspect.normalised.abs() >= suspect.threshold;
            if suspect.removed && beyond && said_now(seen, suspect, tick) {
                self.raise(seen, suspect, tick, out);
            }
        }
        let wrong = |id: &str| found.get(id).is_some_and(|suspect| suspect.removed);
        self.clear(wrong, tick, out);
    }

    fn raise(&mut self, seen: &Seen<'_>, suspect: &Suspect, tick: &Tick<'_>, out: &mut Outs) {
        let id = &seen.plan.points[suspect.point].id;
        let (normalised, threshold) = (suspect.normalised.abs(), suspect.threshold);
        if let Some(open) = self.open.get_mut(id) {
            open.quiet = 0;
            return;
        }
        let open = Open { raised_at: tick.at, normalised, threshold, quiet: 0 };
        self.open.insert(id.clone(), open);
        let reason = format!("{}: {normalised:.1} standard deviations", words(seen, suspect));
        let (measured_at, value) = seen.latest[suspect.point].unwrap_or_default();
        let saw = format!(
            "point_values@{} value={value} measured_at={}; estimates.buses@{0}",
            tick.at.0,
            Timestamp(measured_at)
        );
        out.alarms.push(row(tick, id, "raised", open, reason, saw));
    }

    /// Clears the alarms of points that have not been wrong for some ticks.
    pub(super) fn clear(&mut self, wrong: impl Fn(&str) -> bool, tick: &Tick<'_>, out: &mut Outs) {
        let over = tick.settings.estimate_clear_ticks;
        self.open.retain(|id, open| {
            if wrong(id) {
                return true;
            }
            open.quiet += 1;
            if open.quiet < over {
                return true;
            }
            let reason = format!("it has not been wrong for {over} ticks, or is silent");
            let saw = format!("point_values@{}; estimates.buses@{0}", tick.at.0);
            out.alarms.push(row(tick, id, "cleared", *open, reason, saw));
            false
        });
    }
}

/// Whether a point's value is of this tick.
fn said_now(seen: &Seen<'_>, suspect: &Suspect, tick: &Tick<'_>) -> bool {
    let tick_of = |at| seen.plan.points[suspect.point].tick_of(at, tick.settings.step_ms);
    seen.latest[suspect.point].is_some_and(|(at, _)| tick_of(at) == tick.at.0)
}

/// What a point reads, and what it should.
fn words(seen: &Seen<'_>, suspect: &Suspect) -> String {
    let point = &seen.plan.points[suspect.point];
    let value = seen.latest[suspect.point].map_or(0.0, |(_, value)| value);
    if value.abs() >= NO_NUMBER {
        return format!("reads no number: {}", suspect.words);
    }
    let value = value * point.scale;
    let fits = value - suspect.residual / point.unit_pu;
    format!("reads {value:.4} {} where {fits:.4} is expected: {}", point.unit, suspect.words)
}

/// The change of a residual that is said, as a share of it.
const MOVE_SHARE: f64 = 0.2;

/// Whether another thing is to be said of a point.
fn turned(before: &EstimateResidual, now: &EstimateResidual) -> bool {
    let by = MOVE_SHARE * before.residual.abs();
    before.suspect != now.suspect
        || before.verdict != now.verdict
        || (before.residual - now.residual).abs() > by
}

fn residual(seen: &Seen<'_>, suspect: &Suspect, tick: &Tick<'_>) -> EstimateResidual {
    let point = &seen.plan.points[suspect.point];
    EstimateResidual {
        feeder_id: tick.feeder_id.to_owned(),
        point_id: point.id.clone(),
        tick_at: tick.at,
        residual: suspect.residual / point.unit_pu,
        normalised: suspect.normalised,
        suspect: suspect.removed,
        verdict: suspect.verdict.to_owned(),
        reason: words(seen, suspect),
    }
}

fn row(
    tick: &Tick<'_>,
    point_id: &str,
    state: &str,
    open: Open,
    reason: String,
    saw: String,
) -> Alarm {
    Alarm {
        alarm_id: format!("{BAD_DATA}:{point_id}:{}", open.raised_at.0),
        tick_at: tick.at,
        kind: BAD_DATA.to_owned(),
        subject: point_id.to_owned(),
        feeder_id: tick.feeder_id.to_owned(),
        state: state.to_owned(),
        value: open.normalised,
        limit_value: open.threshold,
        reason,
        saw,
    }
}
