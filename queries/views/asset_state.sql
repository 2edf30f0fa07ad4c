-- Each controllable device, its limits, and what it said last; NULL while it has not spoken.
--
-- `efficiency` is what its telemetry taught, beside the name plate (`asset_efficiency`). What may not
-- change its power by command (an inverter that follows the sun) is not controllable.
CREATE MATERIALIZED VIEW asset_state AS
SELECT
  a.asset_id, a.bus_id, a.feeder_id, a.kind, a.power_kw_min, a.power_kw_max, a.ramp_kw_max,
  a.energy_kwh_max, coalesce(e.efficiency, a.efficiency) AS efficiency,
  l.measured_at, l.active_power_kw, l.state_of_charge_kwh
FROM assets a
LEFT JOIN asset_latest l ON l.asset_id = a.asset_id
LEFT JOIN asset_efficiency e ON e.asset_id = a.asset_id
WHERE a.ramp_kw_max > 0.0;
