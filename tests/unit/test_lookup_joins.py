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


def test_a_key_may_have_its_role_before_it() -> None:
    picks = table("picks", "picker_emp_id")
    deals = table("Deal", "OwnerEmpId", key="DealId")

    assert targets(table("emp_master", key="emp_id"), picks, deals)[1:] == [["emp_master"], ["emp_master"]]


def test_copies_own_no_keys() -> None:
    tables = (table("emp", key="emp_id"), table("emp_old", key="emp_id"), table("absences", "emp_id"))

    assert targets(*tables, copies=frozenset({1}))[2] == ["emp"]


def test_of_two_owners_the_one_in_the_same_schema_is_meant() -> None:
    tables = (table("spain.customers"), table("italy.customers"), table("italy.orders", "customer_id"))

    joins = Joins(tables, frozenset())

    assert joins.targets[2] == [1]


def test_a_key_that_several_tables_could_own_leads_nowhere() -> None:
    tables = (table("spain.customers"), table("italy.customers"), table("web.visits", "customer_id"))

    assert Joins(tables, frozenset()).targets[2] == []


def test_a_table_that_adds_to_another_has_it_as_its_parent() -> None:
    tables = (
        table("orders"),
        table("order_notes", "order_id"),
        table("shipments", "order_id"),
    )

    assert Joins(tables, frozenset()).parents == [None, 0, None]


def test_copies_do_not_make_a_table_prominent() -> None:
    tables = (table("customers"), table("orders", "customer_id"), table("orders_old", "customer_id"))

    assert Joins(tables, frozenset({2})).sources[0] == [1]
