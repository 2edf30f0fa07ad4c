-- What the points of the point map said: of each the last value, however old, and every value of the
-- last two minutes of event time. The estimator reads it.
--
-- A value that comes late is therefore seen in its place as long as its tick can still be estimated
-- anew. Bit 7 of a quality descriptor says that a value is invalid; such values are passed over. A
-- value that is both the last and recent is there twice.
CREATE MATERIALIZED VIEW point_values AS
SELECT p.point_id, p.feeder_id, v.measured_at, v.value, v.revision
FROM (
  SELECT sensor_id AS point_id, measured_at, value, 0 AS revision FROM sensor_latest
  UNION ALL
  SELECT meter_id, measured_at, active_power_kw, revision FROM meter_latest
  UNION ALL
  SELECT sensor_id, measured_at, value, 0
  FROM scada_measurements
  WHERE quality_bits & 128 = 0 AND measured_at > now() - INTERVAL '2 minutes'
  UNION ALL
  SELECT meter_id, measured_at, active_power_kw, revision
  FROM meter_readings
  WHERE measured_at > now() - INTERVAL '2 minutes'
) v
JOIN points p ON p.point_id = v.point_id;
