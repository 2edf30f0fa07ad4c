-- What the energy of each feeder costs, in bins of 5 s, one row a product of its zone.
--
-- Each bin is priced by the price whose delivery period contains it, never by the latest price: a
-- new price does not re-price the past, but a corrected price corrects the bins it was for. Cost is
-- in the currency of the zone: kW × hours × price per MWh ÷ 1000.
CREATE MATERIALIZED VIEW feeder_cost AS
SELECT
  l.feeder_id, f.zone_id, p.product, l.bin_at, l.kw, l.n, p.price_per_mwh,
  l.kw * (5.0 / 3600.0) * p.price_per_mwh / 1000.0 AS cost
FROM feeder_bin l
JOIN feeders f ON f.feeder_id = l.feeder_id
JOIN price_latest p
  ON p.zone_id = f.zone_id AND l.bin_at >= p.delivery_start_at AND l.bin_at < p.delivery_end_at;
