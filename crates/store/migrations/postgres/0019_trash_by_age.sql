-- The trash of all, what was thrown away last first.
CREATE INDEX videos_by_trashed ON videos (trashed_at, id) WHERE trashed_at IS NOT NULL;
