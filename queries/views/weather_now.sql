-- What each weather station saw last.
CREATE MATERIALIZED VIEW weather_now AS
SELECT DISTINCT ON (station_id)
  station_id, observed_at, temperature_c, humidity_percent, diffuse_w_per_m2, direct_w_per_m2,
  wind_m_per_s
FROM weather_observations
ORDER BY station_id, observed_at DESC;
