-- Mean power of each meter by hour of event time; import is positive. With it, how many meters
-- stand at its bus, and whether a battery does.
--
-- The hour that is under way holds the mean so far. Of a reading that is sent again the last
-- revision counts.
CREATE MATERIALIZED VIEW meter_hour AS
SELECT
  r.meter_id, m.bus_id, m.feeder_id, r.hour_at, r.kw AS active_power_kw,
  m.meters_at_bus, m.battery_at_bus
FROM (
  SELECT meter_id, date_bin(INTERVAL '1 hour', measured_at) AS hour_at, avg(active_power_kw) AS kw
  FROM (
    SELECT DISTINCT ON (meter_id, measured_at) meter_id, measured_at, active_power_kw
    FROM meter_readings
    ORDER BY meter_id, measured_at, revision DESC
  ) last
  GROUP BY 1, 2
) r
JOIN (
  SELECT
    meters.meter_id, meters.bus_id, meters.feeder_id, n.meters_at_bus,
    b.bus_id IS NOT NULL AS battery_at_bus
  FROM meters
  JOIN (SELECT bus_id, count(*) AS meters_at_bus FROM meters GROUP BY bus_id) n
    ON n.bus_id = meters.bus_id
  LEFT JOIN (SELECT DISTINCT bus_id FROM assets WHERE kind = 'battery') b
    ON b.bus_id = meters.bus_id
) m ON m.meter_id = r.meter_id;
