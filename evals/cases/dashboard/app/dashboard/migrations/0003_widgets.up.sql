-- Dashboards can be arranged by their owners.

CREATE TABLE widgets (
    id {{id}},
    user_id INTEGER NOT NULL REFERENCES users (id),
    project_id INTEGER REFERENCES projects (id),
    kind VARCHAR(20) NOT NULL,
    title VARCHAR(80) NOT NULL,
    position INTEGER NOT NULL,
    config JSON NOT NULL
);

CREATE INDEX ix_widgets_user ON widgets (user_id);
