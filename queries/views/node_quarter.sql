-- Mean net load of each bus by quarter of an hour of event time, without what its batteries did, once
-- the quarter is over.
--
-- As `node_hour`: each meter and each battery is averaged over the quarter first, and the means are
-- summed over the bus. Of a reading that is sent again the last revision counts, and what is late
-- restates its quarter.
CREATE MATERIALIZED VIEW node_quarter AS
SELECT
  m.bus_id, m.feeder_id, m.quarter_at, m.meter_kw + coalesce(b.battery_kw, 0.0) AS net_load_kw
FROM (
  SELECT meters.bus_id, meters.feeder_id, r.quarter_at, sum(r.kw) AS meter_kw
  FROM (
    SELECT meter_id, quarter_at, kw
    FROM (
      SELECT
        meter_id, date_bin(INTERVAL '15 minutes', measured_at) AS quarter_at,
        avg(active_power_kw) AS kw
      FROM (
        SELECT DISTINCT ON (meter_id, measured_at) meter_id, measured_at, active_power_kw
        FROM meter_readings
        ORDER BY meter_id, measured_at, revision DESC
      ) last
      GROUP BY 1, 2
    ) means
    WHERE quarter_at + INTERVAL '15 minutes' <= now()
  ) r
  JOIN meters ON meters.meter_id = r.meter_id
  GROUP BY meters.bus_id, meters.feeder_id, r.quarter_at
) m
LEFT JOIN (
  SELECT a.bus_id, t.quarter_at, sum(t.kw) AS battery_kw
  FROM (
    SELECT asset_id, quarter_at, kw
    FROM (
      SELECT
        asset_id, date_bin(INTERVAL '15 minutes', measured_at) AS quarter_at,
        avg(active_power_kw) AS kw
      FROM asset_telemetry
      GROUP BY 1, 2
    ) means
    WHERE quarter_at + INTERVAL '15 minutes' <= now()
  ) t
  JOIN assets a ON a.asset_id = t.asset_id
  WHERE a.kind = 'battery'
  GROUP BY a.bus_id, t.quarter_at
) b ON b.bus_id = m.bus_id AND b.quarter_at = m.quarter_at;
