//! Every relation by name, so that what must hold of all is tried on all.
//!
//! [`each_relation!`](crate::each_relation) hands the list to a macro. Each relation has an example
//! ([`Relation::example`](crate::relation::Relation::example)); the encodings of this crate are
//! tried on them here, those of records where the doors are.
//!
//! It does not list what a room keeps to itself: the columns that an agent reads of another's view,
//! the rows of bundled files.

/// Calls `$callback!` with the type of every stream, reference table, decision and view that agents
/// read, and of what leaves and what is refused.
#[macro_export]
macro_rules! each_relation {
    ($callback:ident) => {
        $callback! {
            $crate::event::Approval,
            $crate::event::AssetTelemetry,
            $crate::event::Command,
            $crate::event::LoadAnnotation,
            $crate::event::MeterReading,
            $crate::event::ModelOrder,
            $crate::event::PmuPhasor,
            $crate::event::Price,
            $crate::event::ProtectionSignal,
            $crate::event::ScadaMeasurement,
            $crate::event::Setpoint,
            $crate::event::SwitchPosition,
            $crate::event::WeatherForecast,
            $crate::event::WeatherObservation,
            $crate::reference::Asset,
            $crate::reference::Branch,
            $crate::reference::Bus,
            $crate::reference::Contract,
            $crate::reference::Feeder,
            $crate::reference::LoadHistory,
            $crate::reference::Meter,
            $crate::reference::PlantHistory,
            $crate::reference::Point,
            $crate::reference::Sensor,
            $crate::reference::Switch,
            $crate::reference::Transformer,
            $crate::reference::WeatherHistory,
            $crate::reference::Zone,
            $crate::decision::Action,
            $crate::decision::Alarm,
            $crate::decision::Forecast,
            $crate::decision::ModelVersion,
            $crate::decision::ShortForecast,
            $crate::state::AssetState,
            $crate::state::BusVoltage,
            $crate::state::FeederNow,
            $crate::state::NodeHour,
            $crate::state::NodeQuarter,
            $crate::state::PlantHour,
            $crate::state::PointValue,
            $crate::state::SharedMeterHour,
            $crate::state::StaleSensor,
            $crate::state::SwitchState,
            $crate::state::WeatherAhead,
            $crate::state::WeatherHour,
            $crate::estimate::EstimateCorrection,
            $crate::estimate::EstimateObservability,
            $crate::estimate::EstimateResidual,
            $crate::estimate::EstimatedBranch,
            $crate::estimate::EstimatedBus,
            $crate::quarantine::Quarantined,
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::decision::DECISIONS;
    use crate::event::streams;
    use crate::reference::tables;
    use crate::relation::Relation;
    use crate::row::Row;
    use crate::row::RowCodec;

    /// An example, and one that has NULL wherever it may be.
    fn examples<R: Relation + Clone>() -> Vec<R> {
        let full = R::to_batch(&[R::example()]);
        let schema = R::schema();
        let columns = schema.fields().iter().zip(full.columns()).map(|(field, column)| {
            if field.is_nullable() {
                arrow_array::new_null_array(field.data_type(), 1)
            } else {
                column.clone()
            }
        });
        let bare = arrow_array::RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
        vec![R::example(), R::from_batch(&bare).unwrap().remove(0)]
    }

    fn survives<R: Relation + Clone + PartialEq + std::fmt::Debug>() {
        let rows = examples::<R>();
        let batch = R::to_batch(&rows);
        assert_eq!(batch.schema(), R::schema(), "{}", R::NAME);
        assert_eq!(R::from_batch(&batch).unwrap(), rows, "{}: as columns", R::NAME);
        let mut codec = RowCodec::new(R::schema()).unwrap();
        let encoded = codec.rows(&batch).unwrap();
        let decoded = codec.decode(encoded.iter().map(Row::as_bytes)).unwrap();
        assert_eq!(decoded, batch, "{}: as rows", R::NAME);
    }

    #[test]
    fn every_example_survives_columns_and_rows() {
        macro_rules! all {
            ($($relation:ty,)*) => { $( survives::<$relation>(); )* };
        }
        crate::each_relation!(all);
    }

    #[test]
    fn every_stream_table_and_decision_is_listed_once() {
        macro_rules! names {
            ($($relation:ty,)*) => { vec![ $( <$relation>::NAME.to_owned(), )* ] };
        }
        let listed: Vec<String> = crate::each_relation!(names);
        let once: BTreeSet<String> = listed.iter().cloned().collect();
        assert_eq!(once.len(), listed.len());
        let streams = streams().into_iter().map(|stream| stream.name);
        let tables = tables().into_iter().map(|table| table.name);
        let decisions = DECISIONS.iter().map(|name| (*name).to_owned());
        let missing: Vec<_> =
            streams.chain(tables).chain(decisions).filter(|name| !once.contains(name)).collect();
        assert!(missing.is_empty(), "not listed: {missing:?}");
    }
}
