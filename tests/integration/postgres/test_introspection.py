import asyncio
import re
from collections.abc import Callable

import psycopg
import pytest

from pgmcp.catalog.catalog import Catalog, Column, ForeignKey, Table, TableKind
from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.rendering import prompt_line, render_table
from pgmcp.catalog.scope import CatalogScope
from pgmcp.errors import ResultTooLargeError
from pgmcp.execution.result import Column as ResultColumn
from pgmcp.execution.result import Rows, Truncation
from pgmcp.quoting import RESERVED_WORDS
from testing.own_statements import resolve_as_own

NewDatabase = Callable[[], str]

SCHEMA = """
CREATE TYPE order_status AS ENUM ('pending', 'paid', 'Über');
CREATE DOMAIN money_amount AS numeric(12, 2) CHECK (VALUE >= 0);
CREATE DOMAIN price AS money_amount;
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    "Full Name" text DEFAULT 'nobody',
    dropped_one int,
    tags text[]
);
ALTER TABLE customers DROP COLUMN dropped_one;
CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers (id),
    status order_status NOT NULL DEFAULT 'pending',
    history order_status[],
    price price CHECK (price < 1000000),
    total numeric GENERATED ALWAYS AS (price * 2) STORED
);
CREATE TABLE order_lines (
    order_id bigint REFERENCES orders,
    line int,
    sku varchar(20),
    PRIMARY KEY (line, order_id),
    UNIQUE (order_id, sku)
);
CREATE TABLE shipments (id int PRIMARY KEY, line int, order_id bigint,
                        FOREIGN KEY (order_id, line) REFERENCES order_lines (order_id, line));
CREATE INDEX orders_customer ON orders (customer_id, lower(id::text)) INCLUDE (status) WHERE customer_id > 5;
COMMENT ON TABLE orders IS 'one row per checkout';
COMMENT ON COLUMN orders.status IS 'where it stands';
CREATE VIEW paid_orders AS SELECT id, price FROM orders WHERE status = 'paid';
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;
"""


EVERYTHING = CatalogScope()
WITHOUT_VALUES = CatalogScope(with_values=False)


def read(
    url: str, *, scope: CatalogScope = EVERYTHING, setup: str = "", old: Catalog | None = None
) -> Catalog:
    with psycopg.connect(url, autocommit=True) as connection:
        if setup:
            connection.execute(setup)
        resolve_as_own(connection)

        async def fetch(sql: str) -> Rows:
            # Wrapped and in a read-only transaction, as the executor runs it.
            with connection.transaction():
                connection.execute("SET TRANSACTION READ ONLY")
                cursor = connection.execute(f"SELECT * FROM (\n{sql}\n) AS q LIMIT 100000".encode())
                names = tuple(ResultColumn(column.name, "") for column in cursor.description or ())
                return Rows(columns=names, rows=[list(row) for row in cursor.fetchall()])

        return asyncio.run(read_catalog(fetch, scope=scope, old=old))


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def found(catalog: Catalog, name: str) -> Table:
    table = catalog.find(name)
    assert table is not None, name
    return table


def column(table: Table, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)


@pytest.fixture
def url(new_database: NewDatabase) -> str:
    url = new_database()
    execute(url, SCHEMA)
    return url


def test_every_kind_of_relation_is_read_with_its_columns_in_order(url: str) -> None:
    catalog = read(url)

    assert {table.name: table.kind for table in catalog.tables} == {
        "customers": TableKind.TABLE,
        "order_lines": TableKind.TABLE,
        "orders": TableKind.TABLE,
        "paid_orders": TableKind.VIEW,
        "shipments": TableKind.TABLE,
        "totals": TableKind.MATERIALIZED_VIEW,
    }
    assert [column.name for column in found(catalog, "customers").columns] == [
        "id",
        "email",
        "Full Name",
        "tags",
    ]
    assert catalog.search_path == ("public",)
    assert catalog.server_version.split(".")[0].isdigit()
    assert catalog.time_zone == "UTC"


def test_columns_carry_type_nullability_default_and_comment(url: str) -> None:
    catalog = read(url)
    customers, orders = found(catalog, "customers"), found(catalog, "orders")

    assert column(customers, "id") == Column(
        "id", "bigint", nullable=False, default="generated always as identity"
    )
    assert column(customers, "Full Name").default == "'nobody'::text"
    assert column(orders, "status").comment == "where it stands"
    assert orders.comment == "one row per checkout"
    assert column(orders, "total").default == "generated always as (((price)::numeric * (2)::numeric))"


def test_enum_columns_and_arrays_of_them_carry_the_labels_in_order(url: str) -> None:
    orders = found(read(url), "orders")

    assert column(orders, "status").enum_labels == ("pending", "paid", "Über")
    assert column(orders, "history").enum_labels == ("pending", "paid", "Über")


def test_a_domain_is_shown_with_its_underlying_type(url: str) -> None:
    assert column(found(read(url), "orders"), "price").type == "price (numeric(12,2))"


def test_keys_and_checks_are_read_in_key_order(url: str) -> None:
    catalog = read(url)
    lines = found(catalog, "order_lines")

    assert lines.primary_key == ("line", "order_id")
    assert lines.unique_constraints == (("order_id", "sku"),)
    assert lines.foreign_keys == (ForeignKey(("order_id",), "public", "orders", ("id",)),)
    assert found(catalog, "shipments").foreign_keys == (
        ForeignKey(("order_id", "line"), "public", "order_lines", ("order_id", "line")),
    )
    assert found(catalog, "orders").check_constraints == ("CHECK (((price)::numeric < (1000000)::numeric))",)


def test_an_index_has_its_key_columns_and_those_of_constraints_are_left_out(url: str) -> None:
    catalog = read(url)

    (index,) = found(catalog, "orders").indexes
    assert index.name == "orders_customer"
    assert index.columns == ("customer_id",)
    assert not index.is_unique
    assert "lower" in index.definition
    assert found(catalog, "customers").indexes == ()


def test_partitions_are_folded_into_their_parent_and_their_rows_counted_there(
    new_database: NewDatabase,
) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE events (id int, at date NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
        CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
            PARTITION BY RANGE (at);
        CREATE TABLE events_2024_a PARTITION OF events_2024 FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
        CREATE TABLE by_hand (id int);
        CREATE TABLE by_hand_1 () INHERITS (by_hand);
        CREATE TABLE specialised (extra int) INHERITS (by_hand);
        INSERT INTO events SELECT n, '2023-05-05' FROM generate_series(1, 30) AS n;
        INSERT INTO events SELECT n, '2024-05-05' FROM generate_series(1, 12) AS n;
        ANALYZE events_2023, events_2024_a;
        """,
    )

    catalog = read(url)

    assert {table.name: table.kind for table in catalog.tables} == {
        "events": TableKind.PARTITIONED_TABLE,
        "by_hand": TableKind.TABLE,
        "specialised": TableKind.TABLE,
    }
    assert found(catalog, "events").estimated_rows == 42


def test_an_inheriting_table_is_left_out_only_if_its_parent_has_all_its_columns(
    new_database: NewDatabase,
) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE logs (id int, at date);
        CREATE TABLE logs_2023 (LIKE logs) INHERITS (logs);
        CREATE TABLE logs_2024 (LIKE logs);
        ALTER TABLE logs_2024 INHERIT logs;
        CREATE TABLE size (width int);
        CREATE TABLE colour (name text);
        CREATE TABLE size_and_colour () INHERITS (size, colour);
        """,
    )

    catalog = read(url)

    assert [table.name for table in catalog.tables] == ["colour", "logs", "size", "size_and_colour"]
    assert prompt_line(found(catalog, "size_and_colour"), catalog) == (
        "size_and_colour(width int, name text) -- inherits from size, colour, which show its rows too"
    )


def test_a_part_of_a_table_is_listed_if_the_role_may_not_read_the_whole(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE sales (region text, year int) PARTITION BY LIST (region);
        CREATE TABLE sales_eu PARTITION OF sales FOR VALUES IN ('eu') PARTITION BY LIST (year);
        CREATE TABLE sales_eu_2025 PARTITION OF sales_eu FOR VALUES IN (2025);
        CREATE TABLE sales_us PARTITION OF sales FOR VALUES IN ('us');
        CREATE TABLE logs (id int);
        CREATE TABLE logs_2025 () INHERITS (logs);
        INSERT INTO sales SELECT 'eu', 2025 FROM generate_series(1, 40);
        ANALYZE;
        DROP ROLE IF EXISTS reader_of_parts;
        CREATE ROLE reader_of_parts;
        GRANT SELECT ON sales_eu, sales_eu_2025, logs_2025 TO reader_of_parts;
        """,
    )
    try:
        catalog = read(url, setup="SET ROLE reader_of_parts")
    finally:
        execute(url, "DROP OWNED BY reader_of_parts; DROP ROLE reader_of_parts")

    assert {table.name: table.estimated_rows for table in catalog.tables} == {
        "logs_2025": None,
        "sales_eu": 40,
    }


def test_partitions_that_were_never_analysed_count_for_the_size_of_their_parent(
    new_database: NewDatabase,
) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE logs (day int) PARTITION BY LIST (day);
        CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1) WITH (autovacuum_enabled = off);
        CREATE TABLE logs_2 PARTITION OF logs FOR VALUES IN (2) WITH (autovacuum_enabled = off);
        CREATE TABLE units (id int) WITH (autovacuum_enabled = off);
        CREATE TABLE heavy () INHERITS (units) WITH (autovacuum_enabled = off);
        """,
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO logs SELECT 1 FROM generate_series(1, 300)")
        connection.execute("INSERT INTO logs SELECT 2 FROM generate_series(1, 500)")
        connection.execute("INSERT INTO units SELECT generate_series(1, 40)")
        connection.execute("INSERT INTO heavy SELECT generate_series(1, 7)")
        connection.execute("SELECT pg_stat_force_next_flush()")
        before = found(read(url), "logs").estimated_rows
        connection.execute("ANALYZE logs_1")
        connection.execute("ANALYZE heavy")
        logs = connection.execute("SELECT count(*) FROM logs").fetchone()
        units = connection.execute("SELECT count(*) FROM units").fetchone()
    catalog = read(url)

    assert before is None
    assert (found(catalog, "logs").estimated_rows,) == logs == (800,)
    assert (found(catalog, "units").estimated_rows,) == units == (47,)


def test_rows_of_subpartitions_and_of_inheriting_tables_are_counted_once(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE sales (id int, year int, month int) PARTITION BY LIST (year);
        CREATE TABLE sales_2024 PARTITION OF sales FOR VALUES IN (2024) PARTITION BY LIST (month);
        CREATE TABLE sales_2024_1 PARTITION OF sales_2024 FOR VALUES IN (1);
        CREATE TABLE sales_2024_2 PARTITION OF sales_2024 FOR VALUES IN (2);
        CREATE TABLE sales_2025 PARTITION OF sales FOR VALUES IN (2025);
        INSERT INTO sales SELECT n, 2024 + n % 2, 1 + n / 2 % 2 FROM generate_series(1, 500) AS n;
        CREATE TABLE measures (id int);
        CREATE TABLE left_half () INHERITS (measures);
        CREATE TABLE right_half () INHERITS (measures);
        CREATE TABLE both_halves () INHERITS (left_half, right_half);
        INSERT INTO measures VALUES (1);
        INSERT INTO left_half VALUES (2), (3);
        INSERT INTO both_halves SELECT generate_series(4, 20);
        ANALYZE;
        """,
    )

    catalog = read(url)

    with psycopg.connect(url) as connection:
        sales = connection.execute("SELECT count(*) FROM sales").fetchone()
        measures = connection.execute("SELECT count(*) FROM measures").fetchone()
    assert (found(catalog, "sales").estimated_rows,) == sales == (500,)
    assert (found(catalog, "measures").estimated_rows,) == measures == (20,)


def test_own_objects_in_an_extensions_schema_are_left_out_with_it(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE EXTENSION vector;
        CREATE SCHEMA internals;
        ALTER EXTENSION vector ADD SCHEMA internals;
        CREATE TABLE readings (at date, value int);
        CREATE TABLE internals.chunk_1 () INHERITS (readings);
        CREATE TABLE internals.materialized (at date, value numeric);
        CREATE TABLE internals.chunk_of_materialized () INHERITS (internals.materialized);
        CREATE VIEW internals.partial_view AS SELECT at, avg(value) AS value FROM readings GROUP BY 1;
        CREATE VIEW daily AS SELECT * FROM internals.materialized;
        INSERT INTO internals.chunk_1 SELECT '2026-01-01', n FROM generate_series(1, 70) AS n;
        ANALYZE;
        """,
    )

    catalog = read(url)

    # As in TimescaleDB: chunks of a hypertable, and the relations behind a continuous aggregate.
    assert [table.name for table in catalog.tables] == ["daily", "readings"]
    assert found(catalog, "readings").estimated_rows == 70


def test_a_virtual_generated_column_differs_from_a_stored_one(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE prices (
            net int,
            double_stored int GENERATED ALWAYS AS (net * 2) STORED,
            double_virtual int GENERATED ALWAYS AS (net * 2) VIRTUAL);
        """,
    )

    prices = found(read(url), "prices")

    assert column(prices, "double_stored").default == "generated always as ((net * 2))"
    assert column(prices, "double_virtual").default == "generated always as ((net * 2)) virtual"


def test_keys_over_periods_are_shown_as_they_are_defined(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE EXTENSION btree_gist;
        CREATE TABLE room_price (room int, during daterange, PRIMARY KEY (room, during WITHOUT OVERLAPS));
        CREATE TABLE booking (
            id int PRIMARY KEY, room int, stay daterange,
            FOREIGN KEY (room, PERIOD stay) REFERENCES room_price (room, PERIOD during));
        INSERT INTO room_price VALUES (1, '[2026-01-01,2026-02-01)'), (1, '[2026-02-01,2026-03-01)');
        INSERT INTO booking VALUES (1, 1, '[2026-01-30,2026-02-02)');
        """,
    )

    catalog = read(url)
    booking, room_price = found(catalog, "booking"), found(catalog, "room_price")

    assert booking.foreign_keys[0].is_period
    assert "primary key (room, during WITHOUT OVERLAPS)" in render_table(room_price, catalog)
    assert "foreign key (room, PERIOD stay) -> room_price(room, PERIOD during)" in render_table(
        booking, catalog
    )
    assert "pk(room, during WITHOUT OVERLAPS)" in prompt_line(room_price, catalog)
    assert (
        "(room, PERIOD stay) -> room_price(room, PERIOD during) /* join where stay && during, not = */"
        in prompt_line(booking, catalog)
    )
    with psycopg.connect(url) as connection:
        join = "SELECT count(*) FROM booking AS b JOIN room_price AS p ON b.room = p.room AND b.stay"
        overlapping = connection.execute(f"{join} && p.during".encode()).fetchone()
        equal = connection.execute(f"{join} = p.during".encode()).fetchone()
    assert (overlapping, equal) == ((2,), (0,))


def test_constraints_that_are_not_enforced_or_valid_say_so_and_give_no_values(
    new_database: NewDatabase,
) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE EXTENSION btree_gist;
        CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE child (
            a int REFERENCES parent NOT ENFORCED,
            b int,
            state text CHECK (state IN ('open', 'done')) NOT ENFORCED,
            kind text,
            day date,
            code text,
            span int4range,
            UNIQUE NULLS NOT DISTINCT (code),
            EXCLUDE USING gist (span WITH &&));
        ALTER TABLE child ADD FOREIGN KEY (b) REFERENCES parent NOT VALID;
        ALTER TABLE child ADD CHECK (kind IN ('x', 'y')) NOT VALID;
        ALTER TABLE child ADD CONSTRAINT day_is_there NOT NULL day NOT VALID;
        """,
    )

    catalog = read(url)
    child = found(catalog, "child")
    text = render_table(child, catalog)

    assert {key.columns: key.caveat for key in child.foreign_keys} == {
        ("a",): "not enforced",
        ("b",): "not valid",
    }
    assert column(child, "state").values == column(child, "kind").values == ()
    assert column(child, "day").nullable
    assert "foreign key (a) -> parent.id (not enforced)" in text
    assert "b -> parent (not valid)" in prompt_line(child, catalog)
    assert "NOT NULL day NOT VALID" in text
    assert "NOT ENFORCED" in text
    assert "unique nulls not distinct (code)" in text
    assert "EXCLUDE USING gist (span WITH &&)" in text
    assert child.indexes == ()


def test_a_partitioned_tables_key_is_none_until_all_partitions_have_its_index(
    new_database: NewDatabase,
) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE visits (id int NOT NULL, code int) PARTITION BY LIST (id);
        CREATE TABLE visits_1 PARTITION OF visits FOR VALUES IN (1);
        ALTER TABLE ONLY visits ADD PRIMARY KEY (id);
        ALTER TABLE ONLY visits ADD UNIQUE (id, code);
        INSERT INTO visits VALUES (1, 1), (1, 1);
        """,
    )
    before = found(read(url), "visits")

    execute(
        url,
        """
        DELETE FROM visits;
        ALTER TABLE visits_1 ADD PRIMARY KEY (id);
        ALTER INDEX visits_pkey ATTACH PARTITION visits_1_pkey;
        """,
    )
    after = found(read(url), "visits")

    assert (before.primary_key, before.unique_constraints) == ((), ())
    assert (after.primary_key, after.unique_constraints) == (("id",), ())


def test_the_checks_of_a_foreign_table_give_no_complete_list(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE EXTENSION file_fdw;
        CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
        CREATE FOREIGN TABLE states (state text CHECK (state IN ('open', 'done')))
            SERVER files OPTIONS (program 'echo lost');
        """,
    )
    with psycopg.connect(url) as connection:
        held = connection.execute("SELECT state FROM states").fetchall()

    catalog = read(url)

    assert held == [("lost",)]
    assert prompt_line(found(catalog, "states"), catalog) == "foreign table states(state {open|done|…})"


def test_rows_are_estimated_only_once_a_table_was_analysed(url: str) -> None:
    assert found(read(url), "customers").estimated_rows is None

    execute(url, "INSERT INTO customers (email) VALUES ('a'), ('b'); ANALYZE customers")

    catalog = read(url)
    assert found(catalog, "customers").estimated_rows == 2
    assert found(catalog, "paid_orders").estimated_rows is None


def test_only_what_the_role_may_read_is_in_the_catalog(url: str) -> None:
    execute(
        url,
        """
        CREATE SCHEMA closed;
        CREATE TABLE closed.granted_but_out_of_reach (id int);
        DROP ROLE IF EXISTS narrow_reader;
        CREATE ROLE narrow_reader;
        GRANT SELECT (id, status, customer_id) ON orders TO narrow_reader;
        GRANT SELECT ON order_lines, closed.granted_but_out_of_reach TO narrow_reader;
        """,
    )
    try:
        catalog = read(url, setup="SET ROLE narrow_reader")
    finally:
        execute(url, "DROP OWNED BY narrow_reader; DROP ROLE narrow_reader")

    assert [table.name for table in catalog.tables] == ["order_lines", "orders"]
    orders = found(catalog, "orders")
    assert [column.name for column in orders.columns] == ["id", "customer_id", "status"]
    assert orders.foreign_keys == ()  # they refer to tables that the role cannot read
    assert orders.check_constraints == ()  # they are on columns that the role cannot read
    assert found(catalog, "order_lines").foreign_keys == (
        ForeignKey(("order_id",), "public", "orders", ("id",)),
    )


def test_tables_of_extensions_temporary_and_system_tables_are_left_out(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE mine (id int);
        CREATE TABLE theirs (id int);
        CREATE EXTENSION vector;
        ALTER EXTENSION vector ADD TABLE theirs;
        """,
    )

    assert [table.name for table in read(url, setup="CREATE TEMP TABLE scratch (id int)").tables] == ["mine"]


def test_a_search_path_cannot_replace_functions_and_tables_of_postgresql(url: str) -> None:
    execute(
        url,
        """
        CREATE SCHEMA trap;
        CREATE TABLE trap.pg_class (oid oid, relname name);
        CREATE FUNCTION trap.has_table_privilege(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
        CREATE DOMAIN trap.text AS int;
        """,
    )

    catalog = read(url, setup="SET search_path = trap, public, pg_catalog")

    assert {table.name for table in catalog.tables} >= {"customers", "orders"}
    assert catalog.search_path == ("trap", "public")


def test_the_values_of_columns_with_few_of_them_are_listed_but_not_of_sensitive_ones(
    new_database: NewDatabase,
) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE people (race text, email text, note text, pair text, level int, state varchar(2));
        INSERT INTO people SELECT (ARRAY['Human', 'Elf, "wood"', E'Or\\\\c'])[1 + n % 3], 'e' || n % 3,
                                  'note ' || n, CASE WHEN n < 3 THEN 'once ' || n ELSE 'often' END, n % 3,
                                  CASE WHEN n % 2 = 0 THEN 'CA' END
                           FROM generate_series(1, 300) AS n;
        ANALYZE people;
        """,
    )

    values = {column.name: set(column.values) for column in found(read(url), "people").columns}

    assert values["race"] == {"Human", 'Elf, "wood"', "Or\\c"}
    assert values["state"] == {"CA"}
    assert values["email"] == values["note"] == values["level"] == set()
    assert values["pair"] in (set(), {"often", "once 1", "once 2"})  # all values or none


def test_the_values_of_small_lookup_tables_are_listed_although_each_occurs_once(
    new_database: NewDatabase,
) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE colours (id int PRIMARY KEY, label text, flag text, grade int, size int, code int);
        COMMENT ON COLUMN colours.grade IS '1 is best';
        COMMENT ON COLUMN colours.code IS 'of the catalogue';
        INSERT INTO colours
        SELECT n, 'colour ' || n, CASE WHEN n % 2 = 0 THEN 'Y' ELSE 'N' END, n % 3, n % 3, n
        FROM generate_series(1, 100) AS n;
        CREATE TABLE hundred_and_two AS SELECT 'colour ' || n AS label FROM generate_series(1, 102) AS n;
        -- Of 60 values outside the common ones the histogram skips some and repeats others.
        CREATE TABLE repeated AS SELECT 'colour ' || n % 160 AS label FROM generate_series(1, 5000) AS n;
        """,
    )
    execute(url, "ANALYZE")

    colours, many, repeated = (found(read(url), name) for name in ("colours", "hundred_and_two", "repeated"))

    assert set(column(colours, "label").values) == {f"colour {n}" for n in range(1, 101)}
    assert set(column(colours, "flag").values) == {"Y", "N"}
    assert set(column(colours, "grade").values) == {"0", "1", "2"}
    assert column(colours, "size").value_range == ("0", "2")
    assert column(colours, "code").values == column(colours, "id").values == ()
    assert column(many, "label").values == column(repeated, "label").values == ()
    assert not column(colours, "label").may_hold_others


def test_a_table_that_was_loaded_and_analysed_at_once_has_whole_lists(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        "CREATE TABLE colours AS SELECT 'colour ' || n AS label FROM generate_series(1, 60) AS n;"
        "ANALYZE colours;",
    )

    label = column(found(read(url), "colours"), "label")

    assert len(label.values) == 60
    assert not label.may_hold_others


def test_a_list_of_values_is_incomplete_after_rows_have_changed(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE colours AS SELECT 'colour ' || n AS label, 'one' AS kind FROM generate_series(1, 8) AS n;
        """,
    )
    execute(url, "ANALYZE colours")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO colours VALUES ('another', 'two')")
        connection.execute("SELECT pg_stat_force_next_flush()")  # else counted a second later

    colours = found(read(url), "colours")

    # Autovacuum waits for 50 changes. After one change, a list of repeated values still counts as complete.
    assert {each.name: each.may_hold_others for each in colours.columns} == {"label": True, "kind": False}
    assert "colour 8|…}" in prompt_line(colours, read(url))


def test_the_values_that_a_check_allows_are_listed_without_statistics(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE tickets (
            state text CHECK (state IN ('open', 'it''s done')),
            "Kind" varchar(20) NOT NULL CHECK ("Kind" IN ('a (b), c', 'd]')),
            size char(1) CHECK (size = ANY (ARRAY['S', 'M'])),
            twice text CHECK (twice IN ('p', 'q')) CHECK (length(twice) = 1),
            one text CHECK (one IN ('only')),
            level int CHECK (level IN (1, 2)),
            either text CHECK (either IN ('x', 'y') OR length(either) > 5),
            path text CHECK (path IN (E'a\\\\b', 'c'))
        )
        """,
    )

    values = {
        column.name: column.values for column in found(read(url, scope=WITHOUT_VALUES), "tickets").columns
    }

    assert values == {
        "state": ("open", "it's done"),
        "Kind": ("a (b), c", "d]"),
        "size": ("S", "M"),
        "twice": ("p", "q"),
        "one": (),
        "level": (),
        "either": (),
        "path": ("a\\b", "c"),
    }


def test_the_catalog_has_no_values_if_they_are_switched_off(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        "CREATE TABLE people (race text); INSERT INTO people SELECT 'Human' FROM generate_series(1, 50);"
        "ANALYZE people",
    )

    assert column(found(read(url), "people"), "race").values == ("Human",)
    assert column(found(read(url, scope=WITHOUT_VALUES), "people"), "race").values == ()


def test_values_defined_by_the_schema_are_shown_when_values_are_off(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        "CREATE TYPE mood AS ENUM ('calm', 'cross');"
        "CREATE TABLE people (mood mood, state text CHECK (state IN ('in', 'out')))",
    )

    people = found(read(url, scope=WITHOUT_VALUES), "people")

    assert column(people, "mood").enum_labels == ("calm", "cross")
    assert column(people, "state").values == ("in", "out")


def test_a_catalog_that_is_read_in_many_pieces_is_complete(new_database: NewDatabase) -> None:
    url = new_database()
    count = 1_100
    with psycopg.connect(url, autocommit=True) as connection:
        for start in range(0, count, 100):
            connection.execute(
                ";".join(
                    f"CREATE TABLE t{n} (id int PRIMARY KEY, next int REFERENCES t{max(n - 1, 0)},"
                    f" state text CHECK (state IN ('a{n}', 'b')))"
                    for n in range(start, start + 100)
                ).encode()
            )
        connection.execute("ALTER TABLE t0 ADD FOREIGN KEY (next) REFERENCES t1099 (id)")

    catalog = read(url)

    assert len(catalog.tables) == count
    assert found(catalog, "t0").foreign_keys[-1].referenced_table == "t1099"
    assert column(found(catalog, "t1099"), "state").values == ("a1099", "b")


def test_a_catalog_read_again_shares_what_has_not_changed(url: str) -> None:
    old = read(url)
    same = read(url, old=old)
    execute(url, "COMMENT ON TABLE customers IS 'who buys'")
    new = read(url, old=old)

    assert same is old
    assert found(new, "customers").comment == "who buys"
    assert found(new, "orders") is found(old, "orders")
    assert column(found(new, "customers"), "email") is column(found(old, "customers"), "email")


def test_dates_and_numbers_carry_their_range_and_keys_do_not(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TABLE trips (id int PRIMARY KEY, started_at timestamptz, day date, km numeric(8, 1), seats int,
                            driver_id int, salary int, empty date, label text);
        INSERT INTO trips
        SELECT n, timestamptz '2024-01-01 12:00+00' + n * interval '1 day', date '2023-12-31' + n % 3,
               n / 2.0, n % 2, n, n, NULL, 'x' || n
        FROM generate_series(1, 200) AS n;
        ANALYZE trips;
        CREATE TABLE never_analysed (day date);
        """,
    )

    catalog = read(url)
    ranges = {each.name: each.value_range for each in found(catalog, "trips").columns if each.value_range}

    assert ranges == {
        "started_at": ("2024-01-02", "2024-07-19"),
        "day": ("2023-12-31", "2024-01-02"),
        "km": ("0.5", "100"),
        "seats": ("0", "1"),
    }
    assert column(found(catalog, "never_analysed"), "day").value_range is None
    assert all(each.value_range is None for each in found(read(url, scope=WITHOUT_VALUES), "trips").columns)


def test_no_values_labels_and_range_of_a_hidden_column_are_shown(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE TYPE severity AS ENUM ('mild', 'grave');
        CREATE TABLE patients
            (ward text, state text CHECK (state IN ('in', 'out')), admitted date, case_is severity);
        INSERT INTO patients SELECT 'A', 'in', date '2024-01-01', 'mild' FROM generate_series(1, 50);
        ANALYZE patients;
        """,
    )

    shown = found(read(url), "patients")
    hidden = found(read(url, scope=CatalogScope(hidden_values=("patients.*",))), "patients")

    assert [(each.values, each.enum_labels, each.value_range) for each in shown.columns] == [
        (("A",), (), None),
        (("in", "out"), (), None),
        ((), (), ("2024-01-01", "2024-01-01")),
        ((), ("mild", "grave"), None),
    ]
    assert [(each.values, each.enum_labels, each.value_range) for each in hidden.columns] == [
        ((), (), None)
    ] * 4
    assert len(shown.check_constraints) == 1
    assert hidden.check_constraints == ()


def test_schemas_are_left_out_with_the_foreign_keys_that_refer_to_them(new_database: NewDatabase) -> None:
    url = new_database()
    execute(
        url,
        """
        CREATE SCHEMA staging; CREATE SCHEMA sales;
        CREATE TABLE staging.raw (id int PRIMARY KEY);
        CREATE TABLE sales.orders (id int PRIMARY KEY, raw_id int REFERENCES staging.raw);
        CREATE TABLE here (id int) PARTITION BY LIST (id);
        CREATE SCHEMA parts;
        CREATE TABLE parts.here_1 PARTITION OF here FOR VALUES IN (1);
        """,
    )

    without = read(url, scope=CatalogScope(exclude_schemas=("stag*", "parts")))
    only = read(url, scope=CatalogScope(include_schemas=("public",)))

    assert [table.name for table in without.tables] == ["here", "orders"]
    assert found(without, "sales.orders").foreign_keys == ()
    assert without.left_out_schemas == ("parts", "staging")  # also a schema of partitions only
    assert [table.name for table in only.tables] == ["here"]


def test_an_empty_database_gives_an_empty_catalog(new_database: NewDatabase) -> None:
    assert read(new_database()).tables == ()


def test_a_read_that_was_cut_short_is_an_error_and_no_partial_catalog() -> None:
    async def fetch(sql: str) -> Rows:
        return Rows(columns=(), rows=[], truncated=Truncation.BYTES)

    with pytest.raises(ResultTooLargeError):
        asyncio.run(read_catalog(fetch))


def test_a_catalog_text_that_was_cut_is_shown_as_far_as_it_goes(url: str) -> None:
    max_characters = 400
    with psycopg.connect(url, autocommit=True) as connection:
        names = ", ".join(f"column_{n} int" for n in range(20))
        labels = ", ".join(f"'label {n}'" for n in range(100))
        connection.execute(f"CREATE TABLE wide ({names}); CREATE TYPE many AS ENUM ({labels})".encode())
        connection.execute("CREATE TABLE small (id int PRIMARY KEY, many many)")
        resolve_as_own(connection)

        async def fetch(sql: str) -> Rows:
            rows = [
                [cell[:max_characters] + "…" if is_long(cell) else cell for cell in row]
                for row in connection.execute(sql.encode()).fetchall()
            ]
            return Rows(columns=(), rows=rows, cut_cells=1)

        def is_long(cell: object) -> bool:
            return isinstance(cell, str) and len(cell) > max_characters

        catalog = asyncio.run(read_catalog(fetch))

    wide, small = found(catalog, "wide"), found(catalog, "small")
    assert 0 < len(wide.columns) < 20
    assert wide.columns[0].name == "column_0"
    assert "only a part of its catalog entries" in wide.comment
    assert small.primary_key == ("id",)
    assert small.comment == ""
    assert column(small, "many").enum_labels[:2] == ("label 0", "label 1")
    assert column(small, "many").may_hold_others
    assert re.search(r"many many \{label 0\|.*\|…\}", prompt_line(small, catalog))


def test_every_word_postgresql_reserves_is_quoted(new_database: NewDatabase) -> None:
    with psycopg.connect(new_database()) as connection:
        rows = connection.execute("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')").fetchall()

    assert {word for (word,) in rows} <= RESERVED_WORDS | {"binary"}


def test_a_role_that_can_only_read_sees_the_whole_demo_shop(shop_url: str) -> None:
    catalog = read(shop_url)

    orders = found(catalog, "orders")
    assert column(orders, "status").enum_labels
    assert orders.comment
    assert orders.foreign_keys
