-- Mean power of each PV and wind plant by quarter of an hour of event time, once the quarter is over.
-- Injection into the grid is positive; what is late restates its quarter.
CREATE MATERIALIZED VIEW plant_quarter AS
SELECT a.asset_id, a.feeder_id, q.quarter_at, q.power_kw
FROM (
  SELECT asset_id, quarter_at, power_kw
  FROM (
    SELECT
      asset_id, date_bin(INTERVAL '15 minutes', measured_at) AS quarter_at,
      avg(active_power_kw) AS power_kw
    FROM asset_telemetry
    GROUP BY 1, 2
  ) means
  WHERE quarter_at + INTERVAL '15 minutes' <= now()
) q
JOIN assets a ON a.asset_id = q.asset_id
WHERE a.kind IN ('pv', 'wind');
