CREATE TABLE suppliers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    price_cents INTEGER NOT NULL,
    weight_kg REAL NOT NULL,
    stock INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    supplier_id INTEGER NOT NULL REFERENCES suppliers (id)
);
CREATE TABLE accounts (
    token TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    staff INTEGER NOT NULL,
    utc_offset INTEGER NOT NULL,
    pin_hash TEXT NOT NULL
);
CREATE TABLE sales (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    product_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    discount_percent INTEGER NOT NULL,
    sold_at TEXT NOT NULL,
    key TEXT
);
CREATE TABLE audit (id INTEGER PRIMARY KEY, what TEXT NOT NULL);
