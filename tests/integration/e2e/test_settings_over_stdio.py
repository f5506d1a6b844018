"""Settings from an operator's files and variables, and their effect in a server."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.tokens import estimate_tokens
from testing.mcp_server import server_environment
from testing.prestarted import COMMAND
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

NewDatabase = Callable[[], str]

WHO = "select current_user::text"
WHERE = "select current_database()::text"


@pytest.fixture(scope="module")
def login(cluster: EmbeddedPostgres) -> Callable[[str, str], None]:
    """Return a function that makes a role with a password."""

    def make(role: str, password: str) -> None:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute(f"create role {role} login password '{password}'".encode())

    return make


def test_a_password_with_special_characters_works_in_a_url(
    cluster: EmbeddedPostgres, login: Callable[[str, str], None], start_server: StartServer
) -> None:
    login("e2e_url", "a@b%c/d:e#f?g h 100%25%zz")
    written = "a@b%c/d:e#f?g h 100%2525%zz"  # in a URL, `%25` must itself be encoded

    server = start_server(
        server_environment(f"postgresql://e2e_url:{written}@127.0.0.1:{cluster.port}/postgres")
    )

    assert server.call("execute_sql", sql=WHO).rows == [["e2e_url"]]


def test_the_parts_of_an_address_work_without_a_url(
    cluster: EmbeddedPostgres, login: Callable[[str, str], None], start_server: StartServer
) -> None:
    login("e2e_parts", "p@rts%")

    server = start_server(
        server_environment(
            database_host="127.0.0.1",
            database_port=str(cluster.port),
            database_dbname="postgres",
            database_user="e2e_parts",
            database_password="p@rts%",
        )
    )

    assert server.call("execute_sql", sql=WHO).rows == [["e2e_parts"]]


def test_a_pgpass_file_gives_the_password(
    cluster: EmbeddedPostgres, login: Callable[[str, str], None], start_server: StartServer, folder: Path
) -> None:
    login("e2e_pgpass", "from-the-file")
    pgpass = folder / ".pgpass"
    pgpass.write_text(f"127.0.0.1:{cluster.port}:*:e2e_pgpass:from-the-file\n")
    pgpass.chmod(0o600)

    server = start_server(
        server_environment(f"postgresql://e2e_pgpass@127.0.0.1:{cluster.port}/postgres", HOME=str(folder))
    )

    assert server.call("execute_sql", sql=WHO).rows == [["e2e_pgpass"]]


def test_a_service_file_gives_the_address(shop_url: str, start_server: StartServer, folder: Path) -> None:
    shop = urlsplit(shop_url)
    service_file = folder / "pg_service.conf"
    service_file.write_text(
        f"[shop]\nhost={shop.hostname}\nport={shop.port}\ndbname={shop.path[1:]}\n"
        f"user={shop.username}\npassword={shop.password}\n"
    )

    server = start_server(server_environment(database_service="shop", PGSERVICEFILE=str(service_file)))

    assert server.call("execute_sql", sql=WHERE).rows == [[shop.path[1:]]]


def test_of_several_hosts_the_one_that_answers_is_used(shop_url: str, start_server: StartServer) -> None:
    shop = urlsplit(shop_url)
    several = shop_url.replace(f"@{shop.hostname}", f"@127.0.0.1:1,{shop.hostname}")

    server = start_server(server_environment(f"{several}?target_session_attrs=prefer-standby"))

    assert server.call("execute_sql", sql=WHERE).rows == [[shop.path[1:]]]


def test_a_dotenv_file_is_read_but_the_environment_overrides_it(shop_url: str, folder: Path) -> None:
    (folder / ".env").write_text(f"PG_MCP_DATABASE_URL={shop_url}\nPG_MCP_DATABASE_NAME=from_file\n")

    with RawServer(server_environment(database_name="from_environment"), folder) as server:
        server.initialize()

        databases = server.request("resources/read", uri="databases://list")["result"]["contents"][0]["text"]
        assert databases == "from_environment"
        assert not server.call("execute_sql", sql="select count(*) from customers").is_error


def by_environment(urls: dict[str, str], folder: Path) -> dict[str, str]:
    return server_environment(**{f"PG_MCP_DATABASES__{name.upper()}__URL": url for name, url in urls.items()})


def by_yaml(urls: dict[str, str], folder: Path) -> dict[str, str]:
    document = {"databases": {name: {"url_env": f"URL_OF_{name.upper()}"} for name in urls}}
    config_file = folder / "config.yaml"
    config_file.write_text(yaml.safe_dump(document, sort_keys=False))
    return server_environment(
        config_file=str(config_file), **{f"URL_OF_{name.upper()}": url for name, url in urls.items()}
    )


@pytest.mark.parametrize("configure", [by_environment, by_yaml])
def test_several_databases_are_each_reached_by_every_tool(
    configure: Callable[[dict[str, str], Path], dict[str, str]],
    new_database: NewDatabase,
    start_server: StartServer,
    folder: Path,
) -> None:
    urls = {"sales": new_database(), "stock": new_database()}
    for name, url in urls.items():
        with psycopg.connect(url) as connection:
            connection.execute(f"create table {name}_log (id int primary key)".encode())
    server = start_server(configure(urls, folder))

    for name, url in urls.items():
        assert server.call("execute_sql", sql=WHERE, database=name).rows == [[urlsplit(url).path[1:]]]
        found = server.call("search_schema", database=name, detail="names").structured
        assert found["database"] == name
        assert f"{name}_log" in found["schema"]
        schema = server.request("resources/read", uri=f"schema://{name}")["result"]["contents"][0]["text"]
        assert f"{name}_log" in schema
    assert server.call("execute_sql", sql=WHERE).structured["database"] == "sales"
    assert list(server.call("refresh_schema").structured["databases"]) == ["sales", "stock"]
    assert list(server.call("refresh_schema", database="stock").structured["databases"]) == ["stock"]
    assert "databases: sales, stock" in server.call("execute_sql", sql=WHERE, database="x").text


def test_a_database_that_is_down_does_not_affect_the_others(
    new_database: NewDatabase, start_server: StartServer, folder: Path
) -> None:
    urls = {"sales": new_database(), "down": "postgresql://reader@127.0.0.1:1/x", "stock": new_database()}
    for name in ("sales", "stock"):
        with psycopg.connect(urls[name]) as connection:
            connection.execute(f"create table {name}_log (id int primary key, amount int)".encode())
            connection.execute(f"comment on table {name}_log is 'movements of the {name}'".encode())
    server = start_server(by_environment(urls, folder))

    refreshed = server.call("refresh_schema")
    found = server.call("search_schema", text="movements")
    listed = server.call("search_schema", tables=["stock_log"])
    unreachable = server.call("execute_sql", sql="select 1", database="down")
    failed = server.call("execute_sql", sql="select nothing from stock_log", database="stock")
    failed_by_default = server.call("execute_sql", sql="select nothing from sales_log")
    only_down = server.call("refresh_schema", database="down")

    for answer in (refreshed, found, listed):
        assert not answer.is_error
        assert list(answer.structured["errors"]) == ["down"]
        assert "unreachable: database down is not reachable" in answer.text
    assert list(refreshed.structured["databases"]) == ["sales", "stock"]
    assert found.structured["database"] == "sales, stock"
    assert found.text.index("database sales:") < found.text.index("sales_log") < found.text.index("stock_log")
    assert listed.structured["database"] == "stock"
    for answer in (unreachable, only_down):
        assert answer.is_error
        assert answer.text.startswith("unreachable: database down is not reachable: ")
    assert failed.text.startswith('statement_failed: database stock: column "nothing" does not exist')
    assert failed_by_default.text.startswith("statement_failed: database sales: ")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"database_port": "many"}, ["PG_MCP_DATABASE_PORT", "'many'", "from 1 to 65535"]),
        ({"context_file": "nowhere.yaml"}, ["PG_MCP_CONTEXT_FILE", "nowhere.yaml"]),
    ],
)
def test_a_server_with_unusable_settings_keeps_running_and_every_call_says_why(
    variables: dict[str, str], expected: list[str], folder: Path
) -> None:
    with RawServer(server_environment("postgresql://reader@127.0.0.1/x", **variables), folder) as server:
        server.initialize()
        tools = server.request("tools/list")["result"]["tools"]
        answers = [
            server.call("execute_sql", sql="select 1"),
            server.call("query", question="How many?"),
            server.call("search_schema"),
            server.call("refresh_schema"),
        ]
        refused = [
            server.request("resources/read", uri="databases://list"),
            server.request("prompts/get", name="explore_database"),
        ]
        warned = server.wait_for_notifications("notifications/message")
        server.close_stdin()
        exit_code = server.wait()

    assert [tool["name"] for tool in tools] == ["query", "execute_sql", "search_schema", "refresh_schema"]
    texts = [*(answer.text for answer in answers), *(reply["error"]["message"] for reply in refused)]
    for text in [*texts, warned[0]["data"], server.stderr]:
        assert all(words in text for words in expected), text
    assert {answer.code for answer in answers} == {"settings"}
    assert exit_code == 2
    assert "Traceback" not in server.stderr


def test_a_server_with_unusable_settings_ends_if_its_host_sends_nothing(folder: Path) -> None:
    with RawServer(server_environment(), folder) as server:
        server.close_stdin()
        exit_code = server.wait()

    assert exit_code == 2
    assert "no database is configured" in server.stderr
    assert server.stdout == b""


def test_an_error_in_the_context_file_is_reported_with_its_place(folder: Path) -> None:
    (folder / "context.yaml").write_text("databases:\n  shop:\n    termz: {a: b}\n")
    environment = server_environment("postgresql://reader@127.0.0.1/x", context_file="context.yaml")
    with RawServer(environment, folder) as server:
        server.initialize()
        answer = server.call("execute_sql", sql="select 1")
        server.close_stdin()
        exit_code = server.wait()

    assert exit_code == 2
    assert "termz" in answer.text
    assert "termz" in server.stderr
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize(("port", "exit_code"), [("5432", 0), ("many", 2)])
def test_serve_check_reads_the_settings_and_ends(port: str, exit_code: int, folder: Path) -> None:
    checked = subprocess.run(
        [*COMMAND, "serve", "--check"],
        env=server_environment("postgresql://reader@127.0.0.1/x", database_port=port),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert checked.returncode == exit_code
    assert ("PG_MCP_DATABASE_PORT" in checked.stderr) is (exit_code == 2)


@pytest.fixture(scope="module")
def writable_url(cluster: EmbeddedPostgres) -> str:
    """URL of a database for a role that may do everything, with a table and a sequence to change."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("create database e2e_writable")
    with psycopg.connect(cluster.url("e2e_writable")) as connection:
        connection.execute("create table things as select 0 as id")
        connection.execute("create sequence numbers")
    return cluster.url("e2e_writable")


@pytest.fixture(scope="module")
def unguarded_server(writable_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    """A server without read-only transactions."""
    environment = server_environment(writable_url, server_use_readonly_transactions="false")
    with RawServer(environment, tmp_path_factory.mktemp("server")) as server:
        server.initialize()
        yield server


@pytest.mark.parametrize(
    "write",
    [
        "insert into things values (1)",
        "with gone as (delete from things returning *) select * from gone",
        "select nextval('numbers')",
        "select * into copies from things",
        "select * from things for update",
        "select lo_create(0)",
        "select set_config('transaction_read_only', 'off', false)",
        "select 1; delete from things",
    ],
)
def test_writes_are_refused_even_without_read_only_transactions(
    write: str, unguarded_server: RawServer, writable_url: str
) -> None:
    refused = unguarded_server.call("execute_sql", sql=write)

    assert refused.code == "rejected"
    with psycopg.connect(writable_url) as connection:
        assert connection.execute("select id from things").fetchall() == [(0,)]
        assert connection.execute("select is_called from numbers").fetchone() == (False,)


def test_turning_read_only_transactions_off_logs_a_warning(unguarded_server: RawServer) -> None:
    assert unguarded_server.call("execute_sql", sql="select id from things").rows == [[0]]
    assert "WARNING pgmcp.composition: read-only transactions are off" in unguarded_server.stderr


def test_the_text_of_an_answer_stays_within_its_token_limit(shop_url: str, start_server: StartServer) -> None:
    server = start_server(server_environment(shop_url, server_max_result_tokens="600"))

    answer = server.call("execute_sql", sql="select * from customers order by id")

    assert 1 <= len(answer.rows) < 100
    assert answer.structured["truncated"]["reason"] == "tokens"
    assert estimate_tokens(answer.text) <= 600
    assert "600 tokens" in answer.text


def test_the_text_of_a_schema_stays_within_its_token_limit(shop_url: str, start_server: StartServer) -> None:
    server = start_server(server_environment(shop_url, server_max_result_tokens="600"))

    found = server.call("search_schema", detail="full")

    assert estimate_tokens(found.text) <= 600
    assert "ask for them with tables=" in found.text
    for table in ("categories", "customers", "orders", "order_items", "payments", "products"):
        assert table in found.text


def test_a_result_stays_within_its_limits_of_rows_bytes_and_cell_bytes(
    shop_url: str, start_server: StartServer
) -> None:
    bounds = {
        "server_max_result_rows": "5",
        "server_max_result_bytes": "2000",
        "server_max_cell_bytes": "100",
    }
    server = start_server(server_environment(shop_url, **bounds))

    rows = server.call("execute_sql", sql="select id from customers")
    too_many = server.call("execute_sql", sql="select id from customers", limit=6)
    wide = server.call("execute_sql", sql="select repeat('x', 1000) from customers")

    assert len(rows.rows) == 5
    assert rows.structured["truncated"]["reason"] == "rows"
    assert "from 1 to 5" in too_many.text
    assert wide.structured["cut_cells"] == len(wide.rows)
    assert all(len(cell) <= 101 for (cell,) in wide.rows)
