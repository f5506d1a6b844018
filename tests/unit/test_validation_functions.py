from importlib.resources import files

import pytest

from pgmcp.validation import CatalogFunction, FunctionPolicy, SqlRejectedError, validate
from pgmcp.validation.families import HINT_BY_FAMILY, REASON_BY_FAMILY, RefusalFamily


def _refusal(call: str, policy: FunctionPolicy) -> str:
    with pytest.raises(SqlRejectedError) as refusal:
        validate(f"select {call}", functions=policy)
    return str(refusal.value)


def _passes(call: str, policy: FunctionPolicy) -> None:
    validate(f"select {call}", functions=policy)


def test_a_function_on_no_list_is_refused_until_the_operator_allows_it() -> None:
    assert "not on the list" in _refusal("revenue(1)", FunctionPolicy())

    _passes("revenue(1)", FunctionPolicy(allowed=["revenue"]))
    _passes("finance.revenue(1)", FunctionPolicy(allowed=["finance.revenue"]))
    _passes("finance.revenue(1)", FunctionPolicy(allowed=["finance.*"]))
    _passes("rpt_sales(1)", FunctionPolicy(allowed=["rpt_*"]))


def test_a_name_allowed_in_one_schema_is_not_allowed_in_another() -> None:
    assert "not on the list" in _refusal("evil.revenue(1)", FunctionPolicy(allowed=["finance.revenue"]))
    assert "not on the list" in _refusal("revenue(1)", FunctionPolicy(allowed=["finance.revenue"]))
    assert "not on the list" in _refusal("evil.revenue(1)", FunctionPolicy(allowed=["revenue"]))
    _passes("revenue(1)", FunctionPolicy(allowed=["finance.revenue"], search_path=["finance"]))
    _passes("public.revenue(1)", FunctionPolicy(allowed=["revenue"]))


def test_the_operator_can_deny_what_is_allowed() -> None:
    assert "operator of this server denies" in _refusal("random()", FunctionPolicy(denied=["random"]))
    assert "denies" in _refusal("pg_stat_get_activity(1)", FunctionPolicy(denied=["pg_stat_get_*"]))
    assert "denies" in _refusal("revenue(1)", FunctionPolicy(allowed=["revenue"], denied=["revenue"]))
    assert "denies" in _refusal("other.revenue(1)", FunctionPolicy(allowed=["other.*"], denied=["revenue"]))


def test_the_operator_can_allow_a_built_in_that_is_refused() -> None:
    _passes("pg_sleep(0.1)", FunctionPolicy(allowed=["pg_sleep"]))


@pytest.mark.parametrize("schema", ["", "public."])
def test_a_stable_function_of_the_database_passes(schema: str) -> None:
    catalog = [CatalogFunction("public", "revenue", "s", language="plpgsql")]

    _passes(f"{schema}revenue(1)", FunctionPolicy(catalog_functions=catalog))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (CatalogFunction("public", "revenue", "v"), "volatile"),
        (CatalogFunction("public", "revenue", "s", security_definer=True), "rights of its owner"),
        (CatalogFunction("public", "revenue", "i", language="plpython3u"), "language"),
        (CatalogFunction("other", "revenue", "s"), "not on the list"),
    ],
)
def test_a_doubtful_function_of_the_database_is_refused(function: CatalogFunction, reason: str) -> None:
    assert reason in _refusal("public.revenue(1)", FunctionPolicy(catalog_functions=[function]))


def test_one_doubtful_overload_makes_the_name_doubtful() -> None:
    catalog = [CatalogFunction("public", "revenue", "i"), CatalogFunction("public", "revenue", "v")]

    assert "volatile" in _refusal("revenue(1)", FunctionPolicy(catalog_functions=catalog))


def test_a_built_in_name_that_the_database_reuses_must_be_written_out() -> None:
    policy = FunctionPolicy(catalog_functions=[CatalogFunction("public", "lower", "v")])

    assert "a function of its own by this name" in _refusal("lower('A')", policy)
    _passes("pg_catalog.lower('A')", policy)


def test_a_namesake_outside_the_search_path_shadows_nothing() -> None:
    catalog = [CatalogFunction("audit", "lower", "v")]

    _passes("lower('A')", FunctionPolicy(catalog_functions=catalog))
    assert "of its own by this name" in _refusal(
        "lower('A')", FunctionPolicy(catalog_functions=catalog, search_path=["audit"])
    )


def test_a_harmless_namesake_or_one_of_an_extension_shadows_nothing() -> None:
    catalog = [
        CatalogFunction("public", "lower", "i"),
        CatalogFunction("public", "upper", "v", extension="citext"),
    ]

    _passes("lower('A') || upper('a')", FunctionPolicy(catalog_functions=catalog))


def test_an_extension_may_live_in_any_schema_but_pg_catalog() -> None:
    _passes("similarity('a', 'b') + extensions.similarity('a', 'b')", FunctionPolicy())

    assert "not on the list" in _refusal("pg_catalog.similarity('a', 'b')", FunctionPolicy())


def test_a_function_that_only_borrows_an_extension_name_is_judged_by_itself() -> None:
    policy = FunctionPolicy(catalog_functions=[CatalogFunction("public", "similarity", "v")])

    assert "volatile" in _refusal("similarity('a', 'b')", policy)


def test_an_extension_function_is_judged_by_the_list_before_its_volatility() -> None:
    catalog = [
        CatalogFunction("public", "dblink_exec", "s", extension="dblink"),
        CatalogFunction("public", "pg_stat_statements", "v", extension="pg_stat_statements"),
        CatalogFunction("public", "obscure", "s", extension="obscure"),
    ]
    policy = FunctionPolicy(catalog_functions=catalog)

    assert "other servers" in _refusal("dblink_exec('x')", policy)
    _passes("pg_stat_statements(true), obscure()", policy)


def test_row_notation_cannot_call_what_a_call_cannot() -> None:
    trap = CatalogFunction("public", "wipe", "v", takes_row=True)
    policy = FunctionPolicy(catalog_functions=[trap])

    assert "wipe" in _refusal("c.wipe from customers c", policy)
    assert "wipe" in _refusal("(c).wipe from customers c", policy)
    _passes("c.wipe from customers c", FunctionPolicy())


def test_an_operator_is_judged_by_the_function_behind_it() -> None:
    catalog = [
        CatalogFunction("public", "wipe", "v", operators=("+", "===")),
        CatalogFunction("public", "same", "i", operators=("====",)),
    ]
    policy = FunctionPolicy(catalog_functions=catalog)

    assert "operator + is not allowed: it is volatile" in _refusal("1 + 2", policy)
    assert "operator === is not allowed: it is volatile" in _refusal("1 === 2", policy)
    assert "volatile" in _refusal("1 operator(public.===) 2", policy)
    assert "not on the list" in _refusal("1 operator(other.====) 2", policy)
    assert "not on the list" in _refusal("1 !=== 2", policy)
    _passes("1 operator(pg_catalog.+) 2, 1 ==== 2, 1 operator(public.====) 2, 1 between 0 and 2", policy)


def test_an_operator_of_the_database_can_stand_for_a_built_in_that_is_refused() -> None:
    catalog = [CatalogFunction("pg_catalog", "table_to_xml", "s", operators=("!!",), types=("page",))]
    policy = FunctionPolicy(catalog_functions=catalog)

    assert "SQL text" in _refusal("!! 'customers'::regclass", policy)
    assert "SQL text" in _refusal("'customers'::regclass::page", policy)
    _passes("!! 'a'::tsquery", FunctionPolicy())


def test_a_cast_is_judged_by_the_functions_it_calls() -> None:
    catalog = [
        CatalogFunction("public", "wipe", "v", types=("trap",)),
        CatalogFunction("public", "is_email", "i", types=("email",)),
    ]
    policy = FunctionPolicy(catalog_functions=catalog)

    assert "a cast to type trap is not allowed: it is volatile" in _refusal("'x'::public.trap", policy)
    assert "trap" in _refusal("cast('x' as trap[])", policy)
    assert "trap" in _refusal("* from json_to_record('{}') as t(a trap)", policy)
    _passes("'a@b'::email, 'x'::trapeze", policy)


def test_the_argument_count_decides_where_one_overload_runs_sql_text() -> None:
    assert "SQL text" in _refusal("ts_rewrite('a'::tsquery, 'select 1')", FunctionPolicy())
    _passes("ts_rewrite('a'::tsquery, 'b'::tsquery, 'c'::tsquery)", FunctionPolicy())


@pytest.mark.parametrize("family", RefusalFamily)
def test_every_family_of_refusals_has_a_reason_and_a_cure(family: RefusalFamily) -> None:
    assert REASON_BY_FAMILY[family]
    assert HINT_BY_FAMILY[family]


@pytest.mark.parametrize("name", ["builtin_functions.tsv", "extension_functions.tsv"])
def test_the_shipped_lists_are_sorted_and_name_nothing_twice(name: str) -> None:
    lines = files("pgmcp.validation").joinpath(name).read_text(encoding="utf-8").splitlines()[1:]
    keys = [tuple(line.split("\t")[:-2]) for line in lines]

    assert keys == sorted(set(keys))


def test_the_refused_built_ins_are_refused_by_name() -> None:
    lines = (
        files("pgmcp.validation").joinpath("builtin_functions.tsv").read_text(encoding="utf-8").splitlines()
    )
    refused = [
        line.split("\t")[0] for line in lines if "\trefused:" in line and not line.startswith("ts_rewrite\t")
    ]
    policy = FunctionPolicy()

    assert len(refused) > 500
    assert all(policy.refusal("pg_catalog", name, 1) for name in refused)
