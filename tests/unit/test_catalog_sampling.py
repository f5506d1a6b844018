import pytest

from pgmcp.catalog.catalog import Catalog, Column, ForeignKey, Table, TableKind
from pgmcp.catalog.queries import NEVER_ANALYSED
from pgmcp.catalog.sampling import ColumnSample, Samples, add_samples, sample
from pgmcp.errors import BusyError, UnreachableError
from pgmcp.execution.result import Rows

pytestmark = pytest.mark.anyio

STATE = Column("state", "character varying(20)", nullable=True)


def table(name: str, *columns: Column, **facts: object) -> Table:
    return Table("public", name, TableKind.TABLE, "", columns, **facts)  # type: ignore[arg-type]


def database(*tables: Table) -> Catalog:
    return Catalog(tables, ("public",), "18.1")


class Server:
    """Reports these tables as never analysed, and returns a scripted answer for each sample."""

    def __init__(self, **rows_by_table: list[list[str | int | None]] | Exception) -> None:
        self._rows_by_table = rows_by_table
        self.now_s = 0.0
        self.probe_s = 0.0
        self.probes: list[str] = []

    async def fetch(self, sql: str) -> Rows:
        if "has_function_privilege" in sql:
            return Rows((), [])  # the role may use all functions
        assert sql == NEVER_ANALYSED
        return Rows((), [["public", name] for name in self._rows_by_table])

    async def probe(self, sql: str) -> Rows:
        self.probes.append(sql)
        self.now_s += self.probe_s
        answer = next(rows for name, rows in self._rows_by_table.items() if f"public.{name} " in sql)
        if isinstance(answer, Exception):
            raise answer
        return Rows((), [list(row) for row in answer])

    async def sample(self, catalog: Catalog) -> Samples:
        return await sample(catalog, self.fetch, self.probe, max_rows=1000, clock=lambda: self.now_s)


async def test_texts_come_most_frequent_first_and_dates_and_numbers_as_a_range() -> None:
    day, price = Column("day", "date", nullable=True), Column("price", "numeric(8,2)", nullable=True)
    server = Server(
        orders=[
            [0, "shut", 7],
            [0, "open", 3],
            [1, "2026-01-02", 9],
            [1, "2026-11-22", 9],
            [2, None, 0],
            [2, None, 0],
        ]
    )

    samples = await server.sample(database(table("orders", STATE, day, price)))

    assert samples["public", "orders"] == {
        "state": ColumnSample(values=("shut", "open"), may_hold_others=True),
        "day": ColumnSample(value_range=("2026-01-02", "2026-11-22")),
    }


@pytest.mark.parametrize(
    "counts",
    [
        [[0, f"s{n}", 5] for n in range(101)],
        [[0, "open", 9], [0, "once", 1]],
        [[0, "x" * 65, 9]],
        [],
    ],
)
async def test_a_long_list_of_values_is_left_out(counts: list[list[str | int | None]]) -> None:
    samples = await Server(orders=counts).sample(database(table("orders", STATE)))

    assert samples["public", "orders"] == {}


@pytest.mark.parametrize(
    ("place_value_count", "sample"),
    [
        ([-1, "whole", 2], ColumnSample(values=("open", "once"))),
        ([-1, "whole", 1000], None),
        ([-1, None, 2], None),
    ],
    ids=["whole table", "more rows than were read", "some of its pages"],
)
async def test_a_table_that_was_read_completely_also_gives_values_that_occur_once(
    place_value_count: list[str | int | None], sample: ColumnSample | None
) -> None:
    server = Server(orders=[place_value_count, [0, "open", 9], [0, "once", 1]])

    samples = await server.sample(database(table("orders", STATE)))

    assert samples["public", "orders"].get("state") == sample


async def test_only_useful_columns_are_sampled_and_never_sensitive_ones() -> None:
    columns = [
        STATE,
        Column("email", "text", nullable=True),
        Column("birth_date", "date", nullable=True),
        Column("listed", "text", nullable=True, values=("a",)),
        Column("order_no", "bigint", nullable=True),
        Column("buyer", "bigint", nullable=True),
        Column("tags", "text[]", nullable=True),
        Column("shape", "jsonb", nullable=True),
    ]
    server = Server(orders=[])

    buyer = ForeignKey(("buyer",), "public", "customers", ("id",))
    await server.sample(database(table("orders", *columns, foreign_keys=(buyer,))))

    (probe,) = server.probes
    assert "t.state AS" in probe
    assert not any(f"t.{column.name} " in probe for column in columns[1:])


async def test_a_table_that_was_dropped_or_has_no_useful_column_is_skipped() -> None:
    server = Server(orders=[], gone=[])

    assert await server.sample(database(table("orders", Column("id", "uuid", nullable=False)))) == {}
    assert server.probes == []


async def test_a_failed_sample_omits_only_its_table() -> None:
    server = Server(a=BusyError("full", retry_after_s=1), b=[[0, "open", 2]])

    samples = await server.sample(database(table("a", STATE), table("b", STATE)))

    assert list(samples) == [("public", "b")]


async def test_no_table_is_sampled_after_the_time_limit() -> None:
    server = Server(a=[[0, "open", 2]], b=[[0, "open", 2]], c=[[0, "open", 2]])
    server.probe_s = 20.0

    samples = await server.sample(database(*(table(name, STATE) for name in "abc")))

    assert list(samples) == [("public", "a"), ("public", "b")]


async def test_sampling_fails_if_the_list_of_tables_cannot_be_read() -> None:
    async def fetch(sql: str) -> Rows:
        raise UnreachableError("gone")

    with pytest.raises(UnreachableError):
        await sample(database(), fetch, fetch, max_rows=10)


def test_tables_that_were_not_sampled_stay_the_same_objects() -> None:
    orders, items = table("orders", STATE), table("items", STATE)
    samples = {("public", "orders"): {"state": ColumnSample(values=("open",))}}

    added = add_samples(database(orders, items), samples)

    assert added.tables[0].columns[0].values == ("open",)
    assert added.tables[1] is items
