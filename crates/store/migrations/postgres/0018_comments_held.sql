-- Those that wait to be approved on the whole site, the longest first.
CREATE INDEX comments_held_by_age ON comments (id) WHERE held;
