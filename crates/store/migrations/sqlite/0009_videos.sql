-- Videos, the files of each, uploads on their way, and what viewers do with them. Times are milliseconds since 1970, UTC.

CREATE TABLE videos (
    id             TEXT    NOT NULL PRIMARY KEY,
    short_id       TEXT    NOT NULL UNIQUE,
    channel_id     TEXT    NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    title          TEXT    NOT NULL,
    description    TEXT    NOT NULL DEFAULT '',
    language       TEXT    NOT NULL DEFAULT '',
    category       TEXT    NOT NULL DEFAULT '',
    tags           TEXT    NOT NULL DEFAULT '[]',
    search_text    TEXT    NOT NULL DEFAULT '',
    visibility     TEXT    NOT NULL CHECK (visibility IN ('public', 'unlisted', 'private', 'password')),
    password_hash  TEXT,
    publish_at     BIGINT,
    published_at   BIGINT,
    state          TEXT    NOT NULL CHECK (state IN ('uploading', 'received', 'processing', 'ready', 'failed')),
    failure        TEXT    NOT NULL DEFAULT '',
    review         TEXT    NOT NULL DEFAULT 'none' CHECK (review IN ('none', 'pending', 'approved', 'rejected', 'changes')),
    review_reason  TEXT    NOT NULL DEFAULT '',
    trashed_at     BIGINT,
    trashed_by     TEXT    REFERENCES users (id) ON DELETE SET NULL,
    purge_at       BIGINT,
    file_name      TEXT    NOT NULL DEFAULT '',
    duration       BIGINT  NOT NULL DEFAULT 0,
    width          BIGINT  NOT NULL DEFAULT 0,
    height         BIGINT  NOT NULL DEFAULT 0,
    frame_rate     BIGINT  NOT NULL DEFAULT 0,
    bit_rate       BIGINT  NOT NULL DEFAULT 0,
    video_codec    TEXT    NOT NULL DEFAULT '',
    audio_codec    TEXT    NOT NULL DEFAULT '',
    downloadable   BOOLEAN NOT NULL DEFAULT FALSE,
    comments_open  BOOLEAN NOT NULL DEFAULT TRUE,
    views          BIGINT  NOT NULL DEFAULT 0,
    likes          BIGINT  NOT NULL DEFAULT 0,
    comments       BIGINT  NOT NULL DEFAULT 0,
    play_epoch     BIGINT  NOT NULL DEFAULT 0,
    version        BIGINT  NOT NULL DEFAULT 1,
    created_at     BIGINT  NOT NULL,
    -- Whether others than its owner may know of it by lists.
    listed         BOOLEAN NOT NULL GENERATED ALWAYS AS (
        state = 'ready' AND visibility = 'public' AND review IN ('none', 'approved') AND trashed_at IS NULL
        AND publish_at IS NULL) STORED
);
CREATE INDEX videos_by_channel ON videos (channel_id, id);
CREATE INDEX videos_listed_by_channel ON videos (channel_id, published_at, id) WHERE listed;
CREATE INDEX videos_listed_by_time ON videos (published_at, id) WHERE listed;
CREATE INDEX videos_listed_by_views ON videos (views, id) WHERE listed;
CREATE INDEX videos_listed_by_category ON videos (category, published_at, id) WHERE listed;
CREATE INDEX videos_by_trasher ON videos (trashed_by) WHERE trashed_by IS NOT NULL;
CREATE INDEX videos_to_purge ON videos (purge_at) WHERE purge_at IS NOT NULL;
CREATE INDEX videos_to_publish ON videos (publish_at) WHERE publish_at IS NOT NULL;
CREATE INDEX videos_in_review ON videos (review, id) WHERE review = 'pending';

-- What is kept among the objects for a video.
CREATE TABLE files (
    id         TEXT    NOT NULL PRIMARY KEY,
    video_id   TEXT    NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    object_key TEXT    NOT NULL UNIQUE,
    size       BIGINT  NOT NULL,
    media_type TEXT    NOT NULL,
    width      BIGINT  NOT NULL DEFAULT 0,
    height     BIGINT  NOT NULL DEFAULT 0,
    details    TEXT    NOT NULL DEFAULT '',
    created_at BIGINT  NOT NULL,
    UNIQUE (video_id, kind, name)
);

-- Objects that nothing refers to any more, until they are deleted.
CREATE TABLE garbage (
    object_key TEXT   NOT NULL PRIMARY KEY,
    added_at   BIGINT NOT NULL
);
CREATE INDEX garbage_by_time ON garbage (added_at);

CREATE TABLE uploads (
    id         TEXT   NOT NULL PRIMARY KEY,
    video_id   TEXT   NOT NULL UNIQUE REFERENCES videos (id) ON DELETE CASCADE,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    length     BIGINT NOT NULL,
    metadata   TEXT   NOT NULL DEFAULT '',
    -- Where its file goes once it is whole.
    object_key TEXT,
    done_at    BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX uploads_by_user ON uploads (user_id, id);
CREATE INDEX uploads_by_expiry ON uploads (expires_at);

CREATE TABLE video_likes (
    video_id   TEXT   NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (video_id, user_id)
);
CREATE INDEX video_likes_by_user ON video_likes (user_id);

-- Who watched on which day, as hashes, until they are counted and the day is over.
CREATE TABLE video_views (
    video_id TEXT    NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    day      BIGINT  NOT NULL,
    viewer   BLOB    NOT NULL,
    counted  BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (video_id, day, viewer)
);
CREATE INDEX video_views_by_day ON video_views (day);
CREATE INDEX video_views_uncounted ON video_views (video_id) WHERE NOT counted;

CREATE TABLE reports (
    id          TEXT   NOT NULL PRIMARY KEY,
    video_id    TEXT   NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    reporter_id TEXT   REFERENCES users (id) ON DELETE CASCADE,
    reason      TEXT   NOT NULL,
    words       TEXT   NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL,
    closed_at   BIGINT,
    UNIQUE (video_id, reporter_id)
);
CREATE INDEX reports_by_reporter ON reports (reporter_id);
CREATE INDEX reports_open ON reports (id) WHERE closed_at IS NULL;
