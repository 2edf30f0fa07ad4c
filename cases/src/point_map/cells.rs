//! The cells of a point map's row that mean the same in every network: how a value is scaled, how
//! far it may be off, what it may be, how long it holds, where it comes from.
//!
//! What a row is of is for its network to say; every fault is told, not only the first.

use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::network::Severity;

use super::Averaging;
use super::Kind;
use super::Measures;
use super::PMU;
use super::Point;
use super::QUANTITIES;
use super::Sigma;
use super::near;
use super::unit_of_phasor;
use crate::Remark;
use crate::table::Row;

/// A row whose cells are read.
#[derive(Clone, Copy)]
pub(super) struct Cells<'n>(pub(super) Row<'n>);

/// What a row asks for: a quantity, or a position; at what kind of element; in which unit unless it
/// says another.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub quantity: Option<Quantity>,
    pub kind: Kind,
    pub unit: &'static str,
}

impl Cells<'_> {
    /// The point of the row, where `measures` says what of; whatever is wrong with it is said, not
    /// only the first.
    pub(super) fn point<T>(
        &self,
        say: &mut Vec<Remark>,
        measures: impl Fn(Asked, f64, &mut Vec<Remark>) -> Option<Measures<T>>,
    ) -> Option<Point<T>> {
        let row = &self.0;
        let name = row.text("quantity");
        let known = QUANTITIES.iter().find(|(known, ..)| *known == name);
        let sign = self.sign(say);
        let averaging = self.averaging(say);
        let stale_after_s = self.seconds("stale_after", say);
        let source = self.source(say);
        let Some(&(_, quantity, kind, unit)) = known else {
            let names: Vec<&str> = QUANTITIES.iter().map(|(name, ..)| *name).collect();
            let problem = format!("{name:?} is none of {}{}", names.join(", "), near(name, &names));
            row.fault("quantity", problem, say);
            return None;
        };
        if let (Some(Averaging::Mean(mean)), Some(Some(stale))) = (averaging, stale_after_s)
            && stale < mean
        {
            let problem = format!("{stale} s are over before the next mean of {mean} s is there");
            row.tell(Severity::Warning, "stale_after", problem, say);
        }
        let unit = match quantity {
            Some(quantity) if row.text("source") == PMU => unit_of_phasor(quantity, unit),
            _ => unit,
        };
        let measures = measures(Asked { quantity, kind, unit }, sign.unwrap_or(1.0), say);
        sign?;
        Some(Point {
            name: row.text("point").to_owned(),
            measures: measures?,
            averaging: averaging?,
            stale_after_s: stale_after_s?,
            source: source?,
        })
    }

    /// A quantity at `target`, where the row says one, whose numbers are multiplied by `scale` to
    /// be in `unit`, of which one is so much per unit.
    pub(super) fn value<T>(
        &self,
        quantity: Quantity,
        (target, scale): (Option<T>, Option<f64>),
        (unit, per_unit): (&str, Option<f64>),
        say: &mut Vec<Remark>,
    ) -> Option<Measures<T>> {
        let row = &self.0;
        if per_unit.is_none() {
            let problem = format!("{unit:?} is no unit of a {}", row.text("quantity"));
            row.fault("unit", problem, say);
        }
        let sigma = self.sigma(quantity, per_unit.unwrap_or(1.0), say);
        let drift_per_s = self.drift(say);
        let range = self.range(say);
        let per_unit = per_unit?;
        let factor = scale? * per_unit;
        let drift_per_s = drift_per_s?.map(|drift| drift * per_unit);
        let range = range.map(|(least, greatest)| (least * per_unit, greatest * per_unit))?;
        let (target, sigma) = (target?, sigma?);
        Some(Measures::Value { quantity, target, factor, sigma, drift_per_s, range })
    }

    /// Says which cells of a switch's row are passed over.
    pub(super) fn nothing_but_position(&self, more: &[&str], say: &mut Vec<Remark>) {
        for column in ["unit", "scale", "sigma", "sigma_min"].iter().chain(more) {
            if !self.0.text(column).is_empty() {
                let problem = "a switch has none: passed over".to_owned();
                self.0.tell(Severity::Note, column, problem, say);
            }
        }
    }

    /// What a number is multiplied with to be in its unit, without its sign.
    pub(super) fn scale(
        &self,
        quantity: Quantity,
        sign: f64,
        say: &mut Vec<Remark>,
    ) -> Option<f64> {
        let row = &self.0;
        let magnitude = matches!(quantity, Quantity::VoltageMagnitude | Quantity::CurrentMagnitude);
        if magnitude && sign < 0.0 {
            row.fault("sign", "a magnitude has none".to_owned(), say);
        }
        let scale = row.number_or("scale", 1.0, say);
        if scale == Some(0.0) {
            row.fault("scale", "0 leaves nothing of a value".to_owned(), say);
        }
        scale
    }

    pub(super) fn sign(&self, say: &mut Vec<Remark>) -> Option<f64> {
        match self.0.text("sign") {
            "" | "+" | "1" | "+1" => Some(1.0),
            "-" | "-1" => Some(-1.0),
            other => {
                self.0.fault("sign", format!("{other:?} is neither + nor -"), say);
                None
            }
        }
    }

    pub(super) fn source(&self, say: &mut Vec<Remark>) -> Option<Source> {
        match self.0.text("source") {
            "" | "scada" => Some(Source::Scada),
            "meter" => Some(Source::Meter),
            PMU => Some(Source::Pmu),
            "pseudo" => Some(Source::Pseudo),
            other => {
                let problem = format!("{other:?} is none of scada, meter, pmu, pseudo");
                self.0.fault("source", problem, say);
                None
            }
        }
    }

    pub(super) fn averaging(&self, say: &mut Vec<Remark>) -> Option<Averaging> {
        if self.0.text("interval") == "instant" {
            return Some(Averaging::Instant);
        }
        let seconds = self.seconds("interval", say)?;
        Some(seconds.map_or(Averaging::Instant, Averaging::Mean))
    }

    /// Seconds above zero, or none at all.
    pub(super) fn seconds(&self, column: &str, say: &mut Vec<Remark>) -> Option<Option<f64>> {
        if self.0.text(column).is_empty() {
            return Some(None);
        }
        let seconds = self.0.number(column, say)?;
        if seconds > 0.0 {
            return Some(Some(seconds));
        }
        self.0.fault(column, format!("{seconds} s must be above zero"), say);
        None
    }

    /// What is lost a second, in the row's unit; nothing where it is not said.
    fn drift(&self, say: &mut Vec<Remark>) -> Option<Option<f64>> {
        if self.0.text("drift").is_empty() {
            return Some(None);
        }
        let drift = self.0.number("drift", say)?;
        if drift >= 0.0 {
            return Some(Some(drift));
        }
        self.0.fault("drift", format!("{drift} must not be below zero"), say);
        None
    }

    /// The least and the greatest value, in the row's unit.
    fn range(&self, say: &mut Vec<Remark>) -> Option<(f64, f64)> {
        let least = self.0.number_or("min", f64::NEG_INFINITY, say);
        let greatest = self.0.number_or("max", f64::INFINITY, say);
        let (least, greatest) = (least?, greatest?);
        if least <= greatest {
            return Some((least, greatest));
        }
        self.0.fault("min", format!("{least} lies above max"), say);
        None
    }

    /// A standard deviation as it is written, per unit.
    fn sigma(&self, quantity: Quantity, per_unit: f64, say: &mut Vec<Remark>) -> Option<Sigma> {
        let row = &self.0;
        let text = row.text("sigma");
        let least = row.number_or("sigma_min", 0.0, say).map(|least| least * per_unit);
        if least.is_some_and(|least| least < 0.0) {
            row.fault("sigma_min", "it must not be below zero".to_owned(), say);
        }
        let Some(percent) = text.strip_suffix('%') else {
            let sigma = row.number("sigma", say)? * per_unit;
            if sigma <= 0.0 {
                row.fault("sigma", format!("{text} must be above zero"), say);
                return None;
            }
            return Some(Sigma::Absolute(sigma.max(least?)));
        };
        let Some(share) = percent.trim().parse().ok().filter(|share: &f64| *share > 0.0) else {
            row.fault("sigma", format!("{text} is no percentage above zero"), say);
            return None;
        };
        let share = share / 100.0;
        match quantity {
            Quantity::VoltageMagnitude => Some(Sigma::Absolute(share.max(least?))),
            Quantity::VoltageAngle | Quantity::CurrentAngle => {
                row.fault(
                    "sigma",
                    "an angle has no percentage; give it in the unit".to_owned(),
                    say,
                );
                None
            }
            _ if least? > 0.0 => Some(Sigma::Share(share, least?)),
            _ => {
                let problem = "is needed beside a percentage: of nothing it is nothing".to_owned();
                row.fault("sigma_min", problem, say);
                None
            }
        }
    }
}
