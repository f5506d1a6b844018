import sys
from dataclasses import replace
from types import FrameType

import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import CatalogFunction, CatalogRelation, FunctionPolicy, validate
from pgmcp.validation.body import read_body
from pgmcp.validation.call_graph import CallGraph
from pgmcp.validation.catalog_objects import CatalogOperator


def honest(name: str, body: str, schema: str = "public") -> CatalogFunction:
    """Return a function that is declared STABLE."""
    text = f"CREATE OR REPLACE FUNCTION {schema}.{name}() RETURNS int LANGUAGE sql STABLE AS $f$ {body} $f$"
    return CatalogFunction(schema, name, "s", definition=text)


VOLATILE = CatalogFunction("app", "strike", "v", language="plpgsql")
LOUD = CatalogFunction("public", "Loud", "v")
TRAP = CatalogFunction("app", "trap", "v", operators=("===", "-|"), types=("email",), takes_one=True)
DBLINK = CatalogFunction("public", "dblink_exec", "v", language="c", extension="dblink")
TRGM = CatalogFunction("public", "similarity", "i", language="c", extension="pg_trgm")


@pytest.mark.parametrize(
    "body",
    [
        "select app.strike()",
        'select "app"."strike" ( )',
        "select STRIKE(1)",
        'select "Loud"(1)',
        "select dblink_exec('a', 'b')",
        "select nextval('s')",
        "select pg_catalog.pg_read_file('x')",
        "select max(rolpassword) from pg_authid",
        "select max(subconninfo) from pg_subscription",
        "select max(option_value) from user_mapping_options",
        "select max(avg_width), min(s.histogram_bounds) from pg_stats s",
        "select max(s::text) from pg_stats s where tablename = current_setting('x')",
        "select max(s::text) from pg_stats s where tablename = $1",
        f"select {'(' * 5_000}avg_width{')' * 5_000} from pg_stats",
        "select count(*) from tale_teller",
        "select count(*) from Tale_Teller",
        "select app.strike /* why */ ()",
        "select 1===2",
        "select 'a@b'::email",
        "select (5).trap",
        "select (4711).pg_advisory_lock",
        "select c.trap from customers c",
    ],
)
def test_a_function_that_says_it_only_reads_is_refused_for_what_its_body_calls(body: str) -> None:
    policy = FunctionPolicy(
        catalog_functions=[honest("f", body), VOLATILE, LOUD, DBLINK, TRAP],
        catalog_relations=[CatalogRelation("public", "tale_teller", calls=(("app", "strike", 0),))],
        search_path=["public", "app"],
    )

    with pytest.raises(SqlRejectedError, match=r"f\(\) is not allowed"):
        validate("select f()", functions=policy)


@pytest.mark.parametrize(
    "body",
    [
        "select f() + 1",
        "select lower('x') || count(*) from customers where random() > 0.5",
        "select similarity('a', 'b')",
        "select sum(total) from strike",
        "select max(avg_width) from pg_stats where attname = 'rolpassword'",
        "select max(s::text) from pg_stats s where tablename = 'orders'",
        "select avg_width from pg_stats where tablename = $1 limit $2",
        "select count(*) from pg_class where relname in ('pg_stats', 'pg_subscription')",
        "select trap, emails from customers where 1 - 2 = -1 and (c).city <> ''",
    ],
)
def test_a_function_whose_body_only_reads_passes(body: str) -> None:
    policy = FunctionPolicy(catalog_functions=[honest("f", body), VOLATILE, TRGM, TRAP])

    validate("select f()", functions=policy)


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        ("select strike()", False),
        ("select app.strike()", True),
        ("select c.trap from customers c", False),
        ("select 1 === 2", False),
        ("select 1 operator(app.===) 2", True),
        ("select * from tale_teller", False),
        ("select * from app.tale_teller", True),
    ],
)
def test_an_unqualified_name_in_a_body_is_found_on_the_search_path(body: str, reached: bool) -> None:
    operator = CatalogOperator("app", "===", 23, 23)
    catalog = [VOLATILE, replace(TRAP, overloads=(operator,))]
    relations = [CatalogRelation("app", "tale_teller", calls=(("app", "strike", 0),))]

    def is_refused(path: list[str], own_path: tuple[str, ...] | None = None) -> bool:
        functions = [*catalog, replace(honest("f", body), search_path=own_path)]
        policy = FunctionPolicy(catalog_functions=functions, catalog_relations=relations, search_path=path)
        try:
            validate("select f()", functions=policy)
        except SqlRejectedError:
            return True
        return False

    assert is_refused(["public"]) is reached
    assert is_refused(["public", "app"])
    assert is_refused(["public"], own_path=("app",))
    assert is_refused(["public"], own_path=("*",))
    assert is_refused(["public", "app"], own_path=("public",)) is reached


def test_a_function_without_a_search_path_has_its_callers() -> None:
    inner = honest("inner_function", "select strike()")
    outer = replace(honest("outer_function", "select public.inner_function()"), search_path=("app",))
    policy = FunctionPolicy(catalog_functions=[VOLATILE, inner, outer])

    validate("select inner_function()", functions=policy)
    with pytest.raises(SqlRejectedError):
        validate("select outer_function()", functions=policy)


def test_the_name_of_a_function_does_not_call_its_overloads() -> None:
    policy = FunctionPolicy(
        catalog_functions=[
            replace(honest("f", "select 1"), argument_types=(), max_arguments=0),
            CatalogFunction("public", "f", "v", min_arguments=1, max_arguments=1, argument_types=(23,)),
        ]
    )

    validate("select f()", functions=policy)
    with pytest.raises(SqlRejectedError):
        validate("select f(1)", functions=policy)


def test_a_function_that_puts_sql_together_is_refused_until_the_operator_allows_it() -> None:
    body = "begin return query execute 'select ' || name; end"
    definition = f"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql STABLE AS $f$ {body} $f$"
    catalog = [CatalogFunction("public", "f", "s", language="plpgsql", definition=definition)]

    with pytest.raises(SqlRejectedError, match="runs SQL text"):
        validate("select f()", functions=FunctionPolicy(catalog_functions=catalog))
    validate("select f()", functions=FunctionPolicy(allowed=["f"], catalog_functions=catalog))


def test_calls_are_followed_through_all_functions_even_in_cycles() -> None:
    circle = [honest("a", "select b()"), honest("b", "select a(), c()")]

    validate("select a()", functions=FunctionPolicy(catalog_functions=[*circle, honest("c", "select 1")]))
    with pytest.raises(SqlRejectedError):
        validate(
            "select a()",
            functions=FunctionPolicy(catalog_functions=[*circle, honest("c", "select lastval()")]),
        )


def test_what_the_operator_allows_may_be_called_from_anywhere() -> None:
    parts = [honest("f", "select app.strike()"), VOLATILE]
    view = CatalogRelation("public", "v", calls=(("app", "strike", 0),))

    policy = FunctionPolicy(allowed=["app.strike"], catalog_functions=parts, catalog_relations=[view])

    validate("select f() from v", functions=policy)


def test_what_the_operator_denies_may_not_be_called_through_a_view() -> None:
    view = CatalogRelation("public", "v", calls=(("public", "similarity", 2),))
    policy = FunctionPolicy(denied=["similarity"], catalog_functions=[TRGM], catalog_relations=[view])

    with pytest.raises(SqlRejectedError, match="operator of this server denies"):
        validate("select * from v", functions=policy)


@pytest.mark.parametrize(
    ("relation", "reason"),
    [
        (
            CatalogRelation("public", "v", calls=(("app", "strike", 0),)),
            "it uses app.strike, which is refused because it is volatile",
        ),
        (
            CatalogRelation("public", "v", calls=(("pg_catalog", "nextval", 1),)),
            "it uses nextval, which is refused",
        ),
        (
            CatalogRelation("public", "v", reads=(("pg_catalog", "pg_authid"),)),
            "it uses pg_authid, which is refused",
        ),
        (
            CatalogRelation("public", "v", reads=(("app", "inner_view"),)),
            "it uses app.strike, which is refused",
        ),
        (
            CatalogRelation("public", "v", types=("email",)),
            "it uses app.trap, which is refused because it is volatile",
        ),
        (CatalogRelation("public", "v", runs_program=True), "files of the database server"),
    ],
)
@pytest.mark.parametrize("sql", ["select * from v", "table public.v", "select (select 1 from v)"])
def test_a_relation_is_refused_for_what_reading_it_calls_or_shows(
    relation: CatalogRelation, reason: str, sql: str
) -> None:
    inner = CatalogRelation("app", "inner_view", calls=(("app", "strike", 0),))
    policy = FunctionPolicy(catalog_functions=[VOLATILE, TRAP], catalog_relations=[relation, inner])

    with pytest.raises(SqlRejectedError, match=reason):
        validate(sql, functions=policy)


def test_a_view_of_harmless_functions_or_of_another_schema_passes() -> None:
    views = [
        CatalogRelation("public", "v", calls=(("pg_catalog", "random", 0), ("pg_catalog", "textlike", 2))),
        CatalogRelation("app", "w", calls=(("app", "strike", 0),)),
    ]
    policy = FunctionPolicy(catalog_functions=[VOLATILE], catalog_relations=views)

    validate("select * from v, w", functions=policy)


@pytest.mark.parametrize(
    ("part", "is_allowed"),
    [
        (CatalogFunction("pg_catalog", "int4mul", "i", language="internal"), True),
        (CatalogFunction("pg_catalog", "int8_avg_accum", "i", language="internal"), True),
        (CatalogFunction("pg_catalog", "set_config", "v", language="internal"), False),
        (CatalogFunction("app", "step", "v"), False),
        (CatalogFunction("app", "step", "i", language="plpython3u"), False),
        (CatalogFunction("app", "step", "i"), True),
    ],
)
def test_an_aggregate_is_judged_by_its_parts(part: CatalogFunction, is_allowed: bool) -> None:
    aggregate = CatalogFunction("public", "gather", "i", language="internal", parts=(part,))
    policy = FunctionPolicy(catalog_functions=[aggregate])

    if is_allowed:
        validate("select gather(id) from customers", functions=policy)
    else:
        with pytest.raises(SqlRejectedError):
            validate("select gather(id) from customers", functions=policy)


def test_an_operator_is_refused_for_its_negator() -> None:
    equal = CatalogFunction(
        "public",
        "is_equal",
        "i",
        operators=("===",),
        argument_types=(23, 23),
        counterparts=(("app", "differs", "23 23"),),
    )
    other = CatalogFunction("app", "differs", "v", argument_types=(25, 25))
    unsafe = replace(other, argument_types=(23, 23))
    validate("select 1 where not (1 === 2)", functions=FunctionPolicy(catalog_functions=[equal, other]))

    with pytest.raises(SqlRejectedError, match="operator === is not allowed"):
        validate(
            "select 1 where not (1 === 2)", functions=FunctionPolicy(catalog_functions=[equal, other, unsafe])
        )


@pytest.mark.parametrize("implied", ["NULLIF(1, 2)", "1 IS DISTINCT FROM 2", "CASE 1 WHEN 2 THEN 3 END"])
def test_a_stored_body_is_refused_for_an_equality_of_any_schema(implied: str) -> None:
    trap = CatalogFunction("hidden", "equals", "v", operators=("=",))
    trap = replace(trap, overloads=(CatalogOperator("hidden", "=", 23, 25),))
    head = "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql STABLE"
    stored = CatalogFunction("public", "f", "s", definition=f"{head} RETURN {implied}")
    text = replace(stored, definition=f"{head} AS $f$ SELECT {implied} $f$")
    validate("select f()", functions=FunctionPolicy(catalog_functions=[text, trap], search_path=["public"]))

    with pytest.raises(SqlRejectedError, match="volatile"):
        validate(
            "select f()", functions=FunctionPolicy(catalog_functions=[stored, trap], search_path=["public"])
        )


def _tangle(also: str, *, before: str = "") -> FunctionPolicy:
    """Return a policy with functions that all call each other; the last one does something else, too."""
    names = [f"f{number}" for number in range(60)]
    calls = before + " union all ".join(f"select {name}()" for name in names)
    bodies = dict.fromkeys(names, calls) | {names[-1]: f"{calls} union all {also}"}
    functions = [honest(name, body) for name, body in bodies.items()]
    return FunctionPolicy(catalog_functions=[VOLATILE, *functions])


@pytest.mark.parametrize(("also", "is_accepted"), [("select 1", True), ("select nextval('s')", False)])
def test_each_function_is_followed_once_however_many_call_each_other(also: str, is_accepted: bool) -> None:
    policy = _tangle(also)
    read_body.cache_clear()
    followed = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal followed
        followed += event == "call" and frame.f_code is CallGraph._used_by.__code__

    sys.setprofile(count)
    try:
        accepted = [policy.refusal("", f"f{number}", 0) is None for number in range(60)]
    finally:
        sys.setprofile(None)

    assert accepted == [is_accepted] * 60
    assert followed <= 60
    assert read_body.cache_info().misses <= 60


def test_a_body_that_calls_an_unsafe_function_first_is_the_only_one_that_is_read() -> None:
    policy = _tangle("select 1", before="select app.strike() union all ")
    read_body.cache_clear()

    assert policy.refusal("", "f0", 0)
    assert read_body.cache_info().misses == 1


def test_a_verdict_does_not_depend_on_earlier_ones() -> None:
    bodies = {
        "a": "select b(), c()",
        "b": "select c()",
        "c": "select d(), e()",
        "d": "select b()",
        "e": "select f()",
        "f": "select nextval('s')",
        "g": "select h()",
        "h": "select g(), i()",
        "i": "select count(*) from shown",
        "j": "select count(*) from guarded",
        "k": "select j(), i()",
    }
    functions = [honest(name, body) for name, body in bodies.items()]
    relations = [
        CatalogRelation("public", "shown", calls=(("public", "g", 0),)),
        CatalogRelation("public", "guarded", policy="only_mine", calls=(("public", "e", 0),)),
    ]

    def verdicts(order: list[str]) -> dict[str, bool]:
        policy = FunctionPolicy(catalog_functions=functions, catalog_relations=relations)
        return {name: policy.refusal("", name, 0) is not None for name in order}

    expected = {name: name in "abcdefjk" for name in bodies}
    assert all(verdicts([name]) == {name: expected[name]} for name in bodies)
    assert verdicts(list(bodies)) == expected
    assert verdicts(list(reversed(bodies))) == expected


def test_a_refusal_through_a_policy_names_it_whatever_was_refused_before() -> None:
    functions = [honest("reads", "select count(*) from guarded"), honest("calls", "select reads()"), VOLATILE]
    guarded = CatalogRelation("public", "guarded", policy="only_mine", calls=(("app", "strike", 0),))

    def messages(*statements: str) -> list[str]:
        policy = FunctionPolicy(catalog_functions=functions, catalog_relations=[guarded])
        found = []
        for sql in statements:
            with pytest.raises(SqlRejectedError) as refused:
                validate(sql, functions=policy)
            found.append(str(refused.value))
        return found

    statements = ["select app.strike()", "select reads()", "select calls()", "table guarded"]
    separately = [message for sql in statements for message in messages(sql)]

    assert messages(*statements) == separately
    assert messages(*reversed(statements)) == separately[::-1]
    assert "only_mine" in separately[3]
