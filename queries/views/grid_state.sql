-- Everything that is known of each bus now, one row a bus.
--
-- NULL where nothing was heard. Power of batteries and PV is positive when they inject, everything
-- else is positive when it draws. Of several products the price is that of the last by name (`tariff`
-- before `day-ahead`); the temperature is the mean of all stations, because stations have no bus.
--
-- What changes seldom is joined first, so that what changes each tick passes through few joins.
CREATE MATERIALIZED VIEW grid_state AS
SELECT
  b.bus_id, b.feeder_id, v.voltage_pu, v.measured_at AS voltage_at, n.net_load_kw, n.meter_kw,
  a.battery_kw, a.battery_kwh, a.pv_kw, h.head_kw AS feeder_head_kw, b.limit_kw AS feeder_limit_kw,
  p.price_per_mwh, w.temperature_c
FROM (
  SELECT buses.bus_id, buses.feeder_id, feeders.zone_id, feeders.limit_kw, 1 AS everywhere
  FROM buses JOIN feeders ON feeders.feeder_id = buses.feeder_id
) b
LEFT JOIN (
  SELECT 1 AS everywhere, avg(temperature_c) AS temperature_c FROM weather_now
) w ON w.everywhere = b.everywhere
LEFT JOIN (
  SELECT DISTINCT ON (zone_id) zone_id, price_per_mwh
  FROM price_now
  ORDER BY zone_id, product DESC
) p ON p.zone_id = b.zone_id
LEFT JOIN bus_assets a ON a.bus_id = b.bus_id
LEFT JOIN node_load n ON n.bus_id = b.bus_id
LEFT JOIN bus_voltage v ON v.bus_id = b.bus_id
LEFT JOIN feeder_now h ON h.feeder_id = b.feeder_id;
