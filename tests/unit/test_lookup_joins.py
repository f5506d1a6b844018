from pgmcp.catalog.catalog import Column, ForeignKey, Table, TableKind
from pgmcp.lookup.joins import Joins


def table(name: str, *columns: str, key: str = "id", references: tuple[ForeignKey, ...] = ()) -> Table:
    schema, _, bare = name.rpartition(".")
    named = tuple(Column(column, "bigint", nullable=True) for column in (key, *columns))
    return Table(
        schema or "public", bare, TableKind.TABLE, "", named, primary_key=(key,), foreign_keys=references
    )


def targets(*tables: Table, copies: frozenset[int] = frozenset()) -> list[list[str]]:
    return [[tables[number].name for number in of_one] for of_one in Joins(tables, copies).targets]


def test_a_declared_key_is_a_join() -> None:
    reference = ForeignKey(("buyer",), "public", "customers", ("id",))

    assert targets(table("customers"), table("orders", "buyer", references=(reference,))) == [
        [],
        ["customers"],
    ]


def test_a_key_named_for_a_table_is_a_join() -> None:
    assert targets(table("customers"), table("orders", "customer_id"))[1] == ["customers"]
    assert targets(table("emp_master", key="emp_id"), table("absences", "emp_id"))[1] == ["emp_master"]


def test_the_name_of_a_key_may_begin_with_a_role() -> None:
    picks = table("picks", "picker_emp_id")
    deals = table("Deal", "OwnerEmpId", key="DealId")

    assert targets(table("emp_master", key="emp_id"), picks, deals)[1:] == [["emp_master"], ["emp_master"]]


def test_keys_do_not_lead_to_archived_tables() -> None:
    tables = (table("emp", key="emp_id"), table("emp_old", key="emp_id"), table("absences", "emp_id"))

    assert targets(*tables, copies=frozenset({1}))[2] == ["emp"]


def test_a_key_leads_to_the_table_of_its_own_schema() -> None:
    tables = (table("spain.customers"), table("italy.customers"), table("italy.orders", "customer_id"))

    joins = Joins(tables, frozenset())

    assert joins.targets[2] == [1]


def test_a_key_that_could_refer_to_several_tables_is_not_a_join() -> None:
    tables = (table("spain.customers"), table("italy.customers"), table("web.visits", "customer_id"))

    assert Joins(tables, frozenset()).targets[2] == []


def test_a_table_that_adds_to_another_has_it_as_its_parent() -> None:
    tables = (
        table("orders"),
        table("order_notes", "order_id"),
        table("shipments", "order_id"),
    )

    assert Joins(tables, frozenset()).parents == [None, 0, None]


def test_references_of_archived_tables_do_not_count_for_a_table() -> None:
    tables = (table("customers"), table("orders", "customer_id"), table("orders_old", "customer_id"))

    assert Joins(tables, frozenset({2})).sources[0] == [1]
