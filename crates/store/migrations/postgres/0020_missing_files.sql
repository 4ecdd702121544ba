-- Objects that rows of `files` name and that were not there, or cut off, when what is stored was last compared with that: some of
-- them, where there are many. A row outlives its file, and says nothing then.
CREATE TABLE missing_files (
    object_key TEXT NOT NULL PRIMARY KEY
);
