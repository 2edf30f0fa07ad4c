-- Mean power of each PV and wind plant by hour of event time, and what the table `plant_history`
-- knows of the hours before. Injection into the grid is positive.
--
-- The hour that is under way holds the mean so far.
CREATE MATERIALIZED VIEW plant_hour AS
SELECT a.asset_id, a.feeder_id, h.hour_at, h.origin, h.power_kw
FROM (
  SELECT
    asset_id, date_bin(INTERVAL '1 hour', measured_at) AS hour_at, 'measured' AS origin,
    avg(active_power_kw) AS power_kw
  FROM asset_telemetry
  GROUP BY 1, 2
  UNION ALL
  SELECT asset_id, hour_at, 'history', power_kw
  FROM plant_history
) h
JOIN assets a ON a.asset_id = h.asset_id
WHERE a.kind IN ('pv', 'wind');
