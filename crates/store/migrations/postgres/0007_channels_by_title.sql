-- Lists of public channels by title.

CREATE INDEX channels_by_title ON channels (lower(title), id) WHERE visibility = 'public';
