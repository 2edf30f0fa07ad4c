-- What each meter said last.
--
-- A later measured_at wins; of two words on one interval, the later revision. Meters that have not
-- spoken for as long as meter_readings retains are not listed.
CREATE MATERIALIZED VIEW meter_latest AS
SELECT DISTINCT ON (meter_id)
  meter_id, measured_at, active_power_kw, energy_import_kwh, energy_export_kwh, quality, revision
FROM meter_readings
ORDER BY meter_id, measured_at DESC, revision DESC;
