-- Meters, sensors and devices that have been silent for longer than they may be.
--
-- Who has been silent for so long that nothing is retained of it stays listed, and so is who never
-- spoke: last_seen_at is then NULL.
CREATE MATERIALIZED VIEW stale_sensors AS
SELECT s.sensor_id, s.bus_id, s.feeder_id, l.measured_at AS last_seen_at, s.stale_after_ms
FROM sensor_listed s
LEFT JOIN (
  SELECT meter_id AS sensor_id, measured_at FROM meter_latest
  UNION ALL
  SELECT asset_id, measured_at FROM asset_latest
  UNION ALL
  SELECT sensor_id, measured_at FROM sensor_latest
) l ON l.sensor_id = s.sensor_id
WHERE to_timestamp_millis(coalesce(CAST(l.measured_at AS BIGINT), 0) + s.stale_after_ms) < now();
