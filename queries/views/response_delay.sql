-- How devices answer setpoints: of each device, how many were confirmed, how long that took, and how
-- many failed or were superseded before they could be.
CREATE MATERIALIZED VIEW response_delay AS
SELECT
  e.asset_id, e.feeder_id,
  sum(CASE WHEN e.state = 'confirmed' THEN 1 ELSE 0 END) AS confirmed,
  sum(CASE WHEN e.state = 'failed' THEN 1 ELSE 0 END) AS failed,
  sum(CASE WHEN e.state = 'superseded' THEN 1 ELSE 0 END) AS superseded,
  avg(CASE WHEN e.state = 'confirmed' THEN e.delay_s END) AS mean_delay_s
FROM (
  SELECT
    s.asset_id, s.feeder_id, e.state,
    CAST(CAST(e.tick_at AS BIGINT) - CAST(s.tick_at AS BIGINT) AS DOUBLE) / 1000.0 AS delay_s
  FROM actions s
  JOIN actions e ON e.action_id = s.action_id
  WHERE s.state = 'sent' AND e.state IN ('confirmed', 'failed', 'superseded')
) e
GROUP BY e.asset_id, e.feeder_id;
