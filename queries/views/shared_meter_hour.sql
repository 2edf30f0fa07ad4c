-- Mean power of each meter that shares its bus with others, by hour of event time, once the hour is
-- over.
--
-- A bus with a battery is left out: behind which of its meters the battery works nobody says, so
-- what they would read without it cannot be told.
CREATE MATERIALIZED VIEW shared_meter_hour AS
SELECT meter_id, bus_id, feeder_id, hour_at, active_power_kw
FROM meter_hour
WHERE meters_at_bus > 1 AND NOT battery_at_bus AND hour_at + INTERVAL '1 hour' <= now();
