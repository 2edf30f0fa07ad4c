-- What the devices at each bus do now, by kind; NULL where there is none of the kind.
--
-- Power is positive when it injects.
CREATE MATERIALIZED VIEW bus_assets AS
SELECT
  a.bus_id,
  sum(l.active_power_kw) FILTER (WHERE a.kind = 'battery') AS battery_kw,
  sum(l.state_of_charge_kwh) FILTER (WHERE a.kind = 'battery') AS battery_kwh,
  sum(l.active_power_kw) FILTER (WHERE a.kind = 'pv') AS pv_kw
FROM asset_latest l
JOIN assets a ON a.asset_id = l.asset_id
GROUP BY a.bus_id;
