"""What `pgmcp doctor` reports about databases: the cause of each failed connection, and a hint."""

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import trustme
from psycopg.conninfo import make_conninfo

from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.databases import examine_database
from pgmcp.cli.doctor.examination import examine_remote
from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.cli.doctor.safety_checks import check_read_only
from pgmcp.composition import open_pipeline
from pgmcp.settings.address import find_address
from pgmcp.settings.load import load_settings
from testing.issuer import RESOURCE, Issuer
from testing.mcp_server import SHOP_CONTEXT
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.tcp_proxy import tcp_proxy
from testing.tls_postgres import TlsPostgres

pytestmark = pytest.mark.anyio

CONNECTION = "database main: connection"


async def examine(environ: dict[str, str]) -> dict[str, CheckResult]:
    settings = load_settings(environ, env_file=None)
    return {result.check: result async for result in examine_remote(settings, None)}


async def failure_of(url: str, **variables: str) -> CheckResult:
    """Return the only result for a database to which no connection is possible."""
    results = await examine({"PG_MCP_DATABASE_URL": url, **variables})
    (failure,) = [result for check, result in results.items() if check.startswith("database")]
    assert failure.check == CONNECTION
    assert failure.status is Status.FAIL
    return failure


def with_parts(url: str, *, password: str = "", port: int | None = None, dbname: str = "") -> str:
    parts = urlsplit(url)
    netloc = f"{parts.username}:{password or parts.password}@{parts.hostname}:{port or parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{dbname}" if dbname else parts.path))


async def test_a_reader_of_an_analysed_database_passes_every_check(shop_url: str) -> None:
    results = await examine({"PG_MCP_DATABASE_URL": shop_url, "PG_MCP_CONTEXT_FILE": str(SHOP_CONTEXT)})

    databases = [result for check, result in results.items() if check.startswith("database")]
    assert [result for result in databases if result.status is not Status.OK] == []
    assert "25006" in results["database main: read-only"].text
    assert results["database main: cancel"].text.startswith("tested")
    assert "PostgreSQL 18" in results["database main: version"].text


async def test_a_wrong_port_is_named(shop_url: str) -> None:
    failure = await failure_of(with_parts(shop_url, port=1))

    assert "Connection refused" in failure.text
    assert "127.0.0.1:1" in failure.text
    assert failure.hint.startswith("no server listens on that host and port")
    assert "PG_MCP_DATABASE_PORT" in failure.hint


async def test_the_issuer_and_the_fleet_are_checked_whether_the_database_answers_or_not(
    shop_url: str,
) -> None:
    with Issuer() as issuer:
        results = await examine(
            {
                "PG_MCP_DATABASE_URL": with_parts(shop_url, port=1),
                "PG_MCP_HTTP_PUBLIC_URL": RESOURCE,
                "PG_MCP_HTTP_ISSUER": issuer.url,
                "PG_MCP_RATE_LIMIT_STORAGE_URL": "redis://127.0.0.1:9/0",
            }
        )

    assert results["http: issuer"].status is Status.OK
    fleet = [result.status for check, result in results.items() if check.startswith("fleet")]
    assert fleet == [Status.FAIL]
    assert results[CONNECTION].status is Status.FAIL


async def test_a_port_of_something_else_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        failure = await failure_of(f"postgresql://reader@127.0.0.1:{port}/shop?connect_timeout=2")

    assert f"127.0.0.1:{port}" in failure.text
    assert "firewall" in failure.hint


async def test_a_wrong_password_is_named_and_not_shown(shop_url: str) -> None:
    failure = await failure_of(with_parts(shop_url, password="Quagga-1"))

    assert failure.text.startswith("auth: ")
    assert "password authentication failed" in failure.text
    assert failure.hint.startswith("the user or the password is wrong")
    assert "Quagga" not in failure.text


async def test_a_missing_password_is_named(shop_url: str) -> None:
    failure = await failure_of(
        shop_url.replace(f":{urlsplit(shop_url).password}@", "@"), PGPASSFILE="/dev/null"
    )

    assert "no password supplied" in failure.text
    assert failure.hint.startswith("the server asks for a password: set PG_MCP_DATABASE_PASSWORD")


async def test_a_database_that_does_not_exist_is_named(shop_url: str) -> None:
    failure = await failure_of(with_parts(shop_url, dbname="nowhere"))

    assert 'database "nowhere" does not exist' in failure.text
    assert "PG_MCP_DATABASE_DBNAME" in failure.hint


@pytest.mark.parametrize(
    ("service_file", "words", "hint"),
    [
        ("[other]\nhost=127.0.0.1\n", "definition of service", "correct PG_MCP_DATABASE_SERVICE"),
        ("[shop]\nhost 127.0.0.1\n", "syntax error in service file", "below [NAME] each line is"),
    ],
)
async def test_a_mistake_in_the_service_file_is_named(
    service_file: str, words: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pg_service.conf"
    file.write_text(service_file)
    monkeypatch.setenv("PGSERVICEFILE", str(file))

    results = await examine({"PG_MCP_DATABASE_SERVICE": "shop"})

    (failure,) = [result for check, result in results.items() if check.startswith("database")]
    assert failure.status is Status.FAIL
    assert words in failure.text
    assert hint in failure.hint


async def test_a_server_without_the_tls_that_the_settings_require_is_named(shop_url: str) -> None:
    failure = await failure_of(shop_url, PG_MCP_DATABASE_SSL_MODE="require")

    assert "server does not support SSL" in failure.text
    assert failure.hint.startswith("the server does not use TLS")


async def test_a_server_that_requires_tls_is_named(tls_server: TlsPostgres) -> None:
    failure = await failure_of(tls_server.url("tls_only", sslmode="disable"))

    assert "no encryption" in failure.text
    assert "ssl mode disable" in failure.text
    assert "PG_MCP_DATABASE_SSL_MODE=require" in failure.hint


@pytest.mark.parametrize("root", ["system", "another CA"])
async def test_a_private_ca_that_is_not_trusted_is_named(root: str, tls_server: TlsPostgres) -> None:
    root_cert = str(tls_server.other_ca_file) if root == "another CA" else root
    failure = await failure_of(
        tls_server.url(host="localhost"),
        PG_MCP_DATABASE_SSL_MODE="verify-full",
        PG_MCP_DATABASE_SSL_ROOT_CERT=root_cert,
    )

    assert failure.text.startswith("unreachable: ")
    assert "certificate verify failed" in failure.text
    assert "PG_MCP_DATABASE_SSL_ROOT_CERT" in failure.hint


async def test_a_certificate_for_another_name_is_named(tls_server: TlsPostgres) -> None:
    failure = await failure_of(
        tls_server.url(),
        PG_MCP_DATABASE_SSL_MODE="verify-full",
        PG_MCP_DATABASE_SSL_ROOT_CERT=str(tls_server.ca_file),
    )

    assert 'server certificate for "localhost" does not match' in failure.text
    assert failure.hint.startswith("the server's certificate is for another host name")


async def test_a_key_file_that_others_may_read_is_named(tls_server: TlsPostgres, tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("me@example.org")
    cert_file, key_file = tmp_path / "me.pem", tmp_path / "me.key"
    certificate.cert_chain_pems[0].write_to_path(cert_file)
    certificate.private_key_pem.write_to_path(key_file)
    key_file.chmod(0o644)

    failure = await failure_of(
        tls_server.url("tls_only", sslmode="require", sslcert=str(cert_file), sslkey=str(key_file))
    )

    assert "has group or world access" in failure.text
    assert "chmod 600" in failure.hint


async def test_verified_tls_is_reported_with_its_version(tls_server: TlsPostgres) -> None:
    results = await examine(
        {
            "PG_MCP_DATABASE_URL": tls_server.url("tls_only", host="localhost"),
            "PG_MCP_DATABASE_SSL_MODE": "verify-full",
            "PG_MCP_DATABASE_SSL_ROOT_CERT": str(tls_server.ca_file),
        }
    )

    assert results["database main: TLS"].status is Status.OK
    assert results["database main: TLS"].text.startswith("TLSv1.")
    assert results["database main: TLS"].text.endswith("the server's certificate is checked")


async def test_an_unchecked_certificate_is_reported(tls_server: TlsPostgres) -> None:
    results = await examine({"PG_MCP_DATABASE_URL": tls_server.url("tls_only")})

    assert "ssl mode prefer: any certificate is accepted" in results["database main: TLS"].text


@pytest.mark.parametrize("role", ["unlisted", "rejected"])
async def test_a_refusal_by_pg_hba_is_named(role: str, tls_server: TlsPostgres) -> None:
    failure = await failure_of(tls_server.url(role))

    assert failure.text.startswith("auth: ")
    assert "pg_hba.conf" in failure.text
    assert failure.hint.startswith("the server's pg_hba.conf does not accept this user")


async def test_a_database_that_stops_during_the_checks_is_reported_once(shop_url: str) -> None:
    target = urlsplit(shop_url).port
    assert target is not None
    async with tcp_proxy(target) as proxy:
        environ = {"PG_MCP_DATABASE_URL": with_parts(shop_url, port=proxy.port)}
        settings = load_settings({**environ, "PG_MCP_DATABASE_MIN_POOL_SIZE": "0"}, env_file=None)
        async with open_pipeline(settings, None) as (pipeline, _):
            address = find_address(settings.databases["main"])
            context = CheckContext(pipeline.databases.get("main"), pipeline, address, settings, "")
            results = examine_database(context)
            first = await anext(results)
            await proxy.refuse()
            rest = [result async for result in results]

    assert first.status is Status.OK
    assert [(result.check, result.status) for result in rest] == [("database main: TLS", Status.FAIL)]
    assert rest[0].text.startswith("unreachable: ")
    assert rest[0].hint


async def test_a_failing_database_does_not_affect_the_checks_of_another(shop_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        results = await examine(
            {
                "PG_MCP_DATABASES__BAD__URL": f"postgresql://reader@127.0.0.1:{port}/shop?connect_timeout=2",
                "PG_MCP_DATABASES__GOOD__URL": shop_url,
            }
        )

    statuses = {check: result.status for check, result in results.items()}
    assert statuses["database bad: connection"] is Status.FAIL
    assert statuses["database good: connection"] is Status.OK
    assert "database good: cancel" in statuses


async def test_a_pooler_in_transaction_mode_passes_every_check(shop_url: str) -> None:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("pgbouncer is not installed")
    with PgBouncer(program, shop_url, pool_size=3) as bouncer:
        results = await examine({"PG_MCP_DATABASE_URL": bouncer.url(shop_url)})

    databases = [result for check, result in results.items() if check.startswith("database")]
    assert [result for result in databases if result.status is not Status.OK] == []
    assert results["database main: TLS"].text == (
        "the pooler is on this machine; the pooler connects to the server on the same machine without TLS"
    )


async def test_an_empty_database_is_not_taken_for_missing_grants(new_database: Callable[[], str]) -> None:
    grants = (await examine({"PG_MCP_DATABASE_URL": new_database()}))["database main: grants"]

    assert grants.status is Status.WARN
    assert grants.text == "there is no table or view in the schemas that the role postgres may use"


async def test_a_role_with_grants_on_partitions_alone_reads_them(new_database: Callable[[], str]) -> None:
    url = new_database()
    role = f"reader_{url.rpartition('/')[2]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"""
            create role {role} login password 'p';
            create table sales (region text) partition by list (region);
            create table sales_eu partition of sales for values in ('eu');
            create table sales_us partition of sales for values in ('us');
            grant select on sales_eu to {role};
            """.encode()
        )
        try:
            results = await examine({"PG_MCP_DATABASE_URL": make_conninfo(url, user=role, password="p")})
        finally:
            connection.execute(f"drop owned by {role}; drop role {role}".encode())

    assert results["database main: grants"].text == (
        "the role may read 1 table or view, but not 1 other in its schemas: public.sales"
    )


async def test_two_connections_are_enough_to_test_a_cancel(new_database: Callable[[], str]) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "create role limited login password 'limited' connection limit 2; create table t (id int)"
        )
        admin.execute("grant select on t to limited; insert into t values (1); analyze t")
        limited = make_conninfo(url, user="limited", password="limited")
        try:
            results = await examine({"PG_MCP_DATABASE_URL": limited})
        finally:
            admin.execute("drop owned by limited; drop role limited")

    databases = [result for check, result in results.items() if check.startswith("database")]
    not_ok = [result.check for result in databases if result.status is not Status.OK]
    assert not_ok == []
    assert results["database main: cancel"].text.startswith("tested")


async def test_a_superuser_is_warned_of_with_the_hint(new_database: Callable[[], str]) -> None:
    role = (await examine({"PG_MCP_DATABASE_URL": new_database()}))["database main: role"]

    assert role.status is Status.WARN
    assert "superuser" in role.text
    assert "pgmcp setup-sql" in role.hint


async def test_a_superuser_fails_if_the_settings_require_a_read_only_role(
    new_database: Callable[[], str],
) -> None:
    environ = {
        "PG_MCP_DATABASE_URL": new_database(),
        "PG_MCP_SERVER_REQUIRE_READONLY_ROLE": "true",
    }

    role = (await examine(environ))["database main: role"]

    assert role.status is Status.FAIL
    assert role.text.startswith("role_refused: ")


async def test_transactions_that_may_write_are_reported_and_not_tested(
    new_database: Callable[[], str],
) -> None:
    environ = {
        "PG_MCP_DATABASE_URL": new_database(),
        "PG_MCP_SERVER_USE_READONLY_TRANSACTIONS": "false",
    }

    read_only = (await examine(environ))["database main: read-only"]

    assert read_only.status is Status.WARN
    assert read_only.hint == "set PG_MCP_SERVER_USE_READONLY_TRANSACTIONS=true"


async def test_a_write_that_is_not_refused_fails_and_leaves_nothing(new_database: Callable[[], str]) -> None:
    url = new_database()
    believed = load_settings({"PG_MCP_DATABASE_URL": url}, env_file=None)
    switched_off = {"PG_MCP_DATABASE_URL": url, "PG_MCP_SERVER_USE_READONLY_TRANSACTIONS": "false"}
    async with open_pipeline(load_settings(switched_off, env_file=None), None) as (pipeline, _):
        address = find_address(believed.databases["main"])
        context = CheckContext(pipeline.databases.get("main"), pipeline, address, believed, "")
        result = await check_read_only(context, "read-only")
        proofs = await context.fetch("select count(*) from pg_class where relname ~ 'pgmcp_doctor'")

    assert result.status is Status.FAIL
    assert result.hint
    assert proofs == [[0]]


@pytest.mark.parametrize(
    ("state", "is_reported"),
    [("enable", True), ("enable always", True), ("enable replica", False), ("disable", False)],
)
async def test_an_event_trigger_that_runs_at_each_login_is_named(
    new_database: Callable[[], str], state: str, is_reported: bool
) -> None:
    url = new_database()
    with psycopg.connect(url) as connection:
        if connection.info.server_version < 170000:
            pytest.skip("login event triggers came with PostgreSQL 17")
        connection.execute("create function greet() returns event_trigger language plpgsql as 'begin end'")
        connection.execute("create event trigger greeter on login execute function greet()")
        connection.execute(f"alter event trigger greeter {state}".encode())

    results = await examine({"PG_MCP_DATABASE_URL": url})

    reported = results.get("database main: login triggers")
    assert (reported is not None) is is_reported
    if reported is not None:
        assert reported.status is Status.WARN
        assert reported.text.endswith(": greeter")
        assert reported.hint


async def test_tables_without_statistics_are_named(new_database: Callable[[], str]) -> None:
    url = new_database()
    with psycopg.connect(url) as connection:
        connection.execute("create table known as select 1 as id; create table unknown as select 1 as id")
        connection.execute("create table empty (id int); analyze known")

    statistics = (await examine({"PG_MCP_DATABASE_URL": url}))["database main: statistics"]

    assert statistics.status is Status.WARN
    assert statistics.text == "1 of 2 tables with rows have no statistics: public.unknown"
    assert "ANALYZE" in statistics.hint


async def test_hidden_statements_of_the_server_are_reported(new_database: Callable[[], str]) -> None:
    url = new_database()
    dbname = urlsplit(url).path.strip("/")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"alter database {dbname} set track_activities = off".encode())

    cancel = (await examine({"PG_MCP_DATABASE_URL": url}))["database main: cancel"]

    assert cancel.status is Status.WARN
    assert "track_activities" in cancel.hint


async def test_the_data_sent_to_the_provider_is_listed_with_settings_that_prevent_it(shop_url: str) -> None:
    environ = {"PG_MCP_DATABASE_URL": shop_url, "PG_MCP_OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}

    reported = (await examine(environ))["database main: data sent"]
    reported_without_values = (await examine({**environ, "PG_MCP_SERVER_SEND_VALUES": "false"}))[
        "database main: data sent"
    ]

    assert reported.text.startswith("with a question to 127.0.0.1:9, never rows: names and types of 7 tables")
    assert "customers.country" in reported.text
    assert "PG_MCP_SERVER_SEND_VALUES=false" in reported.text
    assert reported_without_values.text.endswith("and no values")


async def test_a_role_that_may_read_no_table_is_a_warning(new_database: Callable[[], str]) -> None:
    leaves = (await examine({"PG_MCP_DATABASE_URL": new_database()}))["database main: data sent"]

    assert leaves.status is Status.WARN
    assert "GRANT" in leaves.hint


async def test_a_verified_question_that_no_longer_runs_is_named(shop_url: str, tmp_path: Path) -> None:
    context = tmp_path / "context.yaml"
    context.write_text(
        "databases:\n  main:\n    verified:\n"
        "      - {question: How many customers, sql: select count(*) from customers}\n"
        "      - {question: How many clients, sql: select count(*) from clients}\n"
    )
    environ = {"PG_MCP_DATABASE_URL": shop_url, "PG_MCP_CONTEXT_FILE": str(context)}

    verified = (await examine(environ))["database main: verified questions"]

    assert verified.status is Status.FAIL
    assert verified.text.startswith("1 of 2 cannot run: 'How many clients' (statement_failed: ")
    assert "PG_MCP_CONTEXT_FILE" in verified.hint


async def test_the_tools_of_the_context_file_are_named_with_their_tokens_or_mistakes(
    shop_url: str, tmp_path: Path
) -> None:
    context = tmp_path / "context.yaml"
    environ = {"PG_MCP_DATABASE_URL": shop_url, "PG_MCP_CONTEXT_FILE": str(context)}
    good = "databases:\n  main:\n    verified:\n      - {question: How many, tool: how_many, sql: select 1}\n"

    context.write_text(good)
    offered = (await examine(environ))["database main: verified tools"]
    context.write_text(f"{good}      - {{question: Others, tool: how many, sql: select 2}}\n")
    mistaken = (await examine(environ))["database main: verified tools"]
    context.write_text(f"{good}      - {{question: {'long ' * 700}, tool: large, sql: select 2}}\n")
    large = (await examine(environ))["database main: verified tools"]

    assert offered.status is Status.OK
    assert offered.text.startswith("how_many: about ")
    assert mistaken.status is Status.FAIL
    assert "context.yaml:5: databases.main.verified[1]: the tool's name 'how many'" in mistaken.text
    assert large.status is Status.FAIL
    assert "tool large is not offered: it takes about " in large.text
    assert "PG_MCP_CONTEXT_FILE" in mistaken.hint


async def test_patterns_that_match_nothing_are_reported_with_similar_names(shop_url: str) -> None:
    environ = {
        "PG_MCP_DATABASE_URL": shop_url,
        "PG_MCP_DATABASE_EXCLUDE_SCHEMAS": "publik,tmp_*",
        "PG_MCP_SERVER_HIDDEN_VALUES": "Customers.City,customer.city,no*where",
    }

    patterns = (await examine(environ))["database main: patterns"]

    assert patterns.status is Status.FAIL
    assert patterns.text == (
        "PG_MCP_DATABASE_EXCLUDE_SCHEMAS: no schema matches publik (near: public); "
        "PG_MCP_DATABASE_EXCLUDE_SCHEMAS: no schema matches tmp_*; "
        "PG_MCP_SERVER_HIDDEN_VALUES: no column matches customer.city "
        "(near: customers.city, customers.id, orders.customer_id); "
        "PG_MCP_SERVER_HIDDEN_VALUES: no column matches no*where"
    )


async def test_a_wildcard_that_matches_nothing_yet_is_a_warning(shop_url: str) -> None:
    environ = {"PG_MCP_DATABASE_URL": shop_url, "PG_MCP_DATABASE_EXCLUDE_SCHEMAS": "tmp_*"}

    assert (await examine(environ))["database main: patterns"].status is Status.WARN


async def test_a_role_without_grants_and_views_that_ignore_policies_give_warnings(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    role = f"reader_{url.rpartition('/')[2]}"
    reader = make_conninfo(url, user=role, password="p")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"""
            create role {role} login password 'p';
            create table tenants (id int, name text);
            alter table tenants enable row level security;
            create view all_tenants as select * from tenants;
            create view own_tenants with (security_invoker) as select * from tenants;
            """.encode()
        )
        try:
            without = await examine({"PG_MCP_DATABASE_URL": reader})
            connection.execute(f"grant select on all tables in schema public to {role}".encode())
            granted = await examine({"PG_MCP_DATABASE_URL": reader})
            connection.execute(f"revoke select on all_tenants from {role}".encode())
            partly = await examine({"PG_MCP_DATABASE_URL": reader})
        finally:
            connection.execute(f"drop owned by {role}; drop role {role}".encode())

    assert without["database main: grants"].text == (
        f"the role {role} may read none of the 3 tables and views in its schemas"
    )
    assert "but not 1 other in its schemas: public.all_tenants" in partly["database main: grants"].text
    assert without["database main: grants"].status is Status.WARN
    assert f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}" in without["database main: grants"].hint
    assert "database main: row security" not in without
    assert granted["database main: row security"].status is Status.WARN
    assert "public.all_tenants (of public.tenants)" in granted["database main: row security"].text
    assert "own_tenants" not in granted["database main: row security"].text
