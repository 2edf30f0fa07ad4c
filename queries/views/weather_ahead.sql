-- What was last expected of each hour's weather, as issued; one row for each feeder.
CREATE MATERIALIZED VIEW weather_ahead AS
SELECT
  w.station_id, f.feeder_id, w.hour_at, w.issued_at, w.temperature_c, w.global_w_per_m2,
  w.wind_m_per_s
FROM (
  SELECT DISTINCT ON (station_id, hour_at)
    station_id, date_bin(INTERVAL '1 hour', target_at) AS hour_at, issued_at, temperature_c,
    global_w_per_m2, wind_m_per_s
  FROM weather_forecasts
  ORDER BY station_id, hour_at, issued_at DESC, target_at
) w
CROSS JOIN feeders f;
