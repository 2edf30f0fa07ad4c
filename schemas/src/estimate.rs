//! The estimated state of the grid, as relations that always hold the present: one row an element.
//!
//! Unlike decisions, these rows come and go: what an element was is retracted when it has moved.
//! They are in a schema of their own, as the audit log is, so that `estimates.buses` is not taken
//! for the reference table of its name. No row of them is an audit record: they follow from the
//! readings, and a replay makes them again. What the estimator finds *wrong* is an alarm, and so a
//! record.

use arrow_schema::SchemaRef;

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::relation::Relation;
use crate::time::Timestamp;

/// The SQL schema that the tables are in.
pub const SCHEMA: &str = "estimates";

relation! {
    /// The state of a bus.
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct EstimatedBus in "estimates.buses" {
        /// The feeder it hangs on.
        pub feeder_id: String = "feeder-1",
        /// The bus.
        pub bus_id: String = "bus-17",
        /// The tick at which it came to this: it has not moved since.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// Voltage magnitude, per unit of nominal; 0 where dead, NULL where not observable.
        pub vm_pu: Option<f64> = 0.982,
        /// Voltage angle against the feeder's source in degrees; NULL where dead or not observable.
        pub va_deg: Option<f64> = -0.4,
        /// Standard deviation of the magnitude, per unit.
        pub sigma_vm_pu: Option<f64> = 0.000_4,
        /// Whether it is connected with a source.
        pub energised: bool = true,
        /// Whether the points determine it.
        pub observable: bool = true,
        /// Whether what is connected here is taken from a forecast or an allocation, because no
        /// measurement of it is fresh.
        pub pseudo: bool = false,
    }
}

relation! {
    /// The flow through a branch or transformer.
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct EstimatedBranch in "estimates.branches" {
        /// The feeder it belongs to.
        pub feeder_id: String = "feeder-1",
        /// The branch or transformer.
        pub branch_id: String = "line-17",
        /// The tick at which it came to this.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// Active power into it at its from end in kW; NULL where not observable.
        pub p_kw: Option<f64> = 12.1,
        /// Reactive power into it at its from end in kvar.
        pub q_kvar: Option<f64> = 2.4,
        /// Current at its from end in A.
        pub i_a: Option<f64> = 18.0,
        /// The greater of its ends' currents as a share of the rated; NULL where none is rated.
        pub loading: Option<f64> = 0.066,
        /// Of a transformer whose ratio is estimated, the ratio over the one that is stated; NULL
        /// of all others.
        pub ratio: Option<f64> = None,
        /// Its standard deviation.
        pub sigma_ratio: Option<f64> = None,
    }
}

relation! {
    /// A point whose value does not fit the others.
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct EstimateResidual in "estimates.residuals" {
        /// The feeder.
        pub feeder_id: String = "feeder-1",
        /// The point.
        pub point_id: String = "voltage-bus-17",
        /// The tick that found it.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// Value less estimate, in the unit of the point's quantity.
        pub residual: f64 = 0.012,
        /// The same in its own standard deviations.
        pub normalised: f64 = 14.2,
        /// True if it was left out of the estimate.
        pub suspect: bool = true,
        /// `bad`, `held-out`, `undecided`, `innovation`, `implausible` or `live-on-dead`.
        pub verdict: String = "bad",
        /// In words.
        pub reason: String = "reads 0.994 voltage_pu where 0.982 is expected",
    }
}

relation! {
    /// How well a feeder is known.
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct EstimateObservability in "estimates.observability" {
        /// The feeder.
        pub feeder_id: String = "feeder-1",
        /// The tick of the estimate.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// `estimated`; else why there is none: `not-converged`, `no-model`, ….
        pub status: String = "estimated",
        /// Buses that are energised and determined.
        pub observable_buses: i64 = 116,
        /// Buses that are energised and not determined.
        pub unobservable_buses: i64 = 0,
        /// Which these are, by name, with blanks between.
        pub unobservable: String = "",
        /// Buses without a source.
        pub dead_buses: i64 = 0,
        /// Points with a fresh value.
        pub fresh_points: i64 = 118,
        /// Points without.
        pub stale_points: i64 = 0,
        /// The sum of squared weighted residuals.
        pub objective: f64 = 61.2,
        /// How many values there are more than unknowns.
        pub degrees_of_freedom: i64 = 58,
        /// What the objective stays below in 99 of 100 cases without gross errors (chi-square).
        pub chi_square_limit: f64 = 85.9,
        /// What is wrong with the network or the point map, in words; empty if nothing is.
        pub problems: String = "",
    }
}

relation! {
    /// A bus whose past state is another than was said, because a value came late. A row stands as
    /// long as its tick may still be corrected.
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct EstimateCorrection in "estimates.corrections" {
        /// The feeder.
        pub feeder_id: String = "feeder-1",
        /// The bus.
        pub bus_id: String = "bus-17",
        /// The tick that it speaks of.
        pub of_tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// The tick that knew it.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(30_000),
        /// What was said, per unit.
        pub was_vm_pu: f64 = 0.982,
        /// What is known now, per unit.
        pub vm_pu: f64 = 0.979,
        /// The angle that is known now, in degrees.
        pub va_deg: f64 = -0.4,
    }
}

/// The tables with their columns, in name order.
pub fn tables() -> Vec<(String, SchemaRef)> {
    fn one<R: Relation>() -> (String, SchemaRef) {
        (R::NAME.to_owned(), R::schema())
    }
    vec![
        one::<EstimatedBranch>(),
        one::<EstimatedBus>(),
        one::<EstimateCorrection>(),
        one::<EstimateObservability>(),
        one::<EstimateResidual>(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_stand_in_their_schema_in_name_order() {
        let names: Vec<String> = tables().into_iter().map(|(name, _)| name).collect();
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| name.split_once('.').is_some_and(|(s, _)| s == SCHEMA)));
    }
}
