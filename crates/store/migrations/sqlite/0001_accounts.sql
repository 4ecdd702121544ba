-- Accounts, sessions, channels, keys, settings, audit log. Times are milliseconds since 1970, UTC.

CREATE TABLE users (
    id                TEXT    NOT NULL PRIMARY KEY,
    handle            TEXT    NOT NULL UNIQUE,
    display_name      TEXT    NOT NULL,
    email             TEXT    UNIQUE,
    email_verified_at BIGINT,
    password_hash     TEXT    NOT NULL,
    role              TEXT    NOT NULL CHECK (role IN ('viewer', 'creator', 'moderator', 'admin')),
    state             TEXT    NOT NULL CHECK (state IN ('active', 'pending', 'disabled')),
    bio               TEXT    NOT NULL DEFAULT '',
    avatar            TEXT,
    totp_secret       BLOB,
    totp_step         BIGINT  NOT NULL DEFAULT 0,
    version           BIGINT  NOT NULL DEFAULT 1,
    created_at        BIGINT  NOT NULL,
    last_login_at     BIGINT
);
CREATE INDEX users_by_state ON users (state, id);

CREATE TABLE recovery_codes (
    user_id   TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE sessions (
    id           TEXT    NOT NULL PRIMARY KEY,
    user_id      TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash   BLOB    NOT NULL UNIQUE,
    remember     BOOLEAN NOT NULL,
    user_agent   TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    last_used_at BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE api_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    token_hash   BLOB   NOT NULL UNIQUE,
    scopes       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at   BIGINT
);
CREATE INDEX api_tokens_by_user ON api_tokens (user_id, id);

-- Links that work once: setup, invitation, password reset, confirmation of an address.
CREATE TABLE links (
    id         TEXT   NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL CHECK (kind IN ('setup', 'invitation', 'password-reset', 'email')),
    token_hash BLOB   NOT NULL UNIQUE,
    user_id    TEXT   REFERENCES users (id) ON DELETE CASCADE,
    created_by TEXT   REFERENCES users (id) ON DELETE SET NULL,
    subject    TEXT   NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX links_by_user ON links (user_id);
CREATE INDEX links_by_creator ON links (created_by);
CREATE INDEX links_by_kind ON links (kind, id);

CREATE TABLE channels (
    id            TEXT    NOT NULL PRIMARY KEY,
    owner_id      TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    handle        TEXT    NOT NULL UNIQUE,
    title         TEXT    NOT NULL,
    description   TEXT    NOT NULL DEFAULT '',
    language      TEXT    NOT NULL DEFAULT '',
    category      TEXT    NOT NULL DEFAULT '',
    tags          TEXT    NOT NULL DEFAULT '[]',
    links         TEXT    NOT NULL DEFAULT '[]',
    avatar        TEXT,
    banner        TEXT,
    visibility    TEXT    NOT NULL DEFAULT 'public' CHECK (visibility IN ('public', 'unlisted', 'private', 'password')),
    password_hash TEXT,
    embed_hosts   TEXT,
    version       BIGINT  NOT NULL DEFAULT 1,
    created_at    BIGINT  NOT NULL
);
CREATE INDEX channels_by_owner ON channels (owner_id, id);
CREATE INDEX channels_by_category ON channels (category, id);
CREATE INDEX channels_by_visibility ON channels (visibility, id);

-- Who may watch a private channel beside its owner.
CREATE TABLE channel_viewers (
    channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (channel_id, user_id)
);
CREATE INDEX channel_viewers_by_user ON channel_viewers (user_id);

CREATE TABLE stream_keys (
    id           TEXT   NOT NULL PRIMARY KEY,
    channel_id   TEXT   NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    label        TEXT   NOT NULL,
    key_hash     BLOB   NOT NULL UNIQUE,
    sealed_key   BLOB   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX stream_keys_by_channel ON stream_keys (channel_id, id);

CREATE TABLE live_sessions (
    id             TEXT   NOT NULL PRIMARY KEY,
    channel_id     TEXT   NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    started_at     BIGINT NOT NULL,
    ended_at       BIGINT,
    end_reason     TEXT,
    peak_viewers   BIGINT NOT NULL DEFAULT 0,
    viewer_seconds BIGINT NOT NULL DEFAULT 0,
    received_bytes BIGINT NOT NULL DEFAULT 0,
    sent_bytes     BIGINT NOT NULL DEFAULT 0,
    video_codec    TEXT   NOT NULL DEFAULT '',
    audio_codec    TEXT   NOT NULL DEFAULT '',
    width          BIGINT NOT NULL DEFAULT 0,
    height         BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX live_sessions_by_channel ON live_sessions (channel_id, id);
CREATE INDEX live_sessions_open ON live_sessions (ended_at);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE audit_log (
    id      TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    address TEXT   NOT NULL,
    details TEXT   NOT NULL
);
