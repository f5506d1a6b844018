"""The worked example of docs/roles.md runs as it is written there."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.examination import examine_remote
from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.cli.doctor.safety_checks import check_mapped_roles
from pgmcp.composition import open_pipeline
from pgmcp.errors import RoleRefusedError, UnmappedPrincipalError
from pgmcp.identity import Principal
from pgmcp.pipeline import CallOptions
from pgmcp.settings import Settings
from pgmcp.settings.address import find_address
from pgmcp.settings.load import load_settings

pytestmark = pytest.mark.anyio

_PAGE = (Path(__file__).parents[3] / "docs/roles.md").read_text("utf-8")
ROLES = ("shop_north", "shop_support", "pgmcp_login")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", _PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def example(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of the example, on a database that its SQL has made."""
    config = tmp_path_factory.mktemp("config") / "pgmcp.yaml"
    config.write_text(block("yaml"))
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(block("sql").encode())
        connection.execute("analyze; alter role pgmcp_login password 'example'")
        info = connection.info
        url = f"postgresql://pgmcp_login:example@{info.host}:{info.port}/{info.dbname}"
        yield load_settings({"PG_MCP_CONFIG_FILE": str(config), "SHOP_DATABASE_URL": url}, env_file=None)
        connection.execute("drop owned by shop_north, shop_support; drop table orders")
        for role in ROLES:
            connection.execute(f"drop role {role}".encode())


async def test_each_caller_gets_the_rows_that_the_page_says(example: Settings) -> None:
    support = {"groups": ["support"]}
    callers = [
        Principal("alice"),
        Principal("carol", claims={**support, "tenant": 1}),
        Principal("dave", claims={**support, "tenant": 2}),
        Principal("erin", claims=support),
    ]
    expected = re.findall(r"\| (?:`shop_\w+`) \| ([\d, none]+) \|", _PAGE)

    async with open_pipeline(example, None) as (pipeline, _):
        answers = [
            await pipeline.execute_sql(
                "select id, total from orders order by id", CallOptions(principal=caller)
            )
            for caller in callers
        ]
        with pytest.raises(UnmappedPrincipalError):
            await pipeline.execute_sql("select 1", CallOptions(principal=Principal("mallory")))

    ids = [", ".join(str(row[0]) for row in answer.rows.rows) for answer in answers if answer.rows]
    assert [each or "none" for each in ids] == expected
    assert all("row-level security applies to orders" in str(answer.notes) for answer in answers)


async def test_each_database_has_a_mapping_of_its_own(example: Settings) -> None:
    shop = example.databases["shop"]
    archive = replace(
        shop, roles=(("", "alice", "shop_support"),), claim_settings=(("app.tenant", "department"),)
    )
    settings = replace(example, databases={"shop": shop, "archive": archive})
    alice = Principal("alice", claims={"tenant": 1, "department": 2})
    carol = Principal("carol", claims={"groups": ["support"], "tenant": 1, "department": 2})
    who = "select current_user::text, string_agg(id::text, ', ' order by id) from orders"

    async with open_pipeline(settings, None) as (pipeline, _):
        seen = [
            await pipeline.execute_sql(who, CallOptions(principal=caller, database=database))
            for caller, database in ((alice, "shop"), (alice, "archive"), (carol, "shop"))
        ]
        with pytest.raises(UnmappedPrincipalError, match="archive"):
            await pipeline.execute_sql(who, CallOptions(principal=carol, database="archive"))

    assert [list(answer.rows.rows) for answer in seen if answer.rows] == [
        [["shop_north", "1, 2"]],
        [["shop_support", "2, 4"]],
        [["shop_support", "1, 3"]],
    ]


async def test_without_a_token_the_default_role_applies(example: Settings) -> None:
    database = replace(example.databases["shop"], default_role="shop_north")
    settings = replace(example, databases={"shop": database})

    async with open_pipeline(settings, None) as (pipeline, _):
        answer = await pipeline.execute_sql("select current_user::text, id from orders order by id")
        _, tables = await pipeline.schema.find_tables("", database=None, names=[], limit=10)

    assert answer.rows is not None
    assert list(answer.rows.rows) == [["shop_north", 1], ["shop_north", 2]]
    assert [(table.name, table.has_active_policies) for table in tables] == [("orders", True)]


async def test_a_role_that_can_write_is_refused_if_only_readers_are_served(
    example: Settings, module_database: str
) -> None:
    strict = replace(example.server, require_readonly_role=True)
    settings = replace(example, server=strict)
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("grant insert on orders to shop_north")
        try:
            async with open_pipeline(settings, None) as (pipeline, _):
                with pytest.raises(RoleRefusedError, match="'shop_north': it may write to 1 tables"):
                    await pipeline.execute_sql("select 1", CallOptions(principal=Principal("alice")))
                other = Principal("carol", claims={"groups": ["support"]})
                answer = await pipeline.execute_sql("select current_user::text", CallOptions(principal=other))
        finally:
            connection.execute("revoke insert on orders from shop_north")

    assert answer.rows is not None
    assert list(answer.rows.rows) == [["shop_support"]]


async def test_doctor_accepts_every_role(example: Settings) -> None:
    found = [result async for result in examine_remote(example, None)]

    lines = [f"{each.status:<4}  {each.check}: {each.text}" for each in found]
    assert block("text").strip().splitlines() == [line for line in lines if "mapped roles" in line]
    databases = [each for each in found if each.check.startswith("database")]
    assert [each for each in databases if each.status is not Status.OK] == []


@pytest.mark.parametrize(
    ("change", "restore", "status", "expected", "hint"),
    [
        (
            "revoke shop_north from pgmcp_login", "grant shop_north to pgmcp_login", Status.FAIL,
            "pgmcp_login may not become shop_north",
            'GRANT "shop_north" TO "pgmcp_login" WITH INHERIT FALSE, SET TRUE',
        ),
        (
            "alter role shop_north rename to moved", "alter role moved rename to shop_north", Status.FAIL,
            "there is no role shop_north", 'CREATE ROLE "shop_north"',
        ),
        (
            "alter role shop_north bypassrls", "alter role shop_north nobypassrls", Status.WARN,
            "it has BYPASSRLS: no policy binds it", "that can only read",
        ),
        (
            "alter role shop_north superuser", "alter role shop_north nosuperuser", Status.WARN,
            "it is a superuser: neither grants nor policies bind it", "that can only read",
        ),
        (
            "revoke shop_north from pgmcp_login; grant pgmcp_login to shop_north with inherit true;"
            "alter role pgmcp_login superuser",
            "revoke pgmcp_login from shop_north; alter role pgmcp_login nosuperuser;"
            "grant shop_north to pgmcp_login",
            Status.WARN, "it has the rights of pgmcp_login: it sees in pg_stat_activity what others run",
            "that can only read",
        ),
    ],
)  # fmt: skip
async def test_a_problem_of_a_role_is_reported_with_a_hint(
    example: Settings,
    module_database: str,
    change: str,
    restore: str,
    status: Status,
    expected: str,
    hint: str,
) -> None:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(change.encode())
        try:
            results = await _examine(example)
        finally:
            connection.execute(restore.encode())

    (result,) = [each for each in results if each.check.endswith("mapped roles: shop_north")]
    assert (result.status, expected in result.text, hint in result.hint) == (status, True, True), result


async def _examine(settings: Settings) -> list[CheckResult]:
    async with open_pipeline(settings, None) as (pipeline, _):
        database = settings.databases["shop"]
        context = CheckContext(pipeline.databases.get("shop"), pipeline, find_address(database), settings, "")
        return await check_mapped_roles(context, "database shop: mapped roles")
