DROP TABLE comments;
DROP TABLE notifications;
