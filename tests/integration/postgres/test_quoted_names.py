"""In hints and search paths, names that need quotes are written so that PostgreSQL can read them."""

from collections.abc import Iterator

import psycopg
import pytest

from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.introspection import read_catalog
from pgmcp.errors import StatementFailedError
from pgmcp.lookup.statement_hints import hint_for_failure
from pgmcp.quoting import quote_identifier
from testing.own_statements import OwnSession, own_session

pytestmark = pytest.mark.anyio

ODD_NAMES = ["Mixed", "with space", "a,b", 'a"b', "a.b", "it's", "ünï", "1st", "a$b", "$a", "_x", "a\tb", "Ω"]

OBJECTS = """
create schema "Sales, 2026";
create table "Sales, 2026"."Order, Items" (id int, "Unit ""Net"" Price" numeric, "select" text);
create table "Sales, 2026"."order" (id int);
alter database of_the_module set search_path = "Sales, 2026", "$user", public;
"""


@pytest.fixture(scope="module")
def sales_url(module_database: str) -> Iterator[str]:
    with psycopg.connect(module_database, autocommit=True) as admin:
        admin.execute(OBJECTS.encode())
        yield module_database


def test_every_name_is_quoted_as_postgresql_needs_it(sales_url: str) -> None:
    with psycopg.connect(sales_url, autocommit=True) as admin:
        keywords = [word for (word,) in admin.execute("select word from pg_get_keywords()")]
        for name in [*keywords, *ODD_NAMES]:
            spelled = quote_identifier(name)
            admin.execute(f"create temporary table {spelled} ({spelled} int)".encode())
            query = (
                f"select {spelled}, {spelled}.{spelled} from {spelled} where {spelled} = 1 order by {spelled}"
            )
            columns = admin.execute(query.encode()).description
            admin.execute(f"drop table {spelled}".encode())

            assert columns is not None
            assert [column.name for column in columns] == [name, name]


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("select * from order_items", 'tables near order_items: "Order, Items", "order"'),
        ('select * from "Orders, Items"', '"Order, Items"'),
        ('select unit_net_price from "Order, Items"', 'near: "Order, Items"."Unit ""Net"" Price"'),
        (
            'select selected from "Order, Items"',
            'columns of "Order, Items": id, "Unit ""Net"" Price", "select"',
        ),
    ],
)
async def test_names_in_hints_can_be_copied(sales_url: str, statement: str, hint: str) -> None:
    with own_session(sales_url) as session:
        catalog = await read_catalog(session.fetch)

        assert hint in hint_of(statement, session, catalog)


def hint_of(statement: str, session: OwnSession, catalog: Catalog) -> str:
    with pytest.raises(StatementFailedError) as failed:
        session.run(statement)
    return hint_for_failure(failed.value, statement, catalog)


async def test_a_schema_with_a_comma_on_the_search_path_is_one_schema(sales_url: str) -> None:
    with own_session(sales_url) as session:
        catalog = await read_catalog(session.fetch)

        table = catalog.find('"Order, Items"')
        assert table is not None
        assert catalog.display_name(table) == '"Order, Items"'
        assert catalog.search_path == ("Sales, 2026", "public")
        assert session.run('select count(*) from "Order, Items"').rows == [[0]]
