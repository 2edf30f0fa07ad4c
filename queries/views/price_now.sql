-- The prices whose delivery period contains the tick, one a zone and product.
CREATE MATERIALIZED VIEW price_now AS
SELECT zone_id, product, delivery_start_at, delivery_end_at, price_per_mwh, published_at
FROM price_latest
WHERE delivery_start_at <= now() AND delivery_end_at > now();
