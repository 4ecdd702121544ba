-- Who holds an object is asked for each picture that is sent, and for each object that is compared with what is known.
CREATE INDEX users_by_avatar ON users (avatar) WHERE avatar IS NOT NULL;
CREATE INDEX channels_by_avatar ON channels (avatar) WHERE avatar IS NOT NULL;
CREATE INDEX channels_by_banner ON channels (banner) WHERE banner IS NOT NULL;
CREATE INDEX uploads_by_object ON uploads (object_key) WHERE object_key IS NOT NULL;
