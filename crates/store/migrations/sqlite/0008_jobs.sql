-- Work in the background, and the timers that enqueue it. Times are milliseconds since 1970, UTC.

CREATE TABLE jobs (
    id               TEXT    NOT NULL PRIMARY KEY,
    kind             TEXT    NOT NULL,
    payload          TEXT    NOT NULL,
    subject          TEXT,
    unique_key       TEXT,
    priority         BIGINT  NOT NULL,
    state            TEXT    NOT NULL DEFAULT 'waiting'
                     CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    -- When a worker may take it: one that waits from then on, one that runs if its lease was not renewed by then.
    due_at           BIGINT  CHECK ((due_at IS NULL) = (state IN ('done', 'failed', 'cancelled'))),
    attempts         BIGINT  NOT NULL DEFAULT 0,
    max_attempts     BIGINT  NOT NULL,
    -- How often it was taken: which lease is the present one.
    claims           BIGINT  NOT NULL DEFAULT 0,
    worker           TEXT,
    heartbeat_at     BIGINT,
    progress         BIGINT  NOT NULL DEFAULT 0,
    progress_note    TEXT    NOT NULL DEFAULT '',
    cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
    error            TEXT,
    created_at       BIGINT  NOT NULL,
    started_at       BIGINT,
    ended_at         BIGINT
);
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key) WHERE due_at IS NOT NULL;
-- The next one of a kind, and when it is due.
CREATE INDEX jobs_to_take ON jobs (kind, priority DESC, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_by_due ON jobs (kind, due_at) WHERE due_at IS NOT NULL;
-- Lists.
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX jobs_by_kind ON jobs (kind, id);
CREATE INDEX jobs_by_kind_and_state ON jobs (kind, state, id);
CREATE INDEX jobs_by_subject ON jobs (subject, id);
CREATE INDEX jobs_by_end ON jobs (ended_at);

CREATE TABLE timers (
    name     TEXT   NOT NULL PRIMARY KEY,
    schedule TEXT   NOT NULL,
    next_at  BIGINT NOT NULL,
    last_at  BIGINT
);
