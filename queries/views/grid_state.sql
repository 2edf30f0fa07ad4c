-- Everything that is known of each bus now, one row a bus: measured, and estimated beside it.
--
-- NULL where nothing was heard. Power of batteries and PV is positive when they inject, everything
-- else is positive when it draws. Of several products the price is that of the last by name (`tariff`
-- before `day-ahead`); the temperature is the mean of all stations, because stations have no bus.
-- The cost is what the head draws now would cost over an hour, in the currency of the zone.
--
-- open_switches counts those on the branches that end at the bus, so it says which end is cut off;
-- stale_sensors counts who stands at the bus and is silent for longer than it may be.
--
-- estimated_voltage_pu and its deviation are the estimator's, which takes all points of a feeder
-- together; a bus has them without a sensor of its own. The voltage is 0 where energised is false and
-- NULL where observable is; where pseudo is true, what the bus draws is taken from a forecast or from
-- what the head measures. All are NULL where nothing is estimated. A bus has the estimate of its own
-- feeder, though it may feed a transformer of another.
--
-- What changes seldom is joined first, so that what changes each tick passes through few joins; what
-- is computed from the head is computed once a feeder, not once a bus.
CREATE MATERIALIZED VIEW grid_state AS
SELECT
  b.bus_id, b.feeder_id, v.voltage_pu, v.measured_at AS voltage_at,
  e.vm_pu AS estimated_voltage_pu, e.sigma_vm_pu AS estimated_sigma_pu,
  e.energised, e.observable, e.pseudo, n.net_load_kw, n.meter_kw,
  a.battery_kw, a.battery_kwh, a.pv_kw, h.head_kw AS feeder_head_kw, b.limit_kw AS feeder_limit_kw,
  b.price_per_mwh, b.temperature_c, h.cost_per_hour AS feeder_cost_per_hour,
  b.open_switches, b.stale_sensors
FROM (
  SELECT
    e.bus_id, e.feeder_id, e.limit_kw, p.price_per_mwh, w.temperature_c,
    coalesce(o.switches, 0) AS open_switches, coalesce(s.sensors, 0) AS stale_sensors
  FROM (
    SELECT buses.bus_id, buses.feeder_id, feeders.zone_id, feeders.limit_kw, 1 AS everywhere
    FROM buses JOIN feeders ON feeders.feeder_id = buses.feeder_id
  ) e
  LEFT JOIN (
    SELECT 1 AS everywhere, avg(temperature_c) AS temperature_c FROM weather_now
  ) w ON w.everywhere = e.everywhere
  LEFT JOIN (
    SELECT DISTINCT ON (zone_id) zone_id, price_per_mwh
    FROM price_now
    ORDER BY zone_id, product DESC
  ) p ON p.zone_id = e.zone_id
  LEFT JOIN (
    SELECT ends.bus_id, count(*) AS switches
    FROM (
      SELECT branch_id, from_bus_id AS bus_id FROM branches
      UNION ALL
      SELECT branch_id, to_bus_id FROM branches
    ) ends
    JOIN switch_state ON switch_state.branch_id = ends.branch_id
    WHERE switch_state.position = 'open'
    GROUP BY ends.bus_id
  ) o ON o.bus_id = e.bus_id
  LEFT JOIN (
    SELECT bus_id, count(*) AS sensors FROM stale_sensors GROUP BY bus_id
  ) s ON s.bus_id = e.bus_id
) b
LEFT JOIN bus_assets a ON a.bus_id = b.bus_id
LEFT JOIN node_load n ON n.bus_id = b.bus_id
LEFT JOIN bus_voltage v ON v.bus_id = b.bus_id
LEFT JOIN estimates.buses e ON e.bus_id = b.bus_id AND e.feeder_id = b.feeder_id
LEFT JOIN (
  SELECT f.feeder_id, f.head_kw, f.head_kw * p.price_per_mwh / 1000.0 AS cost_per_hour
  FROM feeder_now f
  JOIN feeders ON feeders.feeder_id = f.feeder_id
  LEFT JOIN (
    SELECT DISTINCT ON (zone_id) zone_id, price_per_mwh
    FROM price_now
    ORDER BY zone_id, product DESC
  ) p ON p.zone_id = feeders.zone_id
) h ON h.feeder_id = b.feeder_id;
