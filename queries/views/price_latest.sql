-- The price of each delivery period as published last: a later publication corrects an earlier one.
CREATE MATERIALIZED VIEW price_latest AS
SELECT DISTINCT ON (zone_id, product, delivery_start_at)
  zone_id, product, delivery_start_at, delivery_end_at, price_per_mwh, published_at
FROM prices
ORDER BY zone_id, product, delivery_start_at, published_at DESC;
