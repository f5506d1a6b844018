-- The database of the worked example in docs/answers.md. Each load gives the same rows.
CREATE TYPE order_status AS ENUM ('pending', 'paid', 'shipped', 'refunded');

CREATE TABLE customers (
    id bigint PRIMARY KEY,
    full_name text NOT NULL,
    email text NOT NULL UNIQUE,
    country text NOT NULL,
    signed_up_on date NOT NULL
);
COMMENT ON TABLE customers IS 'people with an account';
COMMENT ON COLUMN customers.country IS 'where invoices go';

CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    status order_status NOT NULL,
    carrier text,
    total numeric(10, 2) NOT NULL,
    placed_at timestamptz NOT NULL
);
COMMENT ON TABLE orders IS 'one row per checkout';
COMMENT ON COLUMN orders.total IS 'in euro, VAT included';

INSERT INTO customers
SELECT n, 'Customer ' || n, 'customer' || n || '@example.org', 
       CASE WHEN n % 3 = 0 THEN 'France' ELSE 'Germany' END, date '2024-01-01' + n
FROM generate_series(1, 300) AS n;

INSERT INTO orders
SELECT n, n % 300 + 1, CASE WHEN n % 10 = 0 THEN 'refunded' ELSE 'paid' END::order_status,
       CASE WHEN n % 3 = 0 THEN 'Swift Post' WHEN n % 3 = 1 THEN 'DHL' END, n % 90 + 10,
       timestamptz '2026-01-01 12:00+00' + n * interval '234 minutes'
FROM generate_series(1, 2000) AS n;

ANALYZE;
