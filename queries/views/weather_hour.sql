-- What each weather station saw by hour of event time, and what the table `weather_history` knows
-- of the hours before; one row for each feeder, for a feeder's models choose among all stations.
--
-- Global irradiance is diffuse plus direct. The hour that is under way holds the mean so far. What
-- no weather on Earth was is not in a mean: temperatures outside -100 to 70 °C, irradiance outside
-- -50 (a sensor's offset by night) to 2000 W/m², wind above 150 m/s.
CREATE MATERIALIZED VIEW weather_hour AS
SELECT
  w.station_id, f.feeder_id, w.hour_at, w.origin, w.temperature_c, w.global_w_per_m2,
  w.wind_m_per_s
FROM (
  SELECT
    station_id, date_bin(INTERVAL '1 hour', observed_at) AS hour_at, 'measured' AS origin,
    avg(temperature_c) AS temperature_c,
    avg(CASE WHEN diffuse_w_per_m2 + direct_w_per_m2 BETWEEN -50.0 AND 2000.0
      THEN diffuse_w_per_m2 + direct_w_per_m2 END) AS global_w_per_m2,
    avg(CASE WHEN wind_m_per_s BETWEEN 0.0 AND 150.0 THEN wind_m_per_s END) AS wind_m_per_s
  FROM weather_observations
  WHERE temperature_c BETWEEN -100.0 AND 70.0
  GROUP BY 1, 2
  UNION ALL
  SELECT station_id, hour_at, 'history', temperature_c, global_w_per_m2, wind_m_per_s
  FROM weather_history
) w
CROSS JOIN feeders f;
