"""The entry for a host: a command with an absolute path, and settings with which the server starts."""

import re
import sys
from pathlib import Path

import pytest

from pgmcp.cli.install.entry import check_variables, is_secret, mask, read_variables, server_command
from pgmcp.errors import SettingsError

URL = "postgresql://reader:Quagga-1@db.example.com/shop"


def test_the_command_is_the_absolute_path_of_this_interpreter() -> None:
    command, arguments = server_command(["demo", "--serve"])

    assert command == sys.executable
    assert Path(command).is_absolute()
    assert arguments == ["-P", "-m", "pgmcp", "demo", "--serve"]


def test_a_virtual_environment_in_a_cache_is_not_used_in_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "CACHEDIR.TAG").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "archive" / "x"))

    with pytest.raises(SettingsError, match="from a temporary cache") as refusal:
        server_command([])

    assert "uv tool install" in refusal.value.hint


def test_a_virtual_environment_that_marks_itself_does_not_count_as_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "CACHEDIR.TAG").touch()  # as uv does in every environment it makes
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    assert server_command([])[0] == sys.executable


def test_variables_are_split_at_their_first_equals_sign() -> None:
    assert read_variables(["A=b=c", "B="], None, None) == {"A": "b=c", "B": ""}


@pytest.mark.parametrize("pair", ["Quagga-1", "=Quagga-1", "1A=Quagga-1", "A B=Quagga-1"])
def test_an_argument_without_an_equals_sign_is_refused_and_not_repeated(pair: str) -> None:
    with pytest.raises(SettingsError, match="NAME=VALUE") as refusal:
        read_variables([pair], None, None)

    assert "Quagga" not in str(refusal.value)


def test_files_are_written_with_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").touch()
    (tmp_path / "pgmcp.yaml").touch()
    monkeypatch.chdir(tmp_path)

    variables = read_variables([], Path(".env"), Path("pgmcp.yaml"))

    assert variables == {
        "PG_MCP_ENV_FILE": str(tmp_path / ".env"),
        "PG_MCP_CONFIG_FILE": str(tmp_path / "pgmcp.yaml"),
    }


def test_dots_are_removed_from_a_path_but_links_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of-today").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "of-today")
    (tmp_path / "of-today" / ".env").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    variables = read_variables([], Path("../current/.env"), None)

    assert variables == {"PG_MCP_ENV_FILE": str(tmp_path / "current" / ".env")}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"file .*missing does not exist"):
        read_variables([], tmp_path / "missing", None)


def test_working_settings_are_accepted(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"PG_MCP_DATABASE_URL={URL}\n")

    check_variables({"PG_MCP_DATABASE_URL": URL})
    check_variables({"PG_MCP_ENV_FILE": str(env_file)})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "the server would have no settings"),
        ({"LOG_LEVEL": "DEBUG"}, "no database is configured"),
        ({"PG_MCP_DATABASE_URI": URL}, "did you mean PG_MCP_DATABASE_URL"),
        ({"PG_MCP_DATABASE_URL": URL, "PG_MCP_SERVER_QUERY_TIMEOUT": "soon"}, "PG_MCP_SERVER_QUERY_TIMEOUT"),
    ],
)
def test_settings_that_no_server_would_start_with_are_refused(
    variables: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as refusal:
        check_variables(variables)

    assert "Quagga" not in str(refusal.value)


@pytest.mark.parametrize(
    "variable",
    [
        "PG_MCP_AUDIT_FILE",
        "PG_MCP_CONFIG_FILE",
        "PG_MCP_CONTEXT_FILE",
        "PG_MCP_DATABASE_PASSWORD_FILE",
        "PG_MCP_DATABASE_SSH_CONFIG",
        "PG_MCP_DATABASE_SSL_ROOT_CERT",
        "PG_MCP_DATABASE_URL_FILE",
        "PG_MCP_DATABASES__SALES__PASSWORD_FILE",
        "PG_MCP_DATABASES__SALES__SSL_ROOT_CERT",
        "PG_MCP_DATABASES__SALES__URL_FILE",
        "PG_MCP_ENV_FILE",
        "PG_MCP_HTTP_TLS_CERT",
        "PG_MCP_HTTP_TLS_KEY",
        "PG_MCP_OPENAI_API_KEY_FILE",
        "PG_MCP_SERVER_EXPORT_DIR",
        "pg_mcp_audit_file",
    ],
)
def test_no_setting_may_be_a_relative_path(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_text(URL)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError, match=f"{variable} is 'there'") as refusal:
        check_variables({"PG_MCP_DATABASE_URL": URL, variable: "there"})

    assert str(tmp_path / "there") in refusal.value.hint


def test_a_relative_path_in_a_file_of_settings_is_refused(tmp_path: Path) -> None:
    config_file = tmp_path / "pgmcp.yaml"
    config_file.write_text(f"databases:\n  shop:\n    url: {URL}\n    password_file: secret\n")

    with pytest.raises(SettingsError, match=r"databases\.shop\.password_file .* is 'secret'"):
        check_variables({"PG_MCP_CONFIG_FILE": str(config_file)})


def test_a_path_that_a_host_completes_is_accepted() -> None:
    check_variables({"PG_MCP_DATABASE_URL": URL, "PG_MCP_CONTEXT_FILE": "${workspaceFolder}/words.yaml"})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PG_MCP_DATABASE_URI": "${SHOP_URL}"}, "did you mean PG_MCP_DATABASE_URL"),
        ({"PG_MCP_DATABASE_URL": "${SHOP_URL}", "PG_MCP_AUDIT_FILE": "audit.jsonl"}, "PG_MCP_AUDIT_FILE is"),
    ],
)
def test_other_settings_are_checked_beside_a_path_that_a_host_completes(
    variables: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        check_variables(variables)


def test_a_path_that_the_host_s_folder_would_change_is_refused(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"PG_MCP_DATABASE_URL={URL}\nPG_MCP_CONTEXT_FILE=words.yaml\n")

    with pytest.raises(SettingsError, match=r"PG_MCP_CONTEXT_FILE \(\.env\) is 'words\.yaml'") as refusal:
        check_variables({"PG_MCP_ENV_FILE": str(env_file)})

    assert "absolute path" in refusal.value.hint


def test_the_word_system_is_not_checked_as_a_path() -> None:
    check_variables(
        {
            "PG_MCP_DATABASE_URL": URL,
            "PG_MCP_DATABASE_SSL_MODE": "verify-full",
            "PG_MCP_DATABASE_SSL_ROOT_CERT": "system",
        }
    )


@pytest.mark.parametrize(
    "value",
    [
        "${SHOP_URL}",
        "${env:SHOP_URL}",
        "${input:database-url}",
        "postgresql://reader:${PASSWORD}@db.example.com/shop",
        "host=db password=${PASSWORD}",
    ],
)
def test_a_host_variable_is_neither_checked_nor_a_secret(value: str) -> None:
    check_variables({"PG_MCP_DATABASE_URL": value})

    assert not is_secret("PG_MCP_DATABASE_URL", value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PG_MCP_DATABASE_URL", URL),
        ("PG_MCP_DATABASE_URL", "host=db password='a b'"),
        ("PG_MCP_DATABASE_URL", "postgresql://db/shop?sslpassword=x"),
        ("PG_MCP_DATABASE_URL", "postgresql://me:12?x=Quagga@db/shop"),
        ("PG_MCP_DATABASE_URL", "what may be a password"),
        ("PG_MCP_DATABASES__SALES__URL", URL),
        ("PG_MCP_DATABASES__SALES__PASSWORD", "x"),
        ("PG_MCP_DATABASE_PASSWORD", "x"),
        ("PG_MCP_OPENAI_API_KEY", "x"),
        ("PG_MCP_OPENAI_BASE_URL", "https://user:pass@models.example.com/v1"),
        ("PGPASSWORD", "x"),
        ("SHOP_TOKEN", "x"),
        ("HTTPS_PROXY", "http://user:pass@proxy:3128"),
        ("pg_mcp_database_password", "x"),
    ],
)
def test_secret_variables_are_recognised_and_masked(variable: str, value: str) -> None:
    assert is_secret(variable, value)
    assert mask(variable, value) != value


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PG_MCP_DATABASE_URL", "postgresql://reader@db.example.com/shop"),
        ("PG_MCP_DATABASE_URL", "service=shop"),
        ("PG_MCP_SERVER_MAX_RESULT_TOKENS", "4000"),
        ("PG_MCP_OPENAI_BASE_URL", "http://127.0.0.1:8000/v1"),
        ("PG_MCP_ENV_FILE", "/home/ada/.env"),
        ("PGSERVICE", "shop"),
    ],
)
def test_other_settings_are_shown(variable: str, value: str) -> None:
    assert mask(variable, value) == value


def test_paths_in_urls_and_in_variables_of_libpq_are_checked_as_those_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    (tmp_path / "pgmcp.yaml").write_text("database:\n  url: postgresql://db/shop?sslrootcert=ca.pem\n")
    url = "PG_MCP_DATABASE_URL"
    for variables, expected in (
        ({url: f"{URL}?sslrootcert=ca.pem"}, f"sslrootcert in {url} is 'ca.pem'"),
        ({url: "host=db passfile=./pgpass"}, f"passfile in {url} is 'pgpass'"),
        ({url: URL, "PGPASSFILE": "pgpass"}, "PGPASSFILE is 'pgpass'"),
        ({url: URL, "PGSSLROOTCERT": str(tmp_path / "no.pem")}, "no.pem does not exist"),
        ({"PG_MCP_CONFIG_FILE": str(tmp_path / "pgmcp.yaml")}, "sslrootcert in database.url (pgmcp.yaml) is"),
    ):
        with pytest.raises(SettingsError, match=re.escape(expected)):
            check_variables(variables)

    check_variables({url: f"{URL}?sslrootcert={file}&sslmode=verify-full", "PGSSLKEY": str(file)})
    assert not is_secret("PGSSLKEY", str(file))
