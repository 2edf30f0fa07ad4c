-- The price of each delivery period as published last: a later publication corrects an earlier one.
--
-- A price counts for as long as its delivery period matters, whenever it was published: until 49 h
-- after the period's end, which is as long as meter_readings keeps a bin to be priced (48 h, by
-- whole hours). Who keeps readings for longer replaces this view with one that waits longer.
--
-- A period is at most a year long (400 days with room to spare): by its start, which all its
-- publications share, they are forgotten together, so that none that was corrected comes back.
CREATE MATERIALIZED VIEW price_latest AS
SELECT zone_id, product, delivery_start_at, delivery_end_at, price_per_mwh, published_at
FROM (
  SELECT DISTINCT ON (zone_id, product, delivery_start_at)
    zone_id, product, delivery_start_at, delivery_end_at, price_per_mwh, published_at
  FROM prices
  WHERE delivery_start_at > now() - INTERVAL '400 days'
  ORDER BY zone_id, product, delivery_start_at, published_at DESC
) published
WHERE delivery_end_at > now() - INTERVAL '49 hours';
