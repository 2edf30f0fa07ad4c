-- Where each switch stands: as it said last, or in its normal position where nothing was heard.
--
-- What was heard counts until the switch is heard again: switch_positions forgets nothing.
CREATE MATERIALIZED VIEW switch_state AS
SELECT
  s.switch_id, s.branch_id, s.feeder_id,
  coalesce(p.position, s.normal_position) AS position, p.changed_at
FROM switches s
LEFT JOIN (
  SELECT DISTINCT ON (switch_id) switch_id, changed_at, position
  FROM switch_positions
  ORDER BY switch_id, changed_at DESC
) p ON p.switch_id = s.switch_id;
