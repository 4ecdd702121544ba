-- Searches of many videos: rows are numbered by the time of publication, and what narrows a search is a term as words are.

-- Whether it is one of the most watched.
ALTER TABLE videos ADD COLUMN popular BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX videos_popular ON videos (id) WHERE popular;
CREATE INDEX videos_listed_by_channel_views ON videos (channel_id, views, id) WHERE listed;
CREATE INDEX videos_listed_by_category_views ON videos (category, views, id) WHERE listed;

-- As the video has it: results are put into order without reading videos.
ALTER TABLE video_terms ADD COLUMN views BIGINT NOT NULL DEFAULT 0;
-- What is counted changes no words.
DROP TRIGGER video_terms_changed;
CREATE TRIGGER video_terms_changed AFTER UPDATE OF number, title, words ON video_terms BEGIN
    INSERT INTO video_search (video_search, rowid, title, words)
    VALUES ('delete', old.number, old.title, old.words);
    INSERT INTO video_search (rowid, title, words) VALUES (new.number, new.title, new.words);
END;
UPDATE video_terms SET
    views = (SELECT views FROM videos WHERE videos.id = video_terms.video_id),
    number = (SELECT (published_at << 21) | (number % 2097152) FROM videos WHERE videos.id = video_terms.video_id),
    words = (
        SELECT video_terms.words || ' ' || char(57344) || ' ' || char(57346) || replace(channel_id, '-', '')
            || CASE WHEN category = '' THEN '' ELSE ' ' || char(57347) || replace(lower(category), '-', char(57350)) END
            || CASE WHEN language = '' THEN ''
               ELSE ' ' || char(57348) || replace(lower(language), '-', char(57350))
                    || ' ' || char(57348) || substr(lower(videos.language), 1, instr(videos.language || '-', '-') - 1) END
            || ' ' || char(57349) || CASE WHEN duration < 240000 THEN 'short' WHEN duration < 1200000 THEN 'medium' ELSE 'long' END
        FROM videos WHERE videos.id = video_terms.video_id);
