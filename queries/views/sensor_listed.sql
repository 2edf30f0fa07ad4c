-- Whoever should speak: every meter, device and sensor of the reference tables, and how long each
-- may be silent.
--
-- Meters and devices may be silent for 60 s, each sensor for as long as the table sensors says. No
-- two of them may have the same name.
CREATE MATERIALIZED VIEW sensor_listed AS
SELECT meter_id AS sensor_id, bus_id, feeder_id, 60000 AS stale_after_ms FROM meters
UNION ALL
SELECT asset_id, bus_id, feeder_id, 60000 FROM assets
UNION ALL
SELECT sensor_id, bus_id, feeder_id, stale_after_ms FROM sensors;
