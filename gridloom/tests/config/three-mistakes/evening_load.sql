CREATE MATERIALIZED VIEW evening_load AS
SELECT meter_id, date_bin(INTERVAL '15 minutes', measured_at) AS bin_at,
       avg(activ_power_kw) AS kw
FROM meter_readings
GROUP BY 1, 2
