-- What each bus draws now, and what it would draw without what its batteries do.
--
-- Meters count import as positive and devices count injection as positive, so the load without the
-- batteries is the sum of both. A bus appears with the first reading of one of its meters.
CREATE MATERIALIZED VIEW node_load AS
SELECT
  m.bus_id, m.feeder_id, m.measured_at, m.meter_kw,
  coalesce(b.battery_kw, 0.0) AS battery_kw,
  m.meter_kw + coalesce(b.battery_kw, 0.0) AS net_load_kw
FROM (
  SELECT
    meters.bus_id, meters.feeder_id,
    max(l.measured_at) AS measured_at, sum(l.active_power_kw) AS meter_kw
  FROM meter_latest l JOIN meters USING (meter_id)
  GROUP BY meters.bus_id, meters.feeder_id
) m
LEFT JOIN bus_assets b ON b.bus_id = m.bus_id;
