-- What each feeder draws, by event time, in bins of 5 s and of 1 min.
--
-- A minute is the mean of its 5 s bins; `n` counts the readings behind it. Built on feeder_bin, so
-- that the readings are kept once for both widths.
CREATE MATERIALIZED VIEW feeder_load AS
SELECT feeder_id, 5 AS bin_seconds, bin_at, kw, n
FROM feeder_bin
UNION ALL
SELECT
  feeder_id, 60 AS bin_seconds, date_bin(INTERVAL '1 minute', bin_at) AS bin_at,
  avg(kw) AS kw, sum(n) AS n
FROM feeder_bin
GROUP BY feeder_id, date_bin(INTERVAL '1 minute', bin_at);
