-- What each sensor said last that was valid.
--
-- Bit 7 of the quality descriptor (128) says that a value is invalid (IEC 60870-5-101, 7.2.6.3):
-- such values are passed over, so a sensor that sends nothing else grows stale.
CREATE MATERIALIZED VIEW sensor_latest AS
SELECT DISTINCT ON (sensor_id)
  sensor_id, measured_at, value, quality_bits
FROM scada_measurements
WHERE quality_bits & 128 = 0
ORDER BY sensor_id, measured_at DESC;
