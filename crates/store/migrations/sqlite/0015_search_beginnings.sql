-- Words are found by their beginnings: of up to six letters these are in the index, so that nothing is put together for those
-- that thousands begin with. Where in a text a term is nobody asks.
DROP TABLE video_search;
CREATE VIRTUAL TABLE video_search USING fts5 (
    title, words, content = 'video_terms', content_rowid = 'number', detail = 'none', prefix = '1 3 4 5 6',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
);
INSERT INTO video_search (video_search) VALUES ('rebuild');
