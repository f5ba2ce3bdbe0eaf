DROP TABLE activities;
DROP TABLE project_members;
DROP TABLE projects;
DROP TABLE preferences;
DROP TABLE users;
DROP TABLE teams;
