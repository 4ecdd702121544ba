-- The log by who did it, by what was done, and by when.
CREATE INDEX audit_log_by_actor ON audit_log (actor, id);
CREATE INDEX audit_log_by_action ON audit_log (action, id);
CREATE INDEX audit_log_by_time ON audit_log (at);
CREATE INDEX links_by_expiry ON links (expires_at);
