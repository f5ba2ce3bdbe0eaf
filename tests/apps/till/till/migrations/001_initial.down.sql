DROP TABLE audit;
DROP TABLE sales;
DROP TABLE accounts;
DROP TABLE products;
DROP TABLE suppliers;
