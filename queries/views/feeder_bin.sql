-- What each feeder draws, by event time, in bins of 5 s.
--
-- The mean of the meters that were heard, times the number of meters there are: a lost reading then
-- does not look like a drop of load. `n` says how many readings stand behind it. A late reading
-- restates its bin, and so does a reading that is sent again: its last revision counts.
CREATE MATERIALIZED VIEW feeder_bin AS
SELECT b.feeder_id, b.bin_at, b.mean_kw * CAST(c.meters AS DOUBLE) AS kw, b.n
FROM (
  SELECT
    m.feeder_id, date_bin(INTERVAL '5 seconds', r.measured_at) AS bin_at,
    avg(r.active_power_kw) AS mean_kw, count(*) AS n
  FROM (
    SELECT DISTINCT ON (meter_id, measured_at) meter_id, measured_at, active_power_kw
    FROM meter_readings
    ORDER BY meter_id, measured_at, revision DESC
  ) r JOIN meters m USING (meter_id)
  GROUP BY 1, 2
) b
JOIN (SELECT feeder_id, count(*) AS meters FROM meters GROUP BY feeder_id) c
  ON c.feeder_id = b.feeder_id;
