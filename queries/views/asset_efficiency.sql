-- What share of energy each store keeps one way, as its telemetry of the last days says; a device
-- that has not worked enough stands in with its name plate.
--
-- A quarter of an hour counts once it is over, if the device was heard a hundred times in it, only
-- charged or only discharged, by at least 0.1 kW on average, and its store moved. In it the stored
-- energy rises or falls by its least-squares slope over time, which is the power that flowed, the
-- middle of the quarter weighing most (t·(T − t)); power is averaged with the same weights. What came
-- out (into the store, or to the grid) over what went in, summed over both directions, is the share.
-- The name plate weighs as much as one full charge, so that a few quarters do not overrule it.
-- `measured_kwh` is what went in.
CREATE MATERIALIZED VIEW asset_efficiency AS
SELECT
  a.asset_id, a.feeder_id, a.energy_kwh_max, a.efficiency AS nameplate,
  m.in_kwh AS measured_kwh,
  CASE WHEN m.in_kwh IS NULL THEN a.efficiency
    ELSE greatest(0.5, least(1.0,
      (a.efficiency * a.energy_kwh_max + m.out_kwh) / (a.energy_kwh_max + m.in_kwh)))
  END AS efficiency
FROM assets a
LEFT JOIN (
  SELECT
    asset_id,
    sum(CASE WHEN mean_kw < 0.0 THEN slope_kw ELSE mean_kw END) / 4.0 AS out_kwh,
    sum(CASE WHEN mean_kw < 0.0 THEN -mean_kw ELSE -slope_kw END) / 4.0 AS in_kwh
  FROM (
    SELECT
      asset_id, sum_weighted_kw / sum_weight AS mean_kw,
      3600.0 * (n * sum_te - sum_t * sum_e) / (n * sum_tt - sum_t * sum_t) AS slope_kw
    FROM (
      SELECT
        asset_id, bin_at, CAST(count(*) AS DOUBLE) AS n, sum(kw) AS sum_kw,
        sum(abs(kw)) AS sum_abs_kw, sum(t_s * (900.0 - t_s)) AS sum_weight,
        sum(kw * t_s * (900.0 - t_s)) AS sum_weighted_kw, sum(t_s) AS sum_t, sum(e_kwh) AS sum_e,
        sum(t_s * t_s) AS sum_tt, sum(t_s * e_kwh) AS sum_te
      FROM (
        SELECT
          asset_id, date_bin(INTERVAL '15 minutes', measured_at) AS bin_at,
          active_power_kw AS kw, state_of_charge_kwh AS e_kwh,
          CAST((CAST(measured_at AS BIGINT)
            - CAST(date_bin(INTERVAL '15 minutes', measured_at) AS BIGINT)) / 1000 AS DOUBLE) AS t_s
        FROM asset_telemetry
        WHERE state_of_charge_kwh BETWEEN 0.0 AND 1000000.0
          AND active_power_kw BETWEEN -1000000.0 AND 1000000.0
      ) points
      GROUP BY asset_id, bin_at
    ) sums
    WHERE bin_at + INTERVAL '15 minutes' <= now() AND n >= 100.0 AND n * sum_tt > sum_t * sum_t AND sum_weight > 0.0
      AND sum_abs_kw >= 0.1 * n AND abs(sum_kw) >= 0.999 * sum_abs_kw
  ) slopes
  WHERE slope_kw * mean_kw < -0.01 * mean_kw * mean_kw
  GROUP BY asset_id
) m ON m.asset_id = a.asset_id
WHERE a.energy_kwh_max > 0.0;
