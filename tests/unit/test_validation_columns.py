"""Checks of columns take time that does not grow with the number of paths through a statement."""

import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import CatalogFunction, FunctionPolicy, validate
from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.constant_types import type_of_constant

_CALLED_LIKE_A_COLUMN = CatalogFunction("public", "status", "v", takes_one=True, takes_row=True)
_POLICY = FunctionPolicy(
    catalog_functions=[_CALLED_LIKE_A_COLUMN],
    facts=ResolutionFacts(columns={"customers": {"public": frozenset({"status"})}, "plain": {}}),
)


def _chain(first: str, length: int) -> str:
    """Return a statement with a chain of WITH queries, each of which reads the previous one twice."""
    queries = [
        f"a0 as ({first})",
        *(f"a{n} as (select b.* from a{n - 1} b, a{n - 1} c)" for n in range(1, length)),
    ]
    return f"with {', '.join(queries)} select a{length - 1}.status from a{length - 1}"


def test_a_chain_of_queries_that_doubles_at_each_step_is_followed_once() -> None:
    with pytest.raises(SqlRejectedError, match="status"):
        validate(_chain("select 1 as id", 30), functions=_POLICY)


def test_a_column_is_known_through_a_chain_of_queries() -> None:
    validate(_chain("select * from customers", 5), functions=_POLICY)


@pytest.mark.parametrize(
    "sql",
    [
        "with recursive a as (select * from a) select a.status from a",
        "with a as (select * from plain) select a.status from a",
        "select customers.status from other.customers",
    ],
)
def test_a_name_that_is_not_certainly_a_column_may_be_a_call(sql: str) -> None:
    with pytest.raises(SqlRejectedError, match="status"):
        validate(sql, functions=_POLICY)


def test_a_number_with_more_digits_than_python_reads_can_have_every_integer_type() -> None:
    assert type_of_constant({"fval": {"fval": f"-{'0' * 5000}7"}}) == {23, 20, 1700}
