import pytest

from pgmcp.validation import FunctionPolicy, SqlRejectedError, StatementKind, validate
from testing.statements import attacks, honest_statements

_POLICY = FunctionPolicy()


@pytest.mark.parametrize("sql", honest_statements(), ids=lambda sql: sql[:60])
def test_an_honest_statement_passes(sql: str) -> None:
    validate(sql, functions=_POLICY)


@pytest.mark.parametrize("sql", attacks(), ids=lambda sql: ascii(sql)[:60])
def test_an_attack_is_refused_with_a_reason_and_a_hint(sql: str) -> None:
    with pytest.raises(SqlRejectedError) as refusal:
        validate(sql, functions=_POLICY)

    assert str(refusal.value)
    assert refusal.value.hint


def test_the_collections_are_as_large_as_promised_and_hold_no_statement_twice() -> None:
    assert len(set(attacks())) == len(attacks()) >= 400
    assert len(set(honest_statements())) == len(honest_statements()) >= 400
    assert not set(attacks()) & set(honest_statements())


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("select 1", "select 1"),
        ("select 1;", "select 1"),
        ("select 1 ; ;\n", "select 1"),
        ("select 1 -- done", "select 1"),
        ("select 1; -- done\n/* really */", "select 1"),
        ("  /* why */ select 1", "  /* why */ select 1"),
        ("select 1 -- one\n + 2", "select 1 -- one\n + 2"),
        ("select '; -- '", "select '; -- '"),
        ("\ufeffselect 1", "select 1"),
        ("select 'é' <=> '日本' ;", "select 'é' <=> '日本'"),
    ],
)
def test_the_text_that_runs_is_the_text_that_came_without_its_tail(sql: str, text: str) -> None:
    assert validate(sql, functions=_POLICY).text == text


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1", StatementKind.QUERY),
        ("(select 1) union (select 2)", StatementKind.QUERY),
        ("values (1)", StatementKind.QUERY),
        ("table customers", StatementKind.QUERY),
        ("with x as (select 1) select * from x", StatementKind.QUERY),
        ("explain select 1", StatementKind.EXPLAIN),
        ("explain (analyze off, verbose) select 1", StatementKind.EXPLAIN),
        ("explain (analyze 0) select 1", StatementKind.EXPLAIN),
        ("explain analyze verbose select 1", StatementKind.EXPLAIN_ANALYZE),
        ("explain (costs off, analyze) select 1", StatementKind.EXPLAIN_ANALYZE),
        ("explain (analyze 'ON') select 1", StatementKind.EXPLAIN_ANALYZE),
        ("explain (analyze false, analyze 1) select 1", StatementKind.EXPLAIN_ANALYZE),
        ("show work_mem", StatementKind.SHOW),
    ],
)
def test_the_kind_says_what_the_executor_can_do_with_it(sql: str, kind: StatementKind) -> None:
    assert validate(sql, functions=_POLICY).kind is kind


def test_tables_are_named_as_written_in_order_and_without_the_names_of_with() -> None:
    sql = """
        with recent as (select * from shop.orders)
        select (select max(price) from "Price List") from recent join customers using (id), shop.orders
    """

    assert validate(sql, functions=_POLICY).tables == ("shop.orders", "Price List", "customers")


@pytest.mark.parametrize(
    ("sql", "offending"),
    [
        ("select 1, pg_sleep(10)", "pg_sleep"),
        ("select 'é日本', pg_sleep(10)", "pg_sleep"),
        ("select * from customers c, pg_shadow", "pg_shadow"),
        ("select s.subconninfo from pg_subscription s", "subconninfo"),
        ("select 'é', to_json(s) from pg_subscription s", "s"),
        ("select s.* from pg_subscription s", "s.*"),
        ("select s.row_to_json from pg_subscription s", "s.row_to_json"),
        ("with x as (delete from orders returning *) select * from x", "DELETE"),
        ("select 1 === 2", "==="),
        ("select * from customers for update", "FOR"),
        ("select 1; drop table customers", "DROP"),
        ("copy customers to stdout", "COPY"),
        ("select $1", "$1"),
        ("select (1", "("),
        ("select 'no end", "'no end"),
        ('select U&"pg\\005Fsleep"(1)', "pg_sleep"),
        ("select * FORM customers", "FORM"),
        ("select 'é日本' FORM customers x", "customers"),
        ("explain delete from orders", "DELETE"),
        ("explain (surprise) select 1", "surprise"),
        ("select * into copy from orders", "INTO"),
        ("select * from orders tablesample evil (1)", "evil"),
        ("show primary_conninfo", "primary_conninfo"),
    ],
)
def test_a_refusal_names_the_offending_piece(sql: str, offending: str) -> None:
    with pytest.raises(SqlRejectedError) as refusal:
        validate(sql, functions=_POLICY)

    assert refusal.value.offending == offending


@pytest.mark.parametrize(
    ("sql", "piece"),
    [
        ("select 'é日本', pg_sleep(10)", "pg_sleep"),
        ("select * from customers c, pg_shadow", "pg_shadow"),
        ("with x as (delete from orders returning *) select * from x", "orders"),
        ("select 'é' === 2", "==="),
        ("select 'for update' from customers for update", "for update"),
        ("select '日本'; drop table customers", "drop"),
        ("select 'é', $1", "$1"),
        ("select 'é', (1", "(1"),
        ("select 'é日本' FORM customers x", "customers"),
    ],
)
def test_a_refusal_says_at_which_character(sql: str, piece: str) -> None:
    with pytest.raises(SqlRejectedError) as refusal:
        validate(sql, functions=_POLICY)

    assert refusal.value.position == sql.rindex(piece)


@pytest.mark.parametrize(
    ("sql", "advice"),
    [
        ("select * into x from orders", "without INTO"),
        ("select * from orders for share", "without the locking clause"),
        ("select pg_sleep(1)", "without waiting"),
        ("select nextval('s')", "pg_sequences"),
        ("select ts_rewrite('a'::tsquery, a) from t", "the words themselves"),
        ("select * from pgr_dijkstra('select 1', 1, 2)", "subquery or WITH"),
        ("select * from pg_authid", "pg_roles"),
        ("select * from pg_statistic", "pg_stats"),
        ("select revenue_of(1)", "PG_MCP_SERVER_ALLOWED_FUNCTIONS"),
        ("copy (select 1) to stdout", "write only the SELECT"),
        ("create table x as select 1", "the SELECT after AS"),
        ("begin", "read-only transaction of its own"),
        ("select $1", "write the value itself"),
        ("select 1; select 2", "one statement at a time"),
        ("explain analyze delete from orders", "EXPLAIN a SELECT"),
    ],
)
def test_a_refusal_says_what_to_write_instead(sql: str, advice: str) -> None:
    with pytest.raises(SqlRejectedError) as refusal:
        validate(sql, functions=_POLICY)

    assert advice in refusal.value.hint


@pytest.mark.parametrize(
    "sql",
    [
        'select * from U&"d!0061ta" uescape \'!\' as U&"a"',
        "select * from U&\"d\\0061ta\" UESCAPE '\\'",
    ],
)
def test_names_in_unicode_escapes_are_known_by_what_they_spell(sql: str) -> None:
    assert validate(sql, functions=_POLICY).tables == ("data",)


@pytest.mark.parametrize(
    "sql",
    [
        "with pg_shadow as (select 1 as a) select * from pg_shadow",
        "with pg_shadow as (select 1 as a), b as (select * from pg_shadow) select * from b",
        "with recursive pg_shadow as (select 1 as a union all select a + 1 from pg_shadow where a < 3) "
        "table pg_shadow",
        "with recursive b as (select * from pg_shadow), pg_shadow as (select 1 as a) select * from b",
        "with pg_shadow as (select 1 as a) select (select max(a) from (select * from pg_shadow) x)",
        "with pg_shadow as (select 1 as a) select 1 union select a from pg_shadow order by 1",
        "with pg_shadow as (select 1) select * from (with b as (table pg_shadow) table b) x",
    ],
)
def test_the_name_of_a_with_query_hides_a_refused_relation_in_its_scope(sql: str) -> None:
    validate(sql, functions=FunctionPolicy())


@pytest.mark.parametrize(
    "sql",
    [
        "with pg_shadow as (select 1 as a) select * from pg_catalog.pg_shadow",
        "with pg_shadow as (select * from pg_shadow) select * from pg_shadow",
        "with b as (select * from pg_shadow), pg_shadow as (select 1 as a) select * from b",
        "select * from (with pg_shadow as (select 1) table pg_shadow) x, pg_shadow",
        "select * from pg_shadow where exists (with pg_shadow as (select 1) table pg_shadow)",
        "(with pg_shadow as (select 1) table pg_shadow) union all table pg_shadow",
        "with b as (with pg_shadow as (select 1) table pg_shadow) select * from b, pg_shadow",
        'with "PG_SHADOW" as (select 1) table pg_shadow',
        "with a(pg_shadow) as (select 1) table pg_shadow",
    ],
)
def test_a_refused_relation_stays_refused_outside_the_scope_of_its_namesake(sql: str) -> None:
    with pytest.raises(SqlRejectedError, match="pg_shadow is not readable here"):
        validate(sql, functions=FunctionPolicy())
