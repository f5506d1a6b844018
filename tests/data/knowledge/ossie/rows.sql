-- A few rows for the tables of the example model, written for these tests.
CREATE TABLE date_dim (d_date_sk int PRIMARY KEY, d_date date, d_year int, d_quarter_name text, d_month_name text);
CREATE TABLE customer (c_customer_sk int PRIMARY KEY, c_customer_id text, c_first_name text, c_last_name text,
                       c_email_address text);
CREATE TABLE item (i_item_sk int PRIMARY KEY, i_item_id text, i_item_desc text, i_brand text, i_category text,
                   i_current_price numeric);
CREATE TABLE store (s_store_sk int PRIMARY KEY, s_store_id text, s_store_name text, s_city text, s_state text,
                    s_number_employees int);
CREATE TABLE store_sales (ss_sold_date_sk int, ss_item_sk int, ss_customer_sk int, ss_store_sk int,
                          ss_ticket_number int, ss_quantity int, ss_sales_price numeric,
                          ss_ext_sales_price numeric, ss_net_profit numeric,
                          PRIMARY KEY (ss_item_sk, ss_ticket_number));
INSERT INTO date_dim VALUES (1, '2026-01-05', 2026, '2026Q1', 'January'), (2, '2026-04-02', 2026, '2026Q2', 'April');
INSERT INTO customer VALUES (1, 'C1', 'Ada', 'Ray', 'ada@example.com'), (2, 'C2', 'Bo', 'Lin', 'bo@example.com'),
                            (3, 'C3', 'Cy', 'Moe', 'cy@example.com');
INSERT INTO item VALUES (1, 'I1', 'Lamp', 'Lux', 'Home', 20), (2, 'I2', 'Desk', 'Oak', 'Home', 90);
INSERT INTO store VALUES (1, 'S1', 'North', 'Kiel', 'SH', 4), (2, 'S2', 'South', 'Ulm', 'BW', 6);
INSERT INTO store_sales VALUES
  (1, 1, 1, 1, 100, 2, 20, 40, 8), (1, 2, 1, 1, 100, 1, 90, 90, 30), (2, 1, 2, 2, 101, 1, 18, 18, 3),
  (2, 2, NULL, 2, 102, 1, 85, 85, 25);
