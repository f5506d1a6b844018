import re
from dataclasses import replace
from importlib.resources import files

import pytest

from pgmcp.validation import CatalogFunction, FunctionPolicy, SqlRejectedError, validate
from pgmcp.validation.catalog_objects import CatalogCast
from pgmcp.validation.name_lookup import NameReading
from pgmcp.validation.refusal_reasons import HINT_BY_REASON, TEXT_BY_REASON, RefusalReason
from scripts.generate_function_list import classify, documented_functions

_SUPPORTED_MAJORS = (13, 14, 15, 16, 17, 18)


def _refusal(call: str, policy: FunctionPolicy) -> str:
    with pytest.raises(SqlRejectedError) as refusal:
        validate(f"select {call}", functions=policy)
    return str(refusal.value)


def _passes(call: str, policy: FunctionPolicy) -> None:
    validate(f"select {call}", functions=policy)


def _shipped_rows(name: str) -> list[list[str]]:
    lines = files("pgmcp.validation").joinpath(name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[2:]]


def _majors(written: str) -> set[int]:
    """Return the majors of a cell such as `13-14,18`."""
    ends = ([int(end) for end in run.split("-")] for run in written.split(","))
    return {major for run in ends for major in range(run[0], run[-1] + 1)}


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


def test_the_star_of_a_setting_stays_within_a_name() -> None:
    policy = FunctionPolicy(allowed=["pg_*", "pu*", "finance.*"])

    assert "sequence" in _refusal("nextval('s')", policy)
    assert "not on the list" in _refusal("revenue(1)", policy)
    assert "not on the list" in _refusal('"finance.revenue"(1)', policy)


_EXTENSIONS = (
    CatalogFunction("public", "similarity", "i", extension="pg_trgm"),
    CatalogFunction("public", "similarity_op", "s", extension="pg_trgm", operators=("%",)),
    CatalogFunction("public", "word_similarity_op", "s", extension="pg_trgm", operators=("<%",)),
    CatalogFunction("public", "crosstab", "s", extension="tablefunc"),
    CatalogFunction("public", "max", "i", extension="citext"),
    CatalogFunction("public", "citext", "i", extension="citext", types=("citext",)),
    CatalogFunction("public", "hstore_to_json", "i", extension="hstore", types=("json",)),
)


def test_the_operator_can_deny_a_whole_extension() -> None:
    denied = ["extension:pg_trgm", "extension:citext", "extension:hstore"]
    policy = FunctionPolicy(denied=denied, catalog_functions=_EXTENSIONS)

    assert "operator of this server denies" in _refusal("similarity('a', 'b')", policy)
    assert "denies" in _refusal("public.similarity('a', 'b')", policy)
    assert "operator <% is not allowed: the operator of this server denies" in _refusal("'a' <% 'b'", policy)
    assert "denies" in _refusal("'a'::citext", policy)
    _passes("7 % 2, max(1), '{}'::json", policy)


def test_the_operator_can_allow_a_whole_extension() -> None:
    policy = FunctionPolicy(allowed=["extension:tablefunc"], catalog_functions=_EXTENSIONS)

    with pytest.raises(SqlRejectedError, match="SQL text") as refusal:
        validate("select crosstab('select 1')", functions=FunctionPolicy(catalog_functions=_EXTENSIONS))
    assert "FILTER (WHERE" in str(refusal.value.hint)
    _passes("crosstab('select 1')", policy)
    assert "other servers" in _refusal("dblink('x')", policy)


def test_an_allowed_extension_does_not_cover_its_namesakes() -> None:
    catalog = [
        *_EXTENSIONS,
        CatalogFunction("public", "crosstab", "v"),
        CatalogFunction("public", "nextval", "v", extension="tablefunc"),
    ]
    policy = FunctionPolicy(allowed=["extension:tablefunc"], catalog_functions=catalog)

    assert "volatile" in _refusal("crosstab('select 1')", policy)
    assert "sequence" in _refusal("nextval('s')", policy)


def test_an_extension_can_be_denied_and_a_function_of_it_cannot_be_allowed() -> None:
    policy = FunctionPolicy(
        allowed=["similarity"], denied=["extension:pg_trgm"], catalog_functions=_EXTENSIONS
    )

    assert "denies" in _refusal("similarity('a', 'b')", policy)


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
        (CatalogFunction("public", "revenue", "s", security_definer=True), "privileges of its owner"),
        (CatalogFunction("public", "revenue", "i", language="plpython3u"), "language"),
        (CatalogFunction("other", "revenue", "s"), "not on the list"),
    ],
)
def test_an_unsafe_function_of_the_database_is_refused(function: CatalogFunction, reason: str) -> None:
    assert reason in _refusal("public.revenue(1)", FunctionPolicy(catalog_functions=[function]))


def test_one_refused_overload_refuses_the_name() -> None:
    catalog = [CatalogFunction("public", "revenue", "i"), CatalogFunction("public", "revenue", "v")]

    assert "volatile" in _refusal("revenue(1)", FunctionPolicy(catalog_functions=catalog))


def test_a_built_in_name_that_the_database_reuses_must_be_written_out() -> None:
    policy = FunctionPolicy(catalog_functions=[CatalogFunction("public", "lower", "v")])

    assert "its own function of this name" in _refusal("lower('A')", policy)
    _passes("pg_catalog.lower('A')", policy)


def test_a_namesake_outside_the_search_path_shadows_nothing() -> None:
    catalog = [CatalogFunction("audit", "lower", "v")]

    _passes("lower('A')", FunctionPolicy(catalog_functions=catalog))
    assert "own function of this name" in _refusal(
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


def test_an_extension_function_that_the_catalog_lacks_is_refused() -> None:
    catalog = [CatalogFunction("extensions", "similarity", "i", extension="pg_trgm")]
    policy = FunctionPolicy(catalog_functions=catalog)

    _passes("extensions.similarity('a', 'b')", policy)
    for call in ("similarity('a', 'b')", "public.similarity('a', 'b')", "word_similarity('a', 'b')"):
        assert "no function of this name" in _refusal(call, policy)


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


def test_a_shipped_prefix_allows_only_functions_of_its_own_extension() -> None:
    catalog = [
        CatalogFunction("topology", "st_addisonode", "v", language="c", extension="postgis_topology"),
        CatalogFunction("topology", "st_geometrytype", "s", extension="postgis_topology"),
        CatalogFunction("topology", "geometry", "v", extension="postgis_topology"),
        CatalogFunction("topology", "polygonize", "v", extension="postgis_topology"),
        CatalogFunction("public", "st_generatepoints", "v", language="c", extension="postgis"),
        CatalogFunction("public", "st_unheard", "v", language="c", extension="unheard"),
        CatalogFunction("tiger", "postgis_extension_drop_if_exists", "v", extension="postgis_tiger_geocoder"),
        CatalogFunction("public", "st_addband", "i", language="c", extension="postgis"),  # until PostGIS 2.5
    ]
    policy = FunctionPolicy(catalog_functions=catalog)

    _passes("topology.st_geometrytype(t), topology.geometry(t), st_generatepoints(g, 5)", policy)
    for call in (
        "topology.st_addisonode('t', 0, g)",
        "topology.polygonize('t')",
        "st_unheard(g)",
        "tiger.postgis_extension_drop_if_exists('a', 'b')",
    ):
        assert "volatile" in _refusal(call, policy)
    assert "files" in _refusal("st_addband(r, 'x')", policy)
    assert "volatile" in _refusal("st_addisonode('t', 0, g)", FunctionPolicy())


@pytest.mark.parametrize(
    ("extension", "name"),
    [
        ("hll", "hll_add_agg"),
        ("hll", "hll_union_agg"),
        ("pointcloud", "pc_patch"),
        ("pointcloud", "pc_union"),
    ],
)
def test_a_listed_aggregate_is_not_refused_for_parts_that_do_not_say_what_they_are(
    extension: str, name: str
) -> None:
    part = CatalogFunction("public", f"{name}_step", "v", language="c", extension=extension)
    aggregate = CatalogFunction(
        "public", name, "i", language="internal", extension=extension, parts=(part,), operators=("<+>",)
    )
    policy = FunctionPolicy(catalog_functions=[aggregate])

    _passes(f"{name}(x), x <+> x", policy)
    unlisted = replace(aggregate, extension="unheard", parts=(replace(part, extension="unheard"),))
    assert "volatile" in _refusal(f"{name}(x)", FunctionPolicy(catalog_functions=[unlisted]))


def test_a_listed_function_of_a_cast_is_judged_by_its_row() -> None:
    cast = CatalogFunction("public", "tuple_to_rational", "v", extension="pg_rational", types=("rational",))

    _passes("x::rational", FunctionPolicy(catalog_functions=[cast]))
    unlisted = replace(cast, extension="unheard")
    assert "volatile" in _refusal("x::rational", FunctionPolicy(catalog_functions=[unlisted]))


@pytest.mark.parametrize(
    ("extension", "call"),
    [
        ("postgis_raster", "st_mapalgebra(r, 1, null, 'pg_backend_pid()')"),
        ("pgrouting", "_pgr_bridges('select 1')"),
    ],
)
def test_a_function_that_runs_its_text_is_refused_though_it_is_immutable(extension: str, call: str) -> None:
    function = CatalogFunction("public", call.partition("(")[0], "i", language="c", extension=extension)

    assert "SQL text" in _refusal(call, FunctionPolicy(catalog_functions=[function]))


def test_row_notation_cannot_call_what_a_call_cannot() -> None:
    trap = CatalogFunction("public", "wipe", "v", takes_one=True, takes_row=True)
    policy = FunctionPolicy(catalog_functions=[trap])

    assert "wipe" in _refusal("c.wipe from customers c", policy)
    assert "wipe" in _refusal("(c).wipe from customers c", policy)
    _passes("c.wipe from customers c", FunctionPolicy())


@pytest.mark.parametrize(
    "call",
    [
        "('secret.txt'::text).pg_read_file",
        "(4711).pg_advisory_lock",
        "(array[1::bigint])[1].pg_advisory_lock",
        "(select 'x'::text).dblink_exec",
        "c.pg_advisory_lock from generate_series(1, 2) as c",
        "unnest.pg_advisory_lock from unnest(array[1::bigint])",
        "coalesce.pg_advisory_lock from coalesce(1::bigint)",
        "(select c.pg_advisory_lock from generate_series(1, 2) c) from customers c",
        "(5).wipe",
        "c.wipe from generate_series(1, 2) as c",
    ],
)
def test_a_value_of_any_type_in_brackets_or_from_a_function_calls_nothing_that_a_call_cannot(
    call: str,
) -> None:
    trap = CatalogFunction("public", "wipe", "v", takes_one=True)

    assert "is not allowed" in _refusal(call, FunctionPolicy(catalog_functions=[trap]))


def test_columns_named_like_functions_that_they_cannot_call_pass() -> None:
    catalog = [
        CatalogFunction("public", "status", "v", takes_one=True),
        CatalogFunction("public", "updated_at", "v"),
    ]
    policy = FunctionPolicy(catalog_functions=catalog)

    _passes("o.status, o.updated_at, o.dblink, s.nextval from orders o, staging s", policy)
    _passes("r.updated_at, r.system, (r.place).city from report() as r", FunctionPolicy(allowed=["report"]))
    _passes("('abc'::text).upper, (c.address).city from customers c", policy)


def test_denied_functions_are_denied_in_brackets_too() -> None:
    assert "denies" in _refusal("('a'::text).upper", FunctionPolicy(denied=["upper"]))
    assert "denies" in _refusal("('a'::text).revenue", FunctionPolicy(denied=["revenue"]))


@pytest.mark.parametrize(
    ("sql", "symbol"),
    [
        ("case a when b then 1 end from t", "="),
        ("1 from t join u using (id)", "="),
        ("1 from t natural join u", "="),
        ("1 where 1 in (select 1)", "="),
        ("1 between 0 and 2", "<="),
        ("1 not between symmetric 0 and 2", "<"),
    ],
)
def test_operators_that_are_not_written_are_judged_too(sql: str, symbol: str) -> None:
    policy = FunctionPolicy(catalog_functions=[CatalogFunction("public", "wipe", "v", operators=(symbol,))])

    assert f"operator {symbol} is not allowed: it is volatile" in _refusal(sql, policy)
    _passes(sql, FunctionPolicy())


def test_an_operator_is_judged_by_its_function() -> None:
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


def test_an_operator_of_the_database_can_call_a_refused_built_in() -> None:
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
    trap_range = CatalogFunction("public", "trap", "i")
    policy = FunctionPolicy(catalog_functions=catalog)

    assert "a cast to type trap is not allowed: it is volatile" in _refusal("'x'::public.trap", policy)
    assert "trap" in _refusal("cast('x' as trap[])", policy)
    assert "is volatile" in _refusal("trap(1, 2)", FunctionPolicy(catalog_functions=[*catalog, trap_range]))
    assert "trap" in _refusal("* from json_to_record('{}') as t(a trap)", policy)
    _passes("'a@b'::email, 'x'::trapeze", policy)


def test_column_notation_casts_like_a_cast() -> None:
    checks = tuple(CatalogCast(name, name, is_chosen=False) for name in ("trap", "row_trap"))
    domains = CatalogFunction(
        "public", "wipe", "v", types=("trap", "row_trap"), row_types=("row_trap",), casts=checks
    )
    policy = FunctionPolicy(catalog_functions=[domains])

    assert "trap" in _refusal("(5).trap", policy)
    assert "trap" in _refusal("n.trap from generate_series(1, 2) as n", policy)
    assert "row_trap" in _refusal("c.row_trap from customers c", policy)
    _passes("c.trap from customers c", policy)


def test_a_type_whose_name_is_given_as_text_is_judged_too() -> None:
    policy = FunctionPolicy(catalog_functions=[CatalogFunction("public", "wipe", "v", types=("Trap",))])

    assert "trap" in _refusal("pg_input_is_valid('5', 'trap')", policy)
    assert "Trap" in _refusal("* from pg_input_error_info('5', 'public.\"Trap\"[]')", policy)
    assert "is computed" in _refusal("pg_input_is_valid('5', '\"tr\"\"ap\"')", policy)
    assert "is computed" in _refusal("pg_input_is_valid('5', 'u&\"tr\\0061p\"')", policy)
    assert "is computed" in _refusal("pg_input_is_valid('5', '\"tr\\u0061p\"'::jsonb::text)", policy)
    assert "is computed" in _refusal("pg_input_is_valid('5', 'tr' || 'ap')", policy)
    assert "is computed" in _refusal("pg_input_is_valid(type => 'trap', string => '5')", policy)
    _passes("pg_input_is_valid('5', 'numeric')", policy)
    _passes("pg_input_is_valid('5', name) from types", FunctionPolicy())


def test_the_argument_count_decides_where_one_overload_runs_sql_text() -> None:
    assert "SQL text" in _refusal("ts_rewrite('a'::tsquery, lower('select 1'))", FunctionPolicy())
    _passes("ts_rewrite('a'::tsquery, 'b'::tsquery, 'c'::tsquery)", FunctionPolicy())


@pytest.mark.parametrize(
    "namesake",
    [
        CatalogFunction("public", "ts_stat", "v", argument_types=(25,), min_arguments=1, max_arguments=1),
        CatalogFunction("public", "ts_stat", "s", extension="e", argument_types=(25,), max_arguments=1),
        CatalogFunction(
            "public", "wipe", "v", types=("ts_stat",), casts=(CatalogCast("ts_stat", "ts_stat", False),)
        ),
    ],
)
def test_a_text_is_not_judged_if_the_function_that_runs_it_may_be_another(namesake: CatalogFunction) -> None:
    call = "* from ts_stat('select to_tsvector(1)')"
    _passes(call, FunctionPolicy(catalog_functions=[]))
    assert _refusal(call, FunctionPolicy(catalog_functions=[namesake], search_path=("public", "pg_catalog")))
    _passes(call.replace("ts_stat", "pg_catalog.ts_stat"), FunctionPolicy(catalog_functions=[namesake]))


def test_a_body_may_not_call_a_function_with_an_overload_that_runs_sql_text() -> None:
    definition = """CREATE FUNCTION public.words() RETURNS tsquery LANGUAGE sql STABLE
        AS $$ SELECT ts_rewrite('a'::tsquery, 'select t, wi' || 'pe() from x') $$"""
    words = CatalogFunction("public", "words", "s", definition=definition)

    assert "SQL text" in _refusal("words()", FunctionPolicy(catalog_functions=[words]))


@pytest.mark.parametrize("reason", RefusalReason)
def test_every_reason_for_a_refusal_has_a_text_and_a_hint(reason: RefusalReason) -> None:
    assert TEXT_BY_REASON[reason]
    assert HINT_BY_REASON[reason]


@pytest.mark.parametrize(
    ("name", "arguments", "refusal"),
    [
        ("dblink_get_pkey", 1, None),
        ("dblink_exec", 1, RefusalReason.NETWORK),
        ("lo_oid", 1, None),
        ("lo_put", 3, RefusalReason.LARGE_OBJECTS),
    ],
)
def test_the_generator_of_the_list_agrees_with_it(
    name: str, arguments: int, refusal: RefusalReason | None
) -> None:
    assert classify(name, arguments, volatile=False, internal=False)[0] == refusal


def test_the_shipped_list_has_the_verdicts_that_people_wrote() -> None:
    text = files("pgmcp.validation").joinpath("extension_functions.tsv").read_text(encoding="utf-8")

    assert {function.row() for function in documented_functions()} - set(text.splitlines(True)) == set()


@pytest.mark.parametrize("name", ["builtin_functions.tsv", "extension_functions.tsv"])
def test_the_shipped_lists_are_sorted_and_name_nothing_twice(name: str) -> None:
    keys = [tuple(row[:-2]) for row in _shipped_rows(name)]

    assert keys == sorted(set(keys))


@pytest.mark.parametrize("name", ["builtin_functions.tsv", "extension_functions.tsv"])
def test_the_shipped_lists_say_of_which_servers_they_are_made(name: str) -> None:
    heading = files("pgmcp.validation").joinpath(name).read_text(encoding="utf-8").splitlines()[0]

    assert {int(major) for major in re.findall(r"\b(\d+)\.\d+", heading)} == set(_SUPPORTED_MAJORS)


@pytest.mark.parametrize("major", _SUPPORTED_MAJORS)
def test_the_list_of_built_ins_knows_every_supported_major(major: int) -> None:
    of_major = [row for row in _shipped_rows("builtin_functions.tsv") if major in _majors(row[-1])]

    assert len(of_major) > 2500


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("pg_start_backup('x')", "backups"),  # until 14
        ("pg_stop_backup()", "backups"),
        ("pg_catalog.pg_stop_backup(false)", "backups"),
        ("pg_read_file_old('postgresql.conf')", "files"),  # until 16
        ("pg_rotate_logfile_old()", "files"),
        ("pg_file_write('x', 'y', true)", "files"),  # adminpack, until 16
        ("pg_file_unlink('postgresql.conf')", "files"),
        ("pg_logdir_ls()", "files"),
        ("currtid('pg_class'::regclass, '(0,1)')", "internal"),  # until 13
        ("pg_get_wal_records_info_till_end_of_wal('0/1')", "write-ahead log"),  # pg_walinspect, 15
        ("isn_weak(true)", "settings"),  # says until 17 that it is immutable
        ("xpath_table('id', 'x', 'customers', '/a', 'true')", "SQL text"),
        ("xslt_process('<a/>', '<b/>')", "other servers"),
    ],
)
def test_unsafe_functions_of_other_versions_and_rarer_extensions_are_refused(call: str, reason: str) -> None:
    assert reason in _refusal(call, FunctionPolicy())


@pytest.mark.parametrize(
    "call",
    [
        "pg_is_in_backup(), pg_backup_start_time()",  # until 14
        "pg_stat_get_buf_written_backend()",  # until 16
        "now()::timetz at time zone 'utc'",  # volatile until 14
        "isn_weak()",
        "uuid_generate_v4(), gen_salt('bf'), pgp_sym_encrypt('x', 'y'), ssl_version()",
    ],
)
def test_reading_functions_of_other_versions_and_rarer_extensions_pass(call: str) -> None:
    _passes(call, FunctionPolicy())


def test_the_refused_built_ins_are_refused_by_name() -> None:
    refused = [
        name
        for name, verdict, _ in _shipped_rows("builtin_functions.tsv")
        if verdict.startswith("refused:") and name != "ts_rewrite"
    ]
    policy = FunctionPolicy()

    assert len(refused) > 500
    assert all(policy.refusal("pg_catalog", name, 1) for name in refused)


@pytest.mark.parametrize(
    ("call", "advice", "corrected"),
    [
        ("nextval('s')", "row_number() OVER (ORDER BY a)", "select row_number() over (order by id) from t"),
        ("currval('s')", "max(id) of the table", "select max(id) from t"),
        (
            "query_to_xml(q, true, false, '')",
            "xmlagg(xmlelement(name row, xmlforest(a, b)))",
            "select xmlagg(xmlelement(name row, xmlforest(id, note))) from t",
        ),
        ("ts_stat('select ' || x)", "tsvector_to_array(a)", "select unnest(tsvector_to_array(x)) from t"),
        ("setseed(0.5)", "ORDER BY md5(id::text)", "select id from t order by md5(id::text)"),
        (
            "pg_catalog.txid_current()",
            "txid_current_if_assigned()",
            "select txid_current_if_assigned(), txid_current_snapshot()",
        ),
        ("set_config('timezone', 'UTC', false)", "AT TIME ZONE", "select x at time zone 'UTC' from t"),
        ("ifnull(a, b)", "coalesce(a, b)", "select coalesce(a, b) from t"),
        ("datediff('day', a, b)", "a - b", "select a - b, extract(epoch from a - b) from t"),
        ("dateadd('day', 1, a)", "interval '1 day'", "select a + interval '1 day' from t"),
        ("group_concat(a)", "string_agg(a, ','", "select string_agg(a, ',' order by a) from t"),
        ("year(a)", "extract(year FROM a)", "select extract(year from a) from t"),
        ("date_format(a, '%Y')", "to_char(a, 'YYYY-MM-DD')", "select to_char(a, 'YYYY-MM-DD') from t"),
        (
            "median(a)",
            "percentile_cont(0.5) WITHIN GROUP",
            "select percentile_cont(0.5) within group (order by a) from t",
        ),
        ("json_extract(a, '$.b')", "a ->> 'key'", "select a ->> 'key', a #>> '{key,subkey}' from t"),
    ],
)
def test_the_hint_for_a_refused_function_is_what_to_write_instead(
    call: str, advice: str, corrected: str
) -> None:
    with pytest.raises(SqlRejectedError) as refusal:
        validate(f"select {call} from t", functions=FunctionPolicy())

    assert advice in str(refusal.value.hint)
    _accepts(corrected)


def _accepts(sql: str) -> None:
    validate(sql, functions=FunctionPolicy())


def test_a_function_of_the_database_is_not_advised_as_one_of_another_database() -> None:
    own = CatalogFunction("public", "year", "v", argument_types=(1082,), min_arguments=1, max_arguments=1)

    with pytest.raises(SqlRejectedError) as refusal:
        validate("select year(a) from t", functions=FunctionPolicy(catalog_functions=[own]))

    assert refusal.value.hint == HINT_BY_REASON[RefusalReason.VOLATILE]


def test_the_refusal_of_a_function_names_the_one_that_it_calls() -> None:
    writes = CatalogFunction("public", "log_it", "v", argument_types=())
    definition = "create function public.shows() returns int language sql stable as 'select log_it()'"
    shows = CatalogFunction("public", "shows", "s", argument_types=(), definition=definition)

    with pytest.raises(SqlRejectedError) as refusal:
        validate("select shows()", functions=FunctionPolicy(catalog_functions=[writes, shows]))

    message = (
        "function shows() is not allowed: it uses public.log_it, which is refused because it is volatile"
    )
    assert message in str(refusal.value)
    assert "adds public.log_it to PG_MCP_SERVER_ALLOWED_FUNCTIONS" in str(refusal.value.hint)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("json_array(1)", "json_array"),
        ("JSON_ARRAY()", "json_array"),
        ("json_arrayagg(a)", "json_arrayagg"),
        ("json_object(a)", "json_object"),
        ("json_object()", "json_object"),
        ("json(a)", "json"),
        ("json_scalar(1)", "json_scalar"),
        ("json_serialize(a)", "json_serialize"),
        ("json_exists(a, '$.b')", "json_exists"),
        ("json_query(a, '$.b')", "json_query"),
        ("json_value(a, '$.b')", "json_value"),
    ],
)
def test_json_syntax_is_a_call_on_servers_that_lack_it(call: str, name: str) -> None:
    """PostgreSQL 13 to 15, or 16, read these as ordinary calls of a function by its name."""
    own = CatalogFunction("public", name, "v")
    definition = (
        f"create function public.shows(a int) returns text language sql stable as $$ select {call} $$"
    )
    body = CatalogFunction("public", "shows", "s", definition=definition)
    in_plpgsql = f"create function p(a int) returns text language plpgsql as $$ begin return {call}; end $$"
    plpgsql = CatalogFunction("public", "p", "s", definition=in_plpgsql, language="plpgsql")
    policy = FunctionPolicy(catalog_functions=[own, body, plpgsql])

    with pytest.raises(SqlRejectedError, match="may change something") as refusal:
        validate(f"select {call} from t", functions=policy)
    assert "jsonb_build_object()" in str(refusal.value.hint)
    assert "may change something" in _refusal("shows(1)", policy)
    assert "may change something" in _refusal("p(1)", policy)
    _accepts(f"select {call} from t")
    validate("select jsonb_build_array(1), to_jsonb(1)", functions=FunctionPolicy(catalog_functions=[own]))


@pytest.mark.parametrize(
    ("sql", "reading"),
    [
        (f"select * from {'é' * 40}", NameReading("LATIN1")),
        (f'select * from "{"é" * 40}"', NameReading("LATIN1")),
        ("select * from Übersicht", NameReading("LATIN1", folds_beyond_ascii=True)),
        ("select 5::Übersicht", NameReading("LATIN1", folds_beyond_ascii=True)),
        ("select * from übersicht", NameReading("SQL_ASCII", folds_beyond_ascii=True)),
        ('select * from "a¦b"', NameReading("EUC_JP")),
        (r'''select * from U&"\00fcbersicht"''', NameReading("LATIN1")),
    ],
)
def test_a_name_that_the_encoding_may_turn_into_another_is_refused(sql: str, reading: NameReading) -> None:
    validate(sql, functions=FunctionPolicy())

    with pytest.raises(SqlRejectedError, match="the database's encoding may turn the name"):
        validate(sql, functions=FunctionPolicy(name_reading=reading))


@pytest.mark.parametrize(
    ("sql", "reading"),
    [
        ("select größe as länge from übersicht", NameReading("LATIN1", folds_beyond_ascii=True)),
        ('select "Größe" as "ÄÖÜ" from "Übersicht"', NameReading("LATIN1", folds_beyond_ascii=True)),
        ("select * from Übersicht", NameReading("LATIN1")),
        ("select 'Übersicht', 'a¦b' from 会社", NameReading("EUC_JP")),
        (f"select 1 as {'a' * 80}", NameReading("SQL_ASCII", folds_beyond_ascii=True)),
    ],
)
def test_a_name_that_the_encoding_keeps_is_accepted(sql: str, reading: NameReading) -> None:
    validate(sql, functions=FunctionPolicy(name_reading=reading))
