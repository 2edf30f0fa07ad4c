-- Mean net load of each bus by hour of event time, without what its batteries did.
--
-- Each meter and each battery is averaged over the hour first, and the means are summed over the
-- bus: a meter that is heard less often counts no less. The hour that is under way holds the mean
-- so far.
CREATE MATERIALIZED VIEW node_hour AS
SELECT
  m.bus_id, m.feeder_id, m.hour_at, m.meter_kw + coalesce(b.battery_kw, 0.0) AS net_load_kw
FROM (
  SELECT bus_id, feeder_id, hour_at, sum(active_power_kw) AS meter_kw
  FROM meter_hour
  GROUP BY bus_id, feeder_id, hour_at
) m
LEFT JOIN (
  SELECT a.bus_id, t.hour_at, sum(t.kw) AS battery_kw
  FROM (
    SELECT asset_id, date_bin(INTERVAL '1 hour', measured_at) AS hour_at, avg(active_power_kw) AS kw
    FROM asset_telemetry
    GROUP BY 1, 2
  ) t
  JOIN assets a ON a.asset_id = t.asset_id
  WHERE a.kind = 'battery'
  GROUP BY a.bus_id, t.hour_at
) b ON b.bus_id = m.bus_id AND b.hour_at = m.hour_at;
