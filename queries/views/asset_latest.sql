-- What each controllable device said last. Injection into the grid (discharge) is positive.
CREATE MATERIALIZED VIEW asset_latest AS
SELECT DISTINCT ON (asset_id)
  asset_id, measured_at, active_power_kw, state_of_charge_kwh
FROM asset_telemetry
ORDER BY asset_id, measured_at DESC;
