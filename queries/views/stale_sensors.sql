-- Meters, sensors and devices that have been silent for longer than they may be.
--
-- Meters and devices may be silent for 60 s, each sensor for as long as the table sensors says.
-- Whoever never spoke is not listed: there is no time since when.
CREATE MATERIALIZED VIEW stale_sensors AS
SELECT sensor_id, feeder_id, last_seen_at, stale_after_ms
FROM (
  SELECT
    l.meter_id AS sensor_id, m.feeder_id, l.measured_at AS last_seen_at, 60000 AS stale_after_ms
  FROM (SELECT * FROM meter_latest WHERE measured_at < now() - INTERVAL '60 seconds') l
  JOIN meters m ON m.meter_id = l.meter_id
  UNION ALL
  SELECT l.asset_id, a.feeder_id, l.measured_at, 60000
  FROM (SELECT * FROM asset_latest WHERE measured_at < now() - INTERVAL '60 seconds') l
  JOIN assets a ON a.asset_id = l.asset_id
  UNION ALL
  SELECT l.sensor_id, s.feeder_id, l.measured_at, s.stale_after_ms
  FROM sensor_latest l JOIN sensors s ON s.sensor_id = l.sensor_id
  WHERE to_timestamp_millis(CAST(l.measured_at AS BIGINT) + s.stale_after_ms) < now()
) heard;
