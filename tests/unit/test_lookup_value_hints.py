import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.lookup.value_hints import MAX_HINTS, hint_values


def table(name: str, *columns: Column) -> Table:
    return Table("public", name, TableKind.TABLE, "", columns)


RACE = table("race", Column("race", "text", nullable=True, values=("Human", "Half-Orc", "God / Eternal")))
ORDERS = table(
    "orders",
    Column("status", "order_status", nullable=False, enum_labels=("in_progress", "paid", "X", "12")),
    Column("Carrier", "text", nullable=True, values=("O'Neill's", "dhl")),
)
CATALOG = Catalog((ORDERS, RACE), ("public",), "18.1")


def hints(question: str, *shown: Table) -> list[str]:
    return hint_values(CATALOG, question, shown=shown or CATALOG.tables)


@pytest.mark.parametrize(
    ("question", "hint"),
    [
        ("how many human heroes?", "\"human\" -> race.race = 'Human'"),
        ("how many HUMANS?", "\"humans\" -> race.race = 'Human'"),
        ("heroes that are half orcs", "\"half orcs\" -> race.race = 'Half-Orc'"),
        ("orders in progress", "\"in progress\" -> orders.status = 'in_progress'"),
        ("by oneill's van? No, O'Neill's!", "\"o neill s\" -> orders.\"Carrier\" = 'O''Neill''s'"),
        ("how many humann heroes?", "\"humann\" -> race.race = 'Human'"),
    ],
)
def test_words_that_are_values_get_their_exact_spelling(question: str, hint: str) -> None:
    assert hint in hints(question)


@pytest.mark.parametrize("question", ["", "how many heroes are there?", "x or 12", "the prices in 2024"])
def test_words_that_match_no_value_give_no_hint(question: str) -> None:
    assert hints(question) == []


def test_values_of_tables_that_are_not_shown_are_left_out() -> None:
    assert hints("human", ORDERS) == []


def test_hints_are_bounded() -> None:
    words = [f"value{chr(97 + number)}" for number in range(26)]
    many = table("many", Column("v", "text", nullable=True, values=tuple(words)))
    catalog = Catalog((many,), ("public",), "18.1")

    assert len(hint_values(catalog, " ".join(words), shown=(many,))) == MAX_HINTS
