-- Mean net load of each bus by quarter of an hour of event time, without what its batteries did, once
-- the quarter is over.
--
-- As `node_hour`, each meter and each battery is averaged over the quarter first, and the means are
-- summed over the bus; what is late restates its quarter. But a reading counts as it came first: to
-- let a later revision take its place each reading would be kept by itself once more, and what is
-- said of the next hour is over when revisions come.
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
      FROM meter_readings
      WHERE revision = 0
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
