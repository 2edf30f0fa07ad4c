-- How good forecasts of the next hour were, by how many minutes ahead they looked: each forecast of
-- a quarter of an hour that is over, against the mean net load of that quarter; of a plant, against
-- its mean power.
--
-- One row for each node, feeder, plant, zone and the system, who spoke, and 15, 30, 45 and 60 minutes
-- ahead. What came of a feeder, a zone and the system is the sum of the nodes that were heard, in
-- quarters in which at least four of five were, as in `forecast_error_by_lead`; so are the columns.
CREATE MATERIALIZED VIEW short_forecast_error AS
SELECT
  e.scope, e.subject_id, e.feeder_id, e.model_version, e.lead_min, count(*) AS n,
  avg(abs(e.p50_kw - e.net_load_kw)) AS mae_kw,
  avg(CASE WHEN e.net_load_kw >= e.p10_kw AND e.net_load_kw <= e.p90_kw THEN 1.0 ELSE 0.0 END)
    AS coverage,
  avg(e.p50_kw - e.net_load_kw) AS bias_kw
FROM (
  SELECT
    f.scope, f.subject_id, f.feeder_id, f.model_version, f.p10_kw, f.p50_kw, f.p90_kw,
    q.net_load_kw,
    (CAST(f.target_at AS BIGINT) - CAST(date_bin(INTERVAL '15 minutes', f.issued_at) AS BIGINT))
      / 60000 + 15 AS lead_min
  FROM short_forecasts f
  JOIN (
    SELECT 'node' AS scope, bus_id AS subject_id, quarter_at, net_load_kw FROM node_quarter
    UNION ALL
    SELECT 'plant', asset_id, quarter_at, power_kw FROM plant_quarter
    UNION ALL
    SELECT scope, subject_id, quarter_at, net_load_kw
    FROM (
      SELECT
        scope, subject_id, quarter_at, net_load_kw, heard,
        max(heard) OVER (PARTITION BY scope, subject_id) AS nodes
      FROM (
        SELECT
          'feeder' AS scope, feeder_id AS subject_id, quarter_at,
          sum(net_load_kw) AS net_load_kw, count(*) AS heard
        FROM node_quarter
        GROUP BY feeder_id, quarter_at
        UNION ALL
        SELECT 'zone', f.zone_id, n.quarter_at, sum(n.net_load_kw), count(*)
        FROM node_quarter n JOIN feeders f ON f.feeder_id = n.feeder_id
        WHERE f.zone_id <> ''
        GROUP BY f.zone_id, n.quarter_at
        UNION ALL
        SELECT 'system', 'system', quarter_at, sum(net_load_kw), count(*)
        FROM node_quarter
        GROUP BY quarter_at
      ) sums
    ) counted
    WHERE 5 * heard >= 4 * nodes
  ) q ON q.scope = f.scope AND q.subject_id = f.subject_id AND q.quarter_at = f.target_at
) e
GROUP BY e.scope, e.subject_id, e.feeder_id, e.model_version, e.lead_min;
