-- Comments on videos, and who likes them. Times are milliseconds since 1970, UTC.

CREATE TABLE comments (
    id         TEXT    NOT NULL PRIMARY KEY,
    video_id   TEXT    NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    -- Whose words go with an account is said in `forget_comments_of`; what others replied stays, so this never cascades.
    author_id  TEXT    REFERENCES users (id) ON DELETE SET NULL,
    -- The comment that this one replies to, which replies to none.
    parent_id  TEXT    REFERENCES comments (id) ON DELETE CASCADE,
    text       TEXT    NOT NULL,
    -- Waits for the video's owner or moderators; until then its author sees it, and they.
    held       BOOLEAN NOT NULL DEFAULT FALSE,
    pinned     BOOLEAN NOT NULL DEFAULT FALSE,
    likes      BIGINT  NOT NULL DEFAULT 0,
    -- Replies that everybody sees.
    replies    BIGINT  NOT NULL DEFAULT 0,
    created_at BIGINT  NOT NULL,
    edited_at  BIGINT,
    -- Only where replies are left below it: others are deleted as rows.
    deleted_at BIGINT
);
CREATE INDEX comments_by_video ON comments (video_id, id) WHERE parent_id IS NULL;
CREATE INDEX comments_by_likes ON comments (video_id, likes, id) WHERE parent_id IS NULL;
CREATE INDEX comments_by_parent ON comments (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX comments_by_author ON comments (author_id, id);
CREATE INDEX comments_held ON comments (video_id, id) WHERE held;
CREATE INDEX comments_deleted ON comments (id) WHERE deleted_at IS NOT NULL;
CREATE UNIQUE INDEX comments_pinned ON comments (video_id) WHERE pinned;

CREATE TABLE comment_likes (
    comment_id TEXT   NOT NULL REFERENCES comments (id) ON DELETE CASCADE,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (comment_id, user_id)
);
CREATE INDEX comment_likes_by_user ON comment_likes (user_id);
