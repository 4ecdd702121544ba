-- When the server that has a broadcast last said so: one that is open and was not heard of for long has ended.
ALTER TABLE live_sessions ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0;
