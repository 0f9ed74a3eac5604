-- Schema 1. What every column means is said in src/model/job.h, where the field of its name is.
-- Times are microseconds since 1970, UTC. Every statement that reads many rows has an index of its
-- own: query_plan_test.cc holds each of them to it.

-- What changes often and what is asked for. `seq` is the order of submission and never used twice.
CREATE TABLE jobs (
  seq              INTEGER PRIMARY KEY AUTOINCREMENT,
  id               TEXT NOT NULL UNIQUE,
  owner            TEXT NOT NULL,
  idempotency_key  TEXT,
  state            TEXT NOT NULL DEFAULT 'pending' CHECK (state IN (
                     'pending', 'cloning', 'building', 'prep', 'inference',
                     'completed', 'failed', 'timeout', 'cancelled')),
  phase            TEXT NOT NULL DEFAULT '',
  progress         REAL NOT NULL DEFAULT 0,
  error_code       TEXT NOT NULL DEFAULT '',
  error_message    TEXT NOT NULL DEFAULT '',
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  submitted_at     INTEGER NOT NULL,
  started_at       INTEGER,
  completed_at     INTEGER,
  attempts         INTEGER NOT NULL DEFAULT 0,
  runner_id        TEXT NOT NULL DEFAULT '',
  fencing_token    INTEGER NOT NULL DEFAULT 0,
  gpus             TEXT NOT NULL DEFAULT '[]',
  has_receipt      INTEGER NOT NULL DEFAULT 0,
  -- Copies out of the spec, which never changes: what filters and the scheduler ask for.
  repo_url         TEXT NOT NULL,
  validator_hotkey TEXT NOT NULL,
  miner_hotkey     TEXT NOT NULL,
  weight_class     TEXT NOT NULL,
  priority         INTEGER NOT NULL,
  queue_key        INTEGER NOT NULL,  -- submitted_at - priority * priority_step; least first
  cpu_millis       INTEGER,
  memory_bytes     INTEGER,
  disk_bytes       INTEGER,
  prep_ms          INTEGER,
  inference_ms     INTEGER,
  -- Exactly one terminal state: it has its time, and nothing else has.
  CHECK ((completed_at IS NOT NULL) = (state IN ('completed', 'failed', 'timeout', 'cancelled')))
) STRICT;

CREATE UNIQUE INDEX jobs_by_key ON jobs (owner, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_by_time ON jobs (submitted_at);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_owner ON jobs (owner, state);
CREATE INDEX jobs_by_validator ON jobs (validator_hotkey, state);
CREATE INDEX jobs_by_miner ON jobs (miner_hotkey, state);
-- With all that the scheduler asks for, so that a look at the heads of all queues reads as many
-- pages as there are queues, wherever the rows of the jobs are.
CREATE INDEX jobs_queue ON jobs (
  weight_class, owner, queue_key, seq, id, priority, submitted_at, attempts, cpu_millis,
  memory_bytes, disk_bytes, prep_ms, inference_ms) WHERE state = 'pending';
CREATE INDEX jobs_running ON jobs (runner_id)
  WHERE state IN ('cloning', 'building', 'prep', 'inference');
CREATE INDEX jobs_by_end ON jobs (completed_at) WHERE completed_at IS NOT NULL;

-- A terminal state is for ever, whoever writes here by whatever means.
CREATE TRIGGER jobs_end_once BEFORE UPDATE OF state ON jobs WHEN OLD.completed_at IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'a job that has ended stays as it is');
END;

-- What was submitted: JSON, written once.
CREATE TABLE job_specs (
  seq  INTEGER PRIMARY KEY,
  spec TEXT NOT NULL
) STRICT;

-- What grows while a job runs. There is no row before the first of it.
CREATE TABLE job_details (
  seq             INTEGER PRIMARY KEY,
  resolved_commit TEXT NOT NULL DEFAULT '',
  source_digest   TEXT NOT NULL DEFAULT '',
  build_digest    TEXT NOT NULL DEFAULT '',
  build_cached    INTEGER NOT NULL DEFAULT 0,
  phases          TEXT NOT NULL DEFAULT '[]',
  egress          TEXT NOT NULL DEFAULT '[]',
  seal            TEXT NOT NULL DEFAULT '{"sealed":false}',
  inputs          TEXT NOT NULL DEFAULT '[]',
  outputs         TEXT NOT NULL DEFAULT '[]'
) STRICT;

-- How many jobs are in each state, of each owner and of all; kept by the triggers below, so that
-- nobody has to count a million rows.
CREATE TABLE job_counts (
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  jobs  INTEGER NOT NULL,
  PRIMARY KEY (owner, state)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_totals (
  state TEXT PRIMARY KEY,
  jobs  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO job_totals (state, jobs) VALUES
  ('pending', 0), ('cloning', 0), ('building', 0), ('prep', 0), ('inference', 0),
  ('completed', 0), ('failed', 0), ('timeout', 0), ('cancelled', 0);

CREATE TRIGGER jobs_count_insert AFTER INSERT ON jobs
BEGIN
  UPDATE job_totals SET jobs = jobs + 1 WHERE state = NEW.state;
  INSERT INTO job_counts (owner, state, jobs) VALUES (NEW.owner, NEW.state, 1)
    ON CONFLICT (owner, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TRIGGER jobs_count_update AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state
BEGIN
  UPDATE job_totals SET jobs = jobs - 1 WHERE state = OLD.state;
  UPDATE job_totals SET jobs = jobs + 1 WHERE state = NEW.state;
  UPDATE job_counts SET jobs = jobs - 1 WHERE owner = OLD.owner AND state = OLD.state;
  DELETE FROM job_counts WHERE owner = OLD.owner AND state = OLD.state AND jobs = 0;
  INSERT INTO job_counts (owner, state, jobs) VALUES (NEW.owner, NEW.state, 1)
    ON CONFLICT (owner, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TRIGGER jobs_count_delete AFTER DELETE ON jobs
BEGIN
  UPDATE job_totals SET jobs = jobs - 1 WHERE state = OLD.state;
  UPDATE job_counts SET jobs = jobs - 1 WHERE owner = OLD.owner AND state = OLD.state;
  DELETE FROM job_counts WHERE owner = OLD.owner AND state = OLD.state AND jobs = 0;
END;

-- The feed. Its newest `at` is also where the store's time goes on after a restart.
CREATE TABLE changes (
  seq              INTEGER PRIMARY KEY AUTOINCREMENT,
  at               INTEGER NOT NULL,
  job_id           TEXT NOT NULL,
  owner            TEXT NOT NULL,
  state            TEXT NOT NULL,
  phase            TEXT NOT NULL,
  progress         REAL NOT NULL,
  cancel_requested INTEGER NOT NULL,
  reason           TEXT NOT NULL
) STRICT;
CREATE INDEX changes_by_owner ON changes (owner);

CREATE TABLE runners (
  id           TEXT PRIMARY KEY,
  receipt_hash TEXT NOT NULL DEFAULT '',
  first_seen   INTEGER NOT NULL,
  last_seen    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: who this host is.
CREATE TABLE host (
  only_row  INTEGER PRIMARY KEY CHECK (only_row = 1),
  runner_id TEXT NOT NULL
) STRICT;
