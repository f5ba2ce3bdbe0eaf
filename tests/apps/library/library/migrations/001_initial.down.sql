DROP TABLE ratings;
DROP TABLE loans;
DROP TABLE members;
DROP TABLE book_authors;
DROP TABLE books;
DROP TABLE authors;
DROP TABLE branches;
