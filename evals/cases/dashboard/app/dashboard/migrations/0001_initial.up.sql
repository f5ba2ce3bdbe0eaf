-- Accounts, projects, activity.
-- {{id}} becomes the dialect's generated integer key.

CREATE TABLE teams (
    id {{id}},
    name VARCHAR(80) NOT NULL,
    plan VARCHAR(20) NOT NULL,
    currency VARCHAR(3) NOT NULL,
    settings JSON NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE users (
    id {{id}},
    team_id INTEGER NOT NULL REFERENCES teams (id),
    name VARCHAR(80) NOT NULL,
    email VARCHAR(120) NOT NULL UNIQUE,
    role VARCHAR(20) NOT NULL,
    title VARCHAR(80) NOT NULL,
    joined_at TIMESTAMP NOT NULL
);

CREATE TABLE preferences (
    user_id INTEGER PRIMARY KEY REFERENCES users (id),
    "values" JSON NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE projects (
    id {{id}},
    team_id INTEGER NOT NULL REFERENCES teams (id),
    name VARCHAR(80) NOT NULL,
    slug VARCHAR(80) NOT NULL,
    client VARCHAR(80) NOT NULL,
    color VARCHAR(9) NOT NULL,
    status VARCHAR(20) NOT NULL,
    position INTEGER NOT NULL,
    budget_cents INTEGER NOT NULL
);

CREATE TABLE project_members (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    duty VARCHAR(20) NOT NULL,
    PRIMARY KEY (project_id, user_id)
);

CREATE TABLE activities (
    id {{id}},
    user_id INTEGER NOT NULL REFERENCES users (id),
    project_id INTEGER NOT NULL REFERENCES projects (id),
    kind VARCHAR(20) NOT NULL,
    title VARCHAR(200) NOT NULL,
    summary TEXT NOT NULL,
    tags JSON NOT NULL,
    minutes INTEGER NOT NULL DEFAULT 0,
    rate_cents INTEGER NOT NULL DEFAULT 0,
    discount INTEGER NOT NULL DEFAULT 0,
    points INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX ix_users_team ON users (team_id);
CREATE INDEX ix_projects_team ON projects (team_id);
CREATE INDEX ix_activities_project ON activities (project_id);
