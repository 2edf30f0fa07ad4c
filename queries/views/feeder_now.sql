-- What each feeder draws now, measured at its head, and the most it may draw. Import is positive.
CREATE MATERIALIZED VIEW feeder_now AS
SELECT f.feeder_id, l.measured_at, l.value AS head_kw, f.limit_kw
FROM sensor_latest l
JOIN sensors s ON s.sensor_id = l.sensor_id
JOIN feeders f ON f.feeder_id = s.feeder_id
WHERE s.quantity = 'head_active_power_kw';
