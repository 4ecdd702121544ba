-- A search reads the rows of many videos: they hold what it needs and no more, and lie in the order of publication.
ALTER TABLE video_terms ALTER COLUMN terms DROP EXPRESSION;
ALTER TABLE video_terms DROP COLUMN words;
CLUSTER video_terms USING video_terms_pkey;

-- Those of the most watched have an index of their own: none is read that does not match.
ALTER TABLE video_terms ADD COLUMN watched BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE video_terms SET watched = TRUE WHERE video_id IN (SELECT id FROM videos WHERE popular);
CREATE INDEX video_terms_watched ON video_terms USING GIN (terms) WITH (fastupdate = off) WHERE watched;

ANALYZE video_terms;
