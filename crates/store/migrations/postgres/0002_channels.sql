-- Leave to watch that can be taken back, and search over channels.

-- Rises when somebody loses leave to watch: what was handed out before no longer holds.
ALTER TABLE channels ADD COLUMN play_epoch BIGINT NOT NULL DEFAULT 0;
-- Lower-case words to be searched. What is there before is searched by its names until it is changed.
ALTER TABLE channels ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
UPDATE channels SET search_text = lower(handle || ' ' || title);
