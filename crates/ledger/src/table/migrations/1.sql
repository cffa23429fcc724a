-- The first schema. docs/ledger.md says what each column means.

-- What is different in each settlement. Everything else is the same in very many of them and stands in `kinds`, once:
-- a row is half as long and costs half as much.
CREATE TABLE settled (
  number INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  call TEXT NOT NULL,
  response_id TEXT,
  request_id TEXT,
  began_at INTEGER NOT NULL,
  settled_at INTEGER NOT NULL,
  input_tokens INTEGER,
  cached_input_tokens INTEGER,
  cache_write_tokens INTEGER,
  output_tokens INTEGER,
  reasoning_tokens INTEGER,
  span_before INTEGER,
  span_after INTEGER,
  slack_tokens INTEGER,
  remaining_tokens INTEGER,
  cost_picodollars INTEGER,
  saved_picodollars INTEGER,
  adjusts TEXT,
  taken_change INTEGER,
  fitted_change INTEGER
);

-- Nearly no row adjusts another, so this costs nothing.
CREATE INDEX adjustments ON settled (adjusts) WHERE adjusts IS NOT NULL;

CREATE TABLE kinds (
  kind INTEGER PRIMARY KEY,
  day TEXT NOT NULL,
  organization TEXT NOT NULL,
  project TEXT,
  key_hash BLOB,
  endpoint TEXT NOT NULL,
  model_asked TEXT,
  model TEXT,
  service_tier TEXT,
  stream INTEGER NOT NULL,
  status INTEGER NOT NULL,
  client TEXT,
  model_group TEXT,
  fitted INTEGER NOT NULL,
  slack_source TEXT,
  slack_any_group INTEGER,
  allowance_tokens INTEGER,
  verdict TEXT NOT NULL,
  certainty TEXT,
  assumes TEXT NOT NULL,
  reason TEXT NOT NULL,
  ours TEXT NOT NULL,
  payer TEXT,
  disputed INTEGER NOT NULL,
  straddles INTEGER NOT NULL,
  standing_shown INTEGER NOT NULL,
  summary_group TEXT NOT NULL
);

-- CROSS JOIN: rows in the order of their numbers, and the kind of each.
CREATE VIEW settlements AS
SELECT
  number,
  call,
  response_id,
  request_id,
  began_at,
  settled_at,
  day,
  organization,
  project,
  key_hash,
  endpoint,
  model_asked,
  model,
  service_tier,
  stream,
  status,
  client,
  model_group,
  input_tokens,
  cached_input_tokens,
  cache_write_tokens,
  output_tokens,
  reasoning_tokens,
  span_before,
  span_after,
  fitted,
  slack_source,
  slack_tokens,
  slack_any_group,
  allowance_tokens,
  remaining_tokens,
  verdict,
  certainty,
  assumes,
  reason,
  ours,
  payer,
  disputed,
  straddles,
  cost_picodollars,
  saved_picodollars,
  standing_shown,
  adjusts,
  taken_change,
  fitted_change,
  summary_group
FROM settled CROSS JOIN kinds USING (kind);

-- Where a call's ids are found: 64 rows for each 8,192 settlements.
CREATE TABLE names (
  number INTEGER PRIMARY KEY,
  entries BLOB NOT NULL
);

CREATE TABLE totals (
  day TEXT NOT NULL,
  organization TEXT NOT NULL,
  model_group TEXT NOT NULL,
  calls INTEGER NOT NULL,
  free_calls INTEGER NOT NULL,
  billed_calls INTEGER NOT NULL,
  unknown_calls INTEGER NOT NULL,
  lost_calls INTEGER NOT NULL,
  unpriced_calls INTEGER NOT NULL,
  free_tokens INTEGER NOT NULL,
  billed_tokens INTEGER NOT NULL,
  cost_picodollars INTEGER NOT NULL,
  saved_picodollars INTEGER NOT NULL,
  taken_tokens INTEGER NOT NULL,
  fitted_tokens INTEGER NOT NULL,
  was_past_tokens INTEGER,
  contradictions INTEGER NOT NULL,
  stated INTEGER NOT NULL,
  allowance_tokens INTEGER,
  crossing_call TEXT,
  crossing_at INTEGER,
  crossing_tokens INTEGER,
  crossing_before INTEGER,
  first_number INTEGER,
  last_number INTEGER,
  PRIMARY KEY (day, organization, model_group)
) WITHOUT ROWID;

CREATE TABLE slacks (
  day TEXT NOT NULL,
  organization TEXT NOT NULL,
  model_group TEXT NOT NULL,
  source TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  without_limit INTEGER NOT NULL,
  PRIMARY KEY (day, organization, model_group, source)
) WITHOUT ROWID;

CREATE TABLE open_calls (
  day TEXT NOT NULL,
  organization TEXT NOT NULL,
  model_group TEXT NOT NULL,
  version INTEGER NOT NULL,
  at_most INTEGER,
  PRIMARY KEY (day, organization, model_group)
) WITHOUT ROWID;

CREATE TABLE statements (
  number INTEGER PRIMARY KEY,
  stated_at INTEGER NOT NULL,
  day TEXT NOT NULL,
  organization TEXT NOT NULL,
  model_group TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  change INTEGER NOT NULL
);

CREATE TABLE organizations (
  organization TEXT PRIMARY KEY,
  settled_at INTEGER NOT NULL,
  paid_at INTEGER
) WITHOUT ROWID;

CREATE TABLE aliases (
  name TEXT PRIMARY KEY,
  organization TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE keys (
  key_hash BLOB PRIMARY KEY,
  organization TEXT NOT NULL,
  project TEXT,
  seen_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  began_at INTEGER,
  segment INTEGER NOT NULL,
  "offset" INTEGER NOT NULL,
  clean INTEGER NOT NULL,
  last_number INTEGER NOT NULL
);

INSERT INTO meta (id, segment, "offset", clean, last_number) VALUES (1, 0, 0, 1, 0);

CREATE VIEW calls AS
SELECT
  number,
  call,
  response_id,
  request_id,
  strftime('%Y-%m-%dT%H:%M:%fZ', began_at / 1000.0, 'unixepoch') AS began,
  strftime('%Y-%m-%dT%H:%M:%fZ', settled_at / 1000.0, 'unixepoch') AS settled,
  day,
  coalesce(known.organization, settlements.organization) AS organization,
  project,
  endpoint,
  coalesce(model, model_asked) AS model,
  service_tier,
  stream,
  status,
  client,
  model_group,
  input_tokens + output_tokens AS tokens,
  input_tokens,
  output_tokens,
  verdict,
  certainty,
  assumes,
  reason,
  payer,
  disputed,
  allowance_tokens,
  remaining_tokens,
  cost_picodollars / 1e12 AS cost_usd,
  saved_picodollars / 1e12 AS saved_usd,
  adjusts
FROM settlements
LEFT JOIN aliases AS known ON known.name = settlements.organization;

-- The summary once more, from the rows. A row that a later one adjusts keeps its span and gives way in all else.
CREATE VIEW days AS
WITH parts AS (
  SELECT
    day,
    organization,
    summary_group,
    NOT EXISTS (
      SELECT 1 FROM settled AS later
      WHERE later.adjusts = coalesce(settlements.adjusts, settlements.call)
        AND later.number > settlements.number
    ) AS counts,
    verdict,
    input_tokens + output_tokens AS tokens,
    cost_picodollars,
    saved_picodollars,
    coalesce(span_after - span_before, 0) + coalesce(taken_change, 0) AS taken
  FROM settlements
  UNION ALL
  SELECT day, organization, model_group, 0, '', NULL, NULL, NULL, change FROM statements
)
SELECT
  day,
  coalesce(known.organization, parts.organization) AS organization,
  summary_group AS model_group,
  count(*) FILTER (WHERE counts) AS calls,
  count(*) FILTER (WHERE counts AND verdict = 'free') AS free_calls,
  count(*) FILTER (WHERE counts AND verdict = 'billed') AS billed_calls,
  count(*) FILTER (WHERE counts AND verdict = 'unknown') AS unknown_calls,
  count(*) FILTER (WHERE counts AND tokens > 0 AND cost_picodollars IS NULL) AS unpriced_calls,
  CAST(total(tokens) FILTER (WHERE counts AND verdict = 'free') AS INTEGER) AS free_tokens,
  CAST(total(tokens) FILTER (WHERE counts AND verdict = 'billed') AS INTEGER) AS billed_tokens,
  total(cost_picodollars) FILTER (WHERE counts) / 1e12 AS cost_usd,
  total(saved_picodollars) FILTER (WHERE counts) / 1e12 AS saved_usd,
  CAST(total(taken) AS INTEGER) AS taken_tokens
FROM parts
LEFT JOIN aliases AS known ON known.name = parts.organization
GROUP BY 1, 2, 3;
