-- How good past forecasts were, whatever they looked ahead: `forecast_error_by_lead`, summed.
--
-- One row for each model version of a meter that shares its bus, a node, a feeder, a plant, a zone
-- and the system.
CREATE MATERIALIZED VIEW forecast_error AS
SELECT
  scope, subject_id, feeder_id, model_version, sum(n) AS n,
  sum(n * mae_kw) / sum(n) AS mae_kw,
  sum(n * coverage) / sum(n) AS coverage,
  sum(n * bias_kw) / sum(n) AS bias_kw
FROM forecast_error_by_lead
GROUP BY scope, subject_id, feeder_id, model_version;
