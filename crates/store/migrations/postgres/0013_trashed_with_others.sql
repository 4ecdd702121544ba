-- Whether a video went into the trash with all others of its account: then it comes back with them, and not because others do.
ALTER TABLE videos ADD COLUMN trashed_with_others BOOLEAN NOT NULL DEFAULT FALSE;
