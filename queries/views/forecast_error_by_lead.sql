-- How good past forecasts were, by how far ahead they looked: each forecast of an hour that is
-- complete, against the mean net load of that hour; of a plant, against its mean power.
--
-- One row for each model version of a meter that shares its bus, a node, a feeder, a plant, a zone
-- and the system and each hour ahead, from 1: the hour under way when it was issued. Zones and the
-- system have an empty feeder_id.
-- What came of a feeder, a zone and the system is the sum of the nodes that were heard, in hours in
-- which at least four of five were: as many as models learn from. Nodes are counted as in that hour
-- of those that are kept in which most were heard. Where one is silent the sum is too low by what it
-- drew, which the forecast holds; so is that of a node by a meter that is.
-- It rolls: what the retention of `forecasts` takes back no longer counts. MAE and bias are in kW; bias
-- is positive where forecasts were too high; coverage is the share of outcomes between p10 and p90
-- (0.8 where the quantiles are right). No percentage of the load: net load crosses zero.
CREATE MATERIALIZED VIEW forecast_error_by_lead AS
SELECT
  e.scope, e.subject_id, e.feeder_id, e.model_version, e.lead_h, count(*) AS n,
  avg(abs(e.p50_kw - e.net_load_kw)) AS mae_kw,
  avg(CASE WHEN e.net_load_kw >= e.p10_kw AND e.net_load_kw <= e.p90_kw THEN 1.0 ELSE 0.0 END)
    AS coverage,
  avg(e.p50_kw - e.net_load_kw) AS bias_kw
FROM (
  SELECT
    f.scope, f.subject_id, f.feeder_id, f.model_version, f.p10_kw, f.p50_kw, f.p90_kw,
    h.net_load_kw,
    (CAST(f.target_at AS BIGINT) - CAST(date_bin(INTERVAL '1 hour', f.issued_at) AS BIGINT))
      / 3600000 + 1 AS lead_h
  FROM forecasts f
  JOIN (
    SELECT scope, subject_id, hour_at, net_load_kw
    FROM (
      SELECT 'node' AS scope, bus_id AS subject_id, hour_at, net_load_kw FROM node_hour
      UNION ALL
      SELECT 'meter', meter_id, hour_at, active_power_kw FROM shared_meter_hour
      UNION ALL
      SELECT 'plant', asset_id, hour_at, power_kw FROM plant_hour WHERE origin = 'measured'
    ) hours
    WHERE hour_at + INTERVAL '1 hour' <= now()
    UNION ALL
    SELECT scope, subject_id, hour_at, net_load_kw
    FROM (
      SELECT
        scope, subject_id, hour_at, net_load_kw, heard,
        max(heard) OVER (PARTITION BY scope, subject_id) AS nodes
      FROM (
        SELECT
          'feeder' AS scope, feeder_id AS subject_id, hour_at,
          sum(net_load_kw) AS net_load_kw, count(*) AS heard
        FROM node_hour
        GROUP BY feeder_id, hour_at
        UNION ALL
        SELECT 'zone', f.zone_id, n.hour_at, sum(n.net_load_kw), count(*)
        FROM node_hour n JOIN feeders f ON f.feeder_id = n.feeder_id
        WHERE f.zone_id <> ''
        GROUP BY f.zone_id, n.hour_at
        UNION ALL
        SELECT 'system', 'system', hour_at, sum(net_load_kw), count(*)
        FROM node_hour
        GROUP BY hour_at
      ) sums
      WHERE hour_at + INTERVAL '1 hour' <= now()
    ) counted
    WHERE 5 * heard >= 4 * nodes
  ) h ON h.scope = f.scope AND h.subject_id = f.subject_id AND h.hour_at = f.target_at
) e
GROUP BY e.scope, e.subject_id, e.feeder_id, e.model_version, e.lead_h;
