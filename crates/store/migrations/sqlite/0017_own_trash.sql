-- Of a video that its owner had thrown away before all videos of the account were: how many milliseconds it had left in the
-- trash then. It is its owner's again, for so long, when that is undone.
ALTER TABLE videos ADD COLUMN own_trash_left BIGINT;
