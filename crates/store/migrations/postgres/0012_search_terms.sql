-- Searches of many videos: rows are numbered by the time of publication, and what narrows a search is a term as words are.

-- Whether it is one of the most watched.
ALTER TABLE videos ADD COLUMN popular BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX videos_popular ON videos (id) WHERE popular;
CREATE INDEX videos_listed_by_channel_views ON videos (channel_id, views, id) WHERE listed;
CREATE INDEX videos_listed_by_category_views ON videos (category, views, id) WHERE listed;

ALTER TABLE video_terms ALTER COLUMN number DROP IDENTITY;
-- As the video has it: results are put into order without reading videos.
ALTER TABLE video_terms ADD COLUMN views BIGINT NOT NULL DEFAULT 0;
UPDATE video_terms SET
    views = (SELECT views FROM videos WHERE videos.id = video_terms.video_id),
    number = (SELECT (published_at << 21) | (number % 2097152) FROM videos WHERE videos.id = video_terms.video_id),
    words = (
        SELECT video_terms.words || ' ' || chr(57344) || ' ' || chr(57346) || replace(channel_id, '-', '')
            || CASE WHEN category = '' THEN '' ELSE ' ' || chr(57347) || replace(lower(category), '-', chr(57350)) END
            || CASE WHEN language = '' THEN ''
               ELSE ' ' || chr(57348) || replace(lower(language), '-', chr(57350))
                    || ' ' || chr(57348) || split_part(lower(videos.language), '-', 1) END
            || ' ' || chr(57349) || CASE WHEN duration < 240000 THEN 'short' WHEN duration < 1200000 THEN 'medium' ELSE 'long' END
        FROM videos WHERE videos.id = video_terms.video_id);
