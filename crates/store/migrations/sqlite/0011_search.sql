-- What videos are found by, for those that lists show: terms with spaces between them, as `search` makes them.

CREATE TABLE video_terms (
    -- Rises with the time at which a video was first listed.
    number   INTEGER NOT NULL PRIMARY KEY,
    video_id TEXT    NOT NULL UNIQUE REFERENCES videos (id) ON DELETE CASCADE,
    title    TEXT    NOT NULL,
    words    TEXT    NOT NULL
);

-- Terms are whole already: the tokenizer divides them at spaces and leaves them as they are.
CREATE VIRTUAL TABLE video_search USING fts5 (
    title, words, content = 'video_terms', content_rowid = 'number', prefix = '2 3',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
);
CREATE TRIGGER video_terms_added AFTER INSERT ON video_terms BEGIN
    INSERT INTO video_search (rowid, title, words) VALUES (new.number, new.title, new.words);
END;
CREATE TRIGGER video_terms_removed AFTER DELETE ON video_terms BEGIN
    INSERT INTO video_search (video_search, rowid, title, words)
    VALUES ('delete', old.number, old.title, old.words);
END;
CREATE TRIGGER video_terms_changed AFTER UPDATE ON video_terms BEGIN
    INSERT INTO video_search (video_search, rowid, title, words)
    VALUES ('delete', old.number, old.title, old.words);
    INSERT INTO video_search (rowid, title, words) VALUES (new.number, new.title, new.words);
END;
