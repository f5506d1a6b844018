"""Apache Ossie in its three shapes, and Cube's static YAML."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.knowledge.cube import read_cubes
from pgmcp.knowledge.entries import Knowledge, items_of, synonyms_of
from pgmcp.knowledge.files import read_document
from pgmcp.knowledge.ossie import read_ossie
from pgmcp.knowledge.tables import Tables

CUBES = Path(__file__).parents[1] / "data/knowledge/cube/orders.yml"


def table(name: str, *columns: str, key: tuple[str, ...] = ()) -> Table:
    made = tuple(Column(each, "text", nullable=True) for each in columns)
    return Table("public", name, TableKind.TABLE, "", made, primary_key=key)


SALES = table("fct_sales", "id", "customer_id", "STATUS", "gross", "tax", key=("id",))
CUSTOMERS = table("dim_customers", "id", "name", "credit", key=("id",))
LOOSE = table("loose", "code", "label")
TABLES = Tables(Catalog((CUSTOMERS, SALES, LOOSE), ("public",), "18.1"))


def expression(text: str, dialect: str = "ANSI_SQL") -> dict[str, Any]:
    return {"dialects": [{"dialect": dialect, "expression": text}]}


def ossie(*metrics: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "datasets": [
            {
                "name": "sales",
                "source": "prod.public.fct_sales",
                "fields": [
                    {
                        "name": "net",
                        "expression": expression("gross - tax"),
                        "ai_context": "net amount, takings",
                    },
                    {"name": "status", "expression": expression('UPPER("STATUS")')},
                ],
            },
            {"name": "customers", "source": '"prod"."public"."dim_customers"', "unique_keys": [["name"]]},
            {"name": "lookup", "source": "loose"},
            {"name": "computed", "source": "SELECT 1 AS x"},
        ],
        "relationships": [
            {
                "name": "r",
                "from": "sales",
                "to": "customers",
                "from_columns": ["customer_id"],
                "to_columns": ["ID"],
            },
            {
                "name": "l",
                "from": "sales",
                "to": "lookup",
                "from_columns": ["status"],
                "to_columns": ["code"],
            },
            {
                "name": "k",
                "from": "customers",
                "to": "lookup",
                "from_columns": ["name"],
                "to_columns": ["code"],
            },
        ],
        "metrics": list(metrics),
        **parts,
    }


def metric(text: str, name: str = "m", **parts: Any) -> dict[str, Any]:
    return {"name": name, "expression": expression(text), **parts}


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("SUM(sales.gross)", "SELECT SUM(gross) FROM fct_sales"),
        ("sum(SALES.NET)", "SELECT sum((gross - tax)) FROM fct_sales"),
        ("COUNT(DISTINCT sales.status)", 'SELECT COUNT(DISTINCT (UPPER("STATUS"))) FROM fct_sales'),
        ("SUM(gross) + MIN(net)", "SELECT SUM(gross) + MIN((gross - tax)) FROM fct_sales"),
        (
            "SUM(sales.net) / NULLIF(COUNT(DISTINCT customers.id), 0)",
            "SELECT SUM((fct_sales.gross - fct_sales.tax)) / NULLIF(COUNT(DISTINCT dim_customers.id), 0) "
            "FROM fct_sales LEFT JOIN dim_customers ON fct_sales.customer_id = dim_customers.id",
        ),
    ],
)
def test_metrics_are_sql_with_fields_substituted_and_proven_joins(text: str, sql: str) -> None:
    knowledge = read_ossie(ossie(metric(text)), TABLES)

    assert knowledge.metrics["m"].sql == sql


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "SUM(customers.credit) / COUNT(sales.id)",
            "sum over customers would count its rows once for each row of sales",
        ),
        ("SUM(customers.credit) / MAX(lookup.label)", "no key proves that loose.code is unique"),
        ("sales.gross", "no aggregate"),
        ("SUM(computed.x)", "in no dataset that was read"),
        ("SUM(sales.nothing)", "has no column nothing"),
        ("SUM(sales.gross) OVER ()", "window function"),
        ("DATEADD(day 1)", "not a PostgreSQL expression"),
        ("COUNT(*)", "names no field"),
        ("COUNT(id)", "which is in sales and customers"),
    ],
)
def test_metrics_that_cannot_be_proven_are_described_in_words(text: str, reason: str) -> None:
    knowledge = read_ossie(ossie(metric(text, description="What it is")), TABLES)

    assert knowledge.metrics["m"].sql == ""
    assert knowledge.metrics["m"].description == "What it is"
    assert reason in knowledge.left_out[-1].why


def test_all_layouts_of_a_file_give_the_same_entries() -> None:
    model = ossie(metric("SUM(sales.gross)", ai_context={"synonyms": ["turnover"]}))
    shapes = [
        {"version": "0.1.1", "semantic_model": [model]},
        {"version": "0.2.0.dev0", "semantic_model": [model]},
        {"version": "0.2.0.dev0", **model},
    ]

    first, *others = (read_ossie(shape, TABLES).entries() for shape in shapes)

    assert all(entries == first for entries in others)
    assert [(entry.name, entry.also[0]) for entry in first if entry.section == "verified"] == [
        ("What is m?", "What is turnover?")
    ]


def test_the_most_suitable_dialect_is_used() -> None:
    several = {
        "dialects": [
            {"dialect": "MDX", "expression": "[x]"},
            {"dialect": "SNOWFLAKE", "expression": "sum(gross)"},
            {"dialect": "ANSI_SQL", "expression": "SUM(sales.gross)"},
        ]
    }
    only_mdx = {"dialects": [{"dialect": "MDX", "expression": "[Measures].[x]"}]}

    knowledge = read_ossie(
        ossie({"name": "a", "expression": several}, {"name": "b", "expression": only_mdx}), TABLES
    )

    assert knowledge.metrics["a"].sql == "SELECT SUM(gross) FROM fct_sales"
    assert knowledge.left_out[-1].why == "it has no expression in a dialect of SQL"


def test_joins_have_the_cardinality_that_the_catalog_proves() -> None:
    knowledge = read_ossie(ossie(), TABLES)

    assert {condition: remark for condition, (remark, _) in knowledge.joins.items()} == {
        "fct_sales.customer_id = dim_customers.id": "at most one row of dim_customers for each of fct_sales",
        "dim_customers.name = loose.code": "no key proves how many rows match: aggregate before joining",
    }
    assert knowledge.remarks == ["the file declares name as a key of dim_customers, but the catalog does not"]
    assert {each.what: each.why for each in knowledge.left_out} == {
        "dataset computed": "its source is a query, not a table",
        "relationship l": "its field status is not a column",
    }
    assert (
        knowledge.terms["net"] == "computed; also called net amount, takings; SQL: (gross - tax) of fct_sales"
    )


@pytest.mark.parametrize(
    ("given", "synonyms"),
    [
        ("orders, purchases, sales", ("orders", "purchases", "sales")),
        ("Use this for revenue. Never for refunds, please.", ()),
        ({"synonyms": ["a", 3, {"x": 1}, "a\u200b b"]}, ("a", "3", "a b")),
        (None, ()),
    ],
)
def test_synonyms_are_a_list_or_short_texts_between_commas(given: object, synonyms: tuple[str, ...]) -> None:
    assert synonyms_of(given) == synonyms


@pytest.fixture(scope="module")
def cubes() -> Knowledge:
    orders = table("shop_orders", "id", "customer_id", "status", "gross", "tax", "margin", key=("id",))
    customers = table("shop_customers", "id", "country", key=("id",))
    data = read_document(CUBES).data
    return read_cubes(data, Tables(Catalog((customers, orders), ("public",), "18.1")), data["cubes"])


def test_measures_of_cube_are_sql(cubes: Knowledge) -> None:
    assert {name: each.sql for name, each in cubes.metrics.items()} == {
        "orders count": "SELECT count(*) FROM shop_orders",
        "net_revenue": "SELECT sum((gross - tax)) FILTER (WHERE (status <> 'cancelled')) FROM shop_orders",
        "average_order": "SELECT 1.0 * (sum((gross - tax)) FILTER (WHERE (status <> 'cancelled'))) / "
        "NULLIF((count(*)), 0) FROM shop_orders",
        "customers_reached": "SELECT count(DISTINCT customer_id) FROM shop_orders",
        "running_revenue": "",
    }
    assert cubes.terms == {
        "net": "Net amount; SQL: gross - tax of shop_orders",
        "size": "computed; SQL: CASE WHEN (gross - tax) >= 100 THEN 'large' ELSE 'small' END of shop_orders",
        "open_orders": "of shop_orders where status = 'open'",
    }
    assert list(cubes.joins) == ["shop_orders.customer_id = shop_customers.id"]
    assert cubes.notes["shop_orders"] == ["One row for each checkout", "also called purchases, checkouts"]


def test_dynamic_and_private_parts_of_cube_are_left_out(cubes: Knowledge) -> None:
    assert {each.what: each.why for each in cubes.left_out} == {
        "dimension orders.secret_margin": "it is not public",
        "dimension orders.localized": "it has a template or code, and import runs none",
        "measure orders.running_revenue": "rolling_window needs a calendar, so it is not given as SQL",
        "measure orders.by_country": "it names the cube customers, and import does not join cubes",
        "cube computed": "its source is not a table",
        "view orders_view": "it only lists members of cubes",
    }
    assert cubes.remarks == [
        "customers has an access_policy, which import cannot keep: use row-level security"
    ]


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        ({"type": "sum", "time_shift": [{"interval": "1 year"}]}, "time_shift needs a calendar"),
        ({"type": "runningTotal"}, "runningTotal needs a calendar"),
        ({"type": "sum", "multi_stage": True}, "it is computed in several stages"),
    ],
)
def test_a_measure_of_cube_that_is_not_one_expression_is_described_in_words(
    measure: dict[str, Any], reason: str
) -> None:
    cube = {
        "name": "orders",
        "sql_table": "shop_orders",
        "measures": [{"name": "total", "sql": "{CUBE}.gross", **measure}],
    }
    catalog = Catalog((table("shop_orders", "id", "gross", key=("id",)),), ("public",), "18.1")

    knowledge = read_cubes({"cubes": [cube]}, Tables(catalog), [cube])

    words = f"{reason}, so it is not given as SQL"
    assert (knowledge.metrics["total"].sql, knowledge.metrics["total"].words) == ("", words)
    assert [each.why for each in knowledge.left_out] == [words]


_JUNK: tuple[Any, ...] = (None, True, -1, "", "a.b.c.d", '"', "((", "{{ x }}", "${CUBE.sql()}", "SUM(")
_JUNK += ([], [[None]], {}, {"a": {"b": []}}, {"name": ["x"]}, ["a", {"name": "x"}], "\x00\u202e")


@pytest.mark.parametrize("seed", range(3))
def test_files_with_unexpected_values_anywhere_cause_no_crash(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - not for secrets
    cube_data = read_document(CUBES).data
    ossie_data = ossie(metric("SUM(sales.net)"))
    for _ in range(60):
        cube, model = _mutated(cube_data, random), _mutated(ossie_data, random)

        read_ossie(model, TABLES).entries()
        read_cubes(cube, TABLES, items_of(cube.get("cubes"))).entries()


def _mutated(data: dict[str, Any], random: Random) -> dict[str, Any]:
    """Return a copy with a few values replaced."""
    copy: dict[str, Any] = deepcopy(data)
    for _ in range(random.randint(1, 4)):
        holder, key = random.choice(list(_places(copy)))
        holder[key] = deepcopy(random.choice(_JUNK))
    return copy


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys: list[Any] = []
    if isinstance(value, dict):
        keys.extend(value)
    elif isinstance(value, list):
        keys.extend(range(len(value)))
    for key in keys:
        yield value, key
        yield from _places(value[key])
