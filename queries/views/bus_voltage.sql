-- The voltage at each bus that has a voltage sensor, and its limits, per unit of nominal.
CREATE MATERIALIZED VIEW bus_voltage AS
SELECT
  b.bus_id, b.feeder_id, l.measured_at, l.value AS voltage_pu, b.voltage_pu_min, b.voltage_pu_max
FROM sensor_latest l
JOIN sensors s ON s.sensor_id = l.sensor_id
JOIN buses b ON b.bus_id = s.bus_id
WHERE s.quantity = 'voltage_pu';
