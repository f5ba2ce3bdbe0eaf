-- The inbox, and remarks on projects that feed it.

CREATE TABLE notifications (
    id {{id}},
    user_id INTEGER NOT NULL REFERENCES users (id),
    project_id INTEGER REFERENCES projects (id),
    kind VARCHAR(20) NOT NULL,
    body TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    read_at TIMESTAMP
);

CREATE TABLE comments (
    id {{id}},
    project_id INTEGER NOT NULL REFERENCES projects (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    body TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX ix_notifications_user ON notifications (user_id, read_at);
CREATE INDEX ix_comments_project ON comments (project_id);
