"""Which tables a prompt shows first if not all fit."""

from collections.abc import Sequence

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.lookup.prompt_tables import select_for_prompt


def table(name: str, *columns: str, key: str = "id") -> Table:
    named = tuple(Column(column, "text", nullable=True) for column in (key, *columns))
    return Table("public", name, TableKind.TABLE, "", named, primary_key=(key,))


def first(tables: Sequence[Table], question: str, count: int) -> list[str]:
    """Return the names of the first tables of a prompt whose budget is too small for all tables."""
    catalog = Catalog(
        (*tables, *(table(f"filler{number}", "a", "b", "c") for number in range(200))), (), "18.1"
    )
    selection = select_for_prompt(
        catalog, question, token_budget=400, count_tokens=lambda text: len(text.split())
    )
    return [found.name for found in selection.tables[:count]]


def test_a_frequently_referenced_table_comes_before_tables_that_extend_it() -> None:
    details = [table(f"order_{what}", "order_id", what) for what in ("note", "lock", "tag", "log", "fee")]

    assert first([*details, table("orders", "placed")], "orders with a note", 2) == [
        "orders",
        "order_note",
    ]


def test_a_shortened_name_is_found_by_the_whole_word() -> None:
    assert first([table("dept", "nm")], "How many departments are there?", 1) == ["dept"]


def test_a_table_is_found_by_a_synonym() -> None:
    assert first([table("vendors", "rating")], "Which suppliers are late?", 1) == ["vendors"]


def test_a_table_that_is_referenced_by_the_name_of_a_role_is_included() -> None:
    tables = [table("emp_master", "first_name", key="emp_id"), table("picks", "picker_emp_id")]

    assert set(first(tables, "How many picks yesterday?", 2)) == {"picks", "emp_master"}


def test_a_table_that_joins_two_found_ones_is_included() -> None:
    tables = [table("students"), table("courses"), table("links", "student_id", "course_id")]

    assert set(first(tables, "students by course", 3)) == {"students", "courses", "links"}
