-- What the points of the point map said: of each the last value, however old, and every value of the
-- last 15 minutes of event time. The estimator reads it.
--
-- A value that comes late is therefore seen in its place as long as its tick can still be estimated
-- anew. Bit 7 of a quality descriptor says that a value is invalid; such values are passed over. A
-- value that is both the last and recent is there twice.
--
-- A phasor is two values: its magnitude under the name of its unit, and its angle under that name with
-- /angle behind it. Units send up to 120 frames a second, each second's first on the second (IEEE
-- C37.118.1, 5.4.2): those are taken, and what begins 20 ms later is passed over. Bits 15 and 14 of the
-- STAT word (49152) say that a frame has no data, bit 13 (8192) that the unit's clock is not
-- synchronised (C37.118.2, table 7), so that its angle says nothing.
CREATE MATERIALIZED VIEW point_values AS
SELECT p.point_id, p.feeder_id, v.measured_at, v.value, v.revision, v.frequency_hz
FROM (
  SELECT
    sensor_id AS point_id, measured_at, value, 0 AS revision,
    CAST(NULL AS DOUBLE PRECISION) AS frequency_hz
  FROM sensor_latest
  UNION ALL
  SELECT meter_id, measured_at, active_power_kw, revision, NULL FROM meter_latest
  UNION ALL
  SELECT sensor_id, measured_at, value, 0, NULL
  FROM scada_measurements
  WHERE quality_bits & 128 = 0 AND measured_at > now() - INTERVAL '15 minutes'
  UNION ALL
  SELECT meter_id, measured_at, active_power_kw, revision, NULL
  FROM meter_readings
  WHERE measured_at > now() - INTERVAL '15 minutes'
  UNION ALL
  SELECT pmu_id, measured_at, magnitude, 0, NULL
  FROM pmu_phasors
  WHERE status_bits & 49152 = 0 AND CAST(measured_at AS BIGINT) % 1000 < 20
    AND measured_at > now() - INTERVAL '15 minutes'
  UNION ALL
  SELECT pmu_id || '/angle', measured_at, angle_rad, 0, frequency_hz
  FROM pmu_phasors
  WHERE status_bits & 57344 = 0 AND CAST(measured_at AS BIGINT) % 1000 < 20
    AND measured_at > now() - INTERVAL '15 minutes'
) v
JOIN points p ON p.point_id = v.point_id;
