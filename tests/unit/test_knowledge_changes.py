"""Entries are merged into the context file: a person's entries stay, and imported entries are updated."""

from pathlib import Path

import pytest

from pgmcp.errors import ExecutionError, SettingsError, StatementFailedError, UnreachableError
from pgmcp.generation.context_edit import replace_context
from pgmcp.generation.context_file import load_context
from pgmcp.knowledge.changes import Changes, plan_changes
from pgmcp.knowledge.entries import Entry, Origin, Section
from pgmcp.knowledge.importing import keep_plannable

BY_HAND = """\
# our context file
databases:
  main:   # the shop
    terms:
      revenue: what we were paid   # agreed with finance

    notes:
      # careful
      orders: one row per checkout
    verified:
      - question: How many orders?
        sql: SELECT count(*) FROM orders
  other: {terms: {a: b}}
"""


def entry(section: Section, name: str, text: str, *also: str, origin: Origin = Origin.DBT) -> Entry:
    return Entry(section, name, text, origin, also)


ENTRIES = [
    entry(Section.TERMS, "revenue", "sum of amounts"),
    entry(Section.TERMS, "on", 'it says "yes": always # no comment \U0001f600\u2028'),
    entry(Section.NOTES, "Orders", "another text"),
    entry(Section.NOTES, 'sales."Old Orders"', "before 2020"),
    entry(Section.JOINS, "orders.buyer = customers.id", "at most one row of customers"),
    entry(Section.VERIFIED, "What is revenue?", "SELECT sum(x)\nFROM orders", "revenue", "how many orders"),
    entry(Section.VERIFIED, "Number of orders?", "SELECT 1", "how many orders?"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "context.yaml"
    file.write_text(BY_HAND, encoding="utf-8")
    return file


def write(changes: Changes) -> None:
    replace_context(changes.path, changes.after, changes.wanted)


def test_new_entries_are_added_and_lines_written_by_hand_stay(path: Path) -> None:
    changes = plan_changes(path, "main", ENTRIES)
    write(changes)

    after = path.read_text("utf-8").splitlines()
    assert [
        line
        for line in after
        if "# from dbt" not in line
        and 'sql: "' not in line
        and "also_asked_as" not in line
        and line != "    joins:"
    ] == BY_HAND.splitlines()
    context = load_context(path)["main"]
    assert context.terms["revenue"] == "what we were paid"
    assert context.terms["on"] == 'it says "yes": always # no comment \U0001f600\u2028'.strip()
    assert context.notes == {"orders": "one row per checkout", 'sales."Old Orders"': "before 2020"}
    assert context.joins == ("orders.buyer = customers.id -- at most one row of customers",)
    assert [(each.question, each.also_asked_as) for each in context.verified] == [
        ("How many orders?", ()),
        ("What is revenue?", ("revenue",)),
        ("Number of orders?", ()),
    ]
    assert [each.what for each in changes.kept] == ["terms: revenue", "notes: Orders"]
    assert changes.difference.startswith("--- context.yaml\tbefore")


def test_importing_again_updates_only_unchanged_entries(path: Path) -> None:
    write(plan_changes(path, "main", ENTRIES))
    assert plan_changes(path, "main", ENTRIES).difference == ""
    text = path.read_text("utf-8")
    text = text.replace('"before 2020"', '"before 2019"')
    text = text.replace('"SELECT 1"', '"SELECT 1"\n        tool: number_of_orders')
    path.write_text(text, encoding="utf-8")

    again = [
        entry(Section.NOTES, 'sales."Old Orders"', "before 2021"),
        entry(Section.JOINS, "customers.id = orders.buyer", "no key proves it"),
        entry(Section.VERIFIED, "What is revenue?", "SELECT sum(y) FROM orders"),
        entry(Section.VERIFIED, "Number of orders?", "SELECT 2"),
        entry(Section.TERMS, "on", "new text", origin=Origin.CUBE),
    ]
    changes = plan_changes(path, "main", again)
    write(changes)

    context = load_context(path)["main"]
    assert context.notes['sales."Old Orders"'] == "before 2019"
    assert context.joins == ("customers.id = orders.buyer -- no key proves it",)
    assert context.verified[1].sql == "SELECT sum(y) FROM orders"
    assert (context.verified[2].sql, context.verified[2].tool) == ("SELECT 1", "number_of_orders")
    assert context.terms["on"] == "new text"
    assert [each.what for each in changes.kept] == [
        'notes: sales."Old Orders"',
        "verified: Number of orders?",
    ]


def test_an_empty_file_gets_all_parts_and_a_layout_without_lines_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "context.yaml"
    path.write_text("", encoding="utf-8")
    write(plan_changes(path, "main", ENTRIES))
    assert set(load_context(path)["main"].terms) == {"revenue", "on"}

    path.write_text("databases: {main: {terms: {a: b}}}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="nothing can be added"):
        plan_changes(path, "main", ENTRIES)


@pytest.mark.anyio
async def test_entries_that_postgresql_cannot_plan_are_left_out_and_terms_keep_their_text() -> None:
    planned: list[str] = []

    async def explain(sql: str) -> None:
        planned.append(sql)
        if "bad" in sql:
            raise StatementFailedError("column bad does not exist", sqlstate="42703")

    entries = [
        Entry(Section.TERMS, "a", "words. SQL: bad", Origin.DBT, check="SELECT bad", without_sql="words"),
        Entry(Section.VERIFIED, "What is a?", "SELECT bad", Origin.DBT, check="SELECT bad"),
        Entry(Section.TERMS, "b", "SQL: good", Origin.DBT, check="SELECT good"),
        Entry(Section.NOTES, "orders", "text", Origin.DBT),
    ]
    kept, left_out = await keep_plannable(entries, explain)

    assert planned == ["SELECT bad", "SELECT good"]
    assert [(each.name, each.text) for each in kept] == [
        ("a", "words"),
        ("b", "SQL: good"),
        ("orders", "text"),
    ]
    assert [each.what for each in left_out] == ["SQL of terms: a"]
    assert "column bad does not exist" in left_out[0].why


@pytest.mark.anyio
async def test_without_a_connection_the_check_ends_with_the_error() -> None:
    async def explain(sql: str) -> None:
        raise UnreachableError("no connection")

    with pytest.raises(ExecutionError, match="no connection"):
        await keep_plannable([Entry(Section.TERMS, "a", "x", Origin.DBT, check="SELECT 1")], explain)


def test_entries_that_are_gone_from_their_source_are_named_and_removed_on_request(path: Path) -> None:
    comment = entry(Section.NOTES, "customers", "people", origin=Origin.COMMENTS)
    write(plan_changes(path, "main", [*ENTRIES, comment]))
    left = [each for each in ENTRIES if each.name in ("on", "Number of orders?")]

    reported = plan_changes(path, "main", left)
    pruned = plan_changes(path, "main", left, prune=True)
    write(pruned)

    assert reported.difference == ""
    assert reported.vanished == pruned.vanished
    assert pruned.vanished == (
        'notes: "sales.\\"Old Orders\\"": "before 2020"',
        'joins: "orders.buyer = customers.id -- at most one row of customers"',
        'verified: question: "What is revenue?"',
    )
    context = load_context(path)["main"]
    assert list(context.terms) == ["revenue", "on"]
    assert list(context.notes) == ["orders", "customers"]
    assert context.joins == ()
    assert [verified.question for verified in context.verified] == ["How many orders?", "Number of orders?"]
    assert plan_changes(path, "main", left).vanished == ()
