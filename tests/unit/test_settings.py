import errno
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from dotenv.parser import parse_stream
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgmcp.errors import SettingsError
from pgmcp.open_database import choose_min_workers
from pgmcp.settings import DatabaseSettings, Settings, setting_specs
from pgmcp.settings.database import PASSWORD_FIELDS
from pgmcp.settings.load import load_settings
from pgmcp.settings.section import Secret
from pgmcp.settings_reader import SettingsReader

ROOT = Path(__file__).parents[2]
forks = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems read the settings in the server's process"
)
LOCATED = {"PG_MCP_DATABASE_HOST": "localhost"}


def load(environ: dict[str, str]) -> Settings:
    return load_settings(environ, env_file=None)


def refuse(environ: dict[str, str], *, env_file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as refusal:
        load_settings(environ, env_file=env_file)
    return str(refusal.value)


def parameters_for_libpq(database: DatabaseSettings) -> dict[str, object]:
    """Return the connection parameters as libpq reads them, merged as by a worker."""
    conninfo, params = database.target()
    return dict(conninfo_to_dict(make_conninfo(conninfo, **params)))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = load(LOCATED)

    database = settings.databases["main"]
    assert (database.port, database.ssl_mode) == (None, None)
    assert (database.min_pool_size, database.max_pool_size) == (None, 10)
    assert settings.openai.model == "gpt-4o-mini"
    assert (settings.openai.max_retries, settings.openai.timeout_s) == (3, 30.0)
    assert settings.server.cache_refresh_interval_s == 3600
    assert settings.server.max_result_rows == 1000
    assert (settings.server.query_timeout_s, settings.server.request_timeout_s) == (30.0, 55.0)
    assert settings.server.use_readonly_transactions
    assert settings.server.max_sql_retry == 2
    assert settings.rate_limit.enabled
    assert settings.rate_limit.requests_per_minute == 60
    assert settings.rate_limit.requests_per_hour == 1000
    assert settings.rate_limit.openai_tokens_per_minute == 100_000
    assert settings.log_level == "INFO"


def test_every_setting_can_be_set_by_its_variable_to_its_own_default() -> None:
    environ = {spec.variable: spec.default for spec in setting_specs()}

    settings, unset = load(environ | LOCATED), load(LOCATED)
    # libpq has defaults of its own for these parameters, so pgmcp passes on only those that are set.
    database = replace(settings.databases["main"], port=None, ssl_mode=None, target_session_attrs=None)
    assert replace(settings, databases={"main": database}) == unset


def test_the_example_env_file_names_exactly_the_settings_with_their_defaults() -> None:
    lines = re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert dict(lines) == {spec.variable: spec.default for spec in setting_specs()}
    assert len(lines) == len(setting_specs())


def test_a_copy_of_the_example_env_file_changes_nothing() -> None:
    with (ROOT / ".env.example").open() as stream:
        assert not any(binding.error for binding in parse_stream(stream))

    settings = load_settings(LOCATED, env_file=ROOT / ".env.example")

    assert settings == load(LOCATED)
    assert settings.databases["main"].target() == ("", {"host": "localhost"})


def test_every_setting_is_described() -> None:
    assert [spec.variable for spec in setting_specs() if not spec.description] == []


def test_secret_settings_are_marked_as_secret() -> None:
    assert {spec.variable for spec in setting_specs() if spec.is_secret} == {
        "PG_MCP_DATABASE_URL",
        "PG_MCP_DATABASE_PASSWORD",
        "PG_MCP_DATABASE_PASSWORD_COMMAND",
        "PG_MCP_HTTP_INTROSPECTION_CLIENT_SECRET",
        "PG_MCP_HTTP_STATE_KEYS",
        "PG_MCP_HTTP_TOKENS",
        "PG_MCP_OPENAI_API_KEY",
        "PG_MCP_RATE_LIMIT_STORAGE_URL",
    }


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PG_MCP_RATE_LIMIT_STORAGE_URL", "http://hidden@redis.example.com/0"),
        ("PG_MCP_RATE_LIMIT_STORAGE_URL", "redis://"),
        ("PG_MCP_HTTP_STATE_KEYS", "hidden"),
        ("PG_MCP_HTTP_STATE_KEYS", f"{'k' * 32},hidden"),
    ],
)
def test_settings_of_a_fleet_are_checked_and_their_secrets_never_shown(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}.*expected") as refused:
        load(LOCATED | {variable: text})

    assert "hidden" not in str(refused.value)


def test_a_fleet_has_keys_that_can_be_rotated() -> None:
    keys = (f"new-{'k' * 32}", f"old-{'k' * 32}")

    settings = load(LOCATED | {"PG_MCP_HTTP_STATE_KEYS": ", ".join(keys)})

    assert settings.http.state_key_list == keys


def test_the_example_config_file_configures_two_databases() -> None:
    settings = load(
        {
            "PG_MCP_CONFIG_FILE": str(ROOT / "config.example.yaml"),
            "SHOP_DATABASE_URL": "postgresql://reader:secret@db.example.com/shop",
            "ANALYTICS_PASSWORD": "secret",
        }
    )

    assert list(settings.databases) == ["shop", "analytics"]
    assert settings.databases["shop"].target()[0] == "postgresql://reader:secret@db.example.com/shop"
    assert settings.databases["analytics"].target() == (
        "",
        {
            "host": "replica1.example.com,replica2.example.com",
            "port": "5432",
            "dbname": "analytics",
            "user": "pgmcp_reader",
            "password": "secret",
            "sslmode": "verify-full",
            "sslrootcert": "system",
            "target_session_attrs": "prefer-standby",
        },
    )
    # Apart from the databases, the unchanged example file gives the defaults.
    assert settings.databases["shop"].max_pool_size == load(LOCATED).databases["main"].max_pool_size
    assert settings == replace(
        load(LOCATED), databases=settings.databases, variable_prefixes=settings.variable_prefixes
    )


def test_the_process_wins_over_the_env_file_and_that_over_yaml_and_that_over_defaults(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        "pgmcp.yaml",
        "server: {max_result_rows: 1, max_sql_retry: 1, max_queue: 1}",
    )
    env_file = write(
        tmp_path,
        ".env",
        f"PG_MCP_CONFIG_FILE={config}\nPG_MCP_SERVER_MAX_RESULT_ROWS=2\nPG_MCP_SERVER_MAX_SQL_RETRY=2\n",
    )

    settings = load_settings(LOCATED | {"PG_MCP_SERVER_MAX_RESULT_ROWS": "3"}, env_file=env_file)

    assert settings.server.max_result_rows == 3
    assert settings.server.max_sql_retry == 2
    assert settings.server.max_queue == 1
    assert settings.server.prompt_tokens == 8000


def test_an_empty_text_counts_as_unset_and_a_lower_source_is_used(tmp_path: Path) -> None:
    env_file = write(tmp_path, ".env", "PG_MCP_SERVER_MAX_RESULT_ROWS=2\n")

    settings = load_settings(
        LOCATED | {"PG_MCP_SERVER_MAX_RESULT_ROWS": " ", "PG_MCP_OPENAI_API_KEY": ""}, env_file=env_file
    )

    assert settings.server.max_result_rows == 2
    assert not settings.openai.is_configured


def test_a_field_that_a_bundle_s_host_left_unfilled_counts_as_unset() -> None:
    settings = load(LOCATED | {"PG_MCP_OPENAI_API_KEY": "${user_config.openai_api_key}"})

    assert not settings.openai.is_configured


def test_an_env_file_that_a_variable_names_is_read_in_place_of_the_usual_one(tmp_path: Path) -> None:
    usual = write(tmp_path, ".env", "PG_MCP_SERVER_MAX_QUEUE=1\nPG_MCP_SERVER_MAX_CELL_BYTES=99\n")
    named = write(tmp_path, "named", "PG_MCP_SERVER_MAX_QUEUE=2\nPG_MCP_SERVER_MAX_SQL_RETRY=3\n")
    environ = LOCATED | {"PG_MCP_ENV_FILE": str(named), "PG_MCP_SERVER_MAX_SQL_RETRY": "4"}

    server = load_settings(environ, env_file=usual).server

    assert (server.max_queue, server.max_sql_retry, server.max_cell_bytes) == (2, 4, 65536)


@pytest.mark.parametrize("name", ["missing", "", "missing/.env"])
def test_an_env_file_that_a_variable_names_has_to_exist(name: str, tmp_path: Path) -> None:
    message = refuse(LOCATED | {"PG_MCP_ENV_FILE": str(tmp_path / name)})

    assert "PG_MCP_ENV_FILE" in message
    assert "expected an existing file" in message


@pytest.mark.parametrize(
    ("variable", "secret_of"),
    [
        (
            "PG_MCP_HTTP_INTROSPECTION_CLIENT_SECRET_FILE",
            lambda settings: settings.http.introspection_client_secret,
        ),
        ("PG_MCP_OPENAI_API_KEY_FILE", lambda settings: settings.openai.api_key),
    ],
)
def test_a_secret_is_read_from_the_file_that_a_variable_names(
    variable: str, secret_of: Callable[[Settings], Secret | None], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("p$4 #x\r\n")
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"{variable}={file}\n")

    for settings in (
        load(LOCATED | {variable: str(file)}),
        load_settings(LOCATED, env_file=dotenv),
    ):
        secret = secret_of(settings)
        assert secret is not None
        assert secret.get_secret_value() == "p$4 #x"


def test_every_secret_setting_has_a_form_with_a_file(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    secrets = [spec.variable for spec in setting_specs() if spec.is_secret]

    message = refuse(LOCATED | {f"{secret}_FILE": str(missing) for secret in secrets})

    assert len(secrets) >= 3
    assert message.count("no such file or directory") == len(secrets)


@pytest.mark.parametrize(
    ("content", "beside", "problem"),
    [
        (b"", {}, "holds the secret and nothing else"),
        (b"\n", {}, "holds the secret and nothing else"),
        (b"x" * 100_000, {}, "holds the secret and nothing else"),
        (b"\xff", {}, "not UTF-8"),
        (b"s3cret", {"PG_MCP_DATABASE_PASSWORD": "other"}, "are both set: keep one of them"),
    ],
)
def test_a_file_that_gives_no_secret_is_named_and_its_content_is_not(
    content: bytes, beside: dict[str, str], problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)

    message = refuse(LOCATED | beside | {"PG_MCP_DATABASE_PASSWORD_FILE": str(file)})

    assert "PG_MCP_DATABASE_PASSWORD_FILE" in message
    assert problem in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("higher", "lower", "field"),
    [
        ("PASSWORD", "PASSWORD_FILE", "password"),
        ("PASSWORD_FILE", "PASSWORD", "password_file"),
        ("PASSWORD_COMMAND", "PASSWORD_FILE", "password_command"),
    ],
)
def test_a_password_in_any_form_comes_from_the_source_with_the_highest_precedence(
    higher: str, lower: str, field: str, tmp_path: Path
) -> None:
    secret = write(tmp_path, "secret", "p$4 #x\n")
    text_by_name = {"PASSWORD": "word", "PASSWORD_FILE": str(secret), "PASSWORD_COMMAND": "get-password"}
    env_file = write(tmp_path, ".env", f"PG_MCP_DATABASE_{lower}={text_by_name[lower]}\n")
    environ = LOCATED | {f"PG_MCP_DATABASE_{higher}": text_by_name[higher], "PGPASSWORD": "libpq's"}

    database = load_settings(environ, env_file=env_file).databases["main"]

    assert [name for name in PASSWORD_FIELDS if getattr(database, name) is not None] == [field]
    assert database.target()[1].get("password") == ("word" if field == "password" else None)


def test_a_url_comes_from_a_file_unless_a_higher_source_has_a_url(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret", "postgresql://u:s3cret@file/d\n")
    config = write(tmp_path, "config.yaml", f"databases:\n  Sales:\n    url_file: {secret}\n")
    environ = {"PG_MCP_CONFIG_FILE": str(config)}

    of_file = load(environ).databases["Sales"]
    of_url = load(environ | {"PG_MCP_DATABASES__SALES__URL": "postgresql://u@url/d"}).databases["Sales"]
    message = refuse({"PG_MCP_DATABASE_URL": "postgresql://u@h/d", "PG_MCP_DATABASE_URL_FILE": str(secret)})

    assert (of_file.target()[0], of_file.url_file) == ("postgresql://u:s3cret@file/d", secret)
    assert (of_url.target()[0], of_url.url_file) == ("postgresql://u@url/d", None)
    assert message.startswith("PG_MCP_DATABASE_URL and PG_MCP_DATABASE_URL_FILE are both set")


def test_a_file_without_a_usable_url_is_refused_by_name(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret", "mysql://u:s3cret@h/d")

    message = refuse({"PG_MCP_DATABASE_URL_FILE": str(secret)})

    assert message.startswith("PG_MCP_DATABASE_URL_FILE (its value is not shown): expected postgresql://")
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("aws 'rds", "every quote closed"),
        ("vault read -field=password a | tr -d x", "run without a shell"),
        ("echo $(cat /run/secret)", "run without a shell"),
    ],
)
def test_a_password_command_that_cannot_be_run_is_refused_without_repeating_it(
    command: str, problem: str
) -> None:
    message = refuse(LOCATED | {"PG_MCP_DATABASE_PASSWORD_COMMAND": command})

    assert problem in message
    assert command not in message


def test_a_password_command_with_a_password_in_the_url_is_refused() -> None:
    url = {"PG_MCP_DATABASE_URL": "postgresql://me:s3cret@localhost/shop"}

    message = refuse(url | {"PG_MCP_DATABASE_PASSWORD_COMMAND": "get-password"})

    assert "the URL contains a password too" in message
    assert "s3cret" not in message


def test_a_password_command_is_split_as_in_a_shell() -> None:
    command = "vault read '-field=password' \"a b\""

    database = load(LOCATED | {"PG_MCP_DATABASE_PASSWORD_COMMAND": command}).databases["main"]

    assert database.password_argv == ["vault", "read", "-field=password", "a b"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"HOST": "db", "SSH": "-oProxyCommand=x"}, "expected user@host"),
        ({"HOST": "db", "SSH": "a b"}, "expected user@host"),
        ({"HOST": "db", "SSH_CONFIG": __file__}, "expected SSH to be set too"),
        ({"HOST": "one,two", "SSH": "me@bastion"}, "expected one host"),
        ({"URL": "postgresql://one,two/shop", "SSH": "me@bastion"}, "expected one host"),
        ({"URL": "postgresql://db:1,:2/shop", "SSH": "me@bastion"}, "expected one host"),
        ({"URL": "host=db hostaddr=10.0.0.1", "SSH": "me@bastion"}, "hostaddr cannot be used"),
        ({"SERVICE": "shop", "SSH": "me@bastion"}, "service cannot be used"),
        ({"HOST": "/run/postgresql", "SSH": "me@bastion"}, "as the bastion sees it"),
        ({"URL": "postgresql:///shop", "SSH": "me@bastion"}, "as the bastion sees it"),
    ],
)
def test_settings_that_do_not_work_through_a_bastion_are_refused(
    settings: dict[str, str], problem: str
) -> None:
    message = refuse({f"PG_MCP_DATABASE_{name}": text for name, text in settings.items()})

    assert problem in message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' OpenSSH forwards no private socket")
def test_each_database_has_its_own_bastion() -> None:
    databases = load(
        {
            "PG_MCP_DATABASES__SHOP__URL": "postgresql://db.internal:5433/shop",
            "PG_MCP_DATABASES__SHOP__SSH": "ssh://anna@bastion:2222",
            "PG_MCP_DATABASES__SALES__HOST": "sales",
        }
    ).databases

    assert (databases["shop"].ssh, databases["shop"].place) == (
        "ssh://anna@bastion:2222",
        ("db.internal", 5433),
    )
    assert databases["sales"].ssh is None


def test_only_secrets_are_read_from_files() -> None:
    assert "PG_MCP_LOG_FILE is not a setting" in refuse(LOCATED | {"PG_MCP_LOG_FILE": "/etc/hostname"})
    assert "PG_MCP_DATABASE_USER_FILE is not a setting" in refuse(
        LOCATED | {"PG_MCP_DATABASE_USER_FILE": "/etc/hostname"}
    )


def test_a_missing_env_file_is_ignored(tmp_path: Path) -> None:
    assert load_settings(LOCATED, env_file=tmp_path / ".env") == load(LOCATED)


def test_an_env_file_keeps_dollar_and_hash_signs_of_a_password(tmp_path: Path) -> None:
    env_file = write(tmp_path, ".env", "PG_MCP_DATABASE_PASSWORD=a$b${HOME}#c\n")

    settings = load_settings(LOCATED | {"HOME": "/root"}, env_file=env_file)

    assert settings.databases["main"].target()[1]["password"] == "a$b${HOME}#c"


def test_a_line_of_an_env_file_that_sets_nothing_is_named_by_its_number(tmp_path: Path) -> None:
    env_file = write(tmp_path, ".env", "A=1\nPG_MCP_DATABASE_PASSWORD='hush\n")

    message = refuse(LOCATED, env_file=env_file)

    assert "line 2" in message
    assert "hush" not in message


def test_an_invalid_line_of_another_program_in_the_env_file_is_ignored(tmp_path: Path) -> None:
    env_file = write(tmp_path, ".env", "echo hello\nPG_MCP_SERVER_MAX_QUEUE=7\n")

    assert load_settings(LOCATED, env_file=env_file).server.max_queue == 7


def test_an_env_file_that_is_not_text_is_a_clear_error(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"A=\xff\xfe")

    assert "is not UTF-8" in refuse(LOCATED, env_file=env_file)


def test_variables_of_other_programs_are_ignored() -> None:
    assert load(LOCATED | {"PATH": "/bin", "OPENAI_API_KEY": "x", "PGAPPNAME": "y"}) == load(LOCATED)


def test_a_yaml_password_of_digits_stays_as_it_was_written(tmp_path: Path) -> None:
    config = write(
        tmp_path, "pgmcp.yaml", "databases: {a: {host: h, password: 0123}, b: {host: h, password: yes}}"
    )

    databases = load({"PG_MCP_CONFIG_FILE": str(config)}).databases

    assert databases["a"].target()[1]["password"] == "0123"
    assert databases["b"].target()[1]["password"] == "yes"


def test_roles_and_settings_of_claims_are_a_mapping_in_yaml_and_a_list_in_a_variable(tmp_path: Path) -> None:
    text = """
        databases:
          shop:
            host: h
            roles:
              alice@example.com: of_alice
              groups:support: "of support"
              https://example.com/role:a:b: of_b
            claim_settings:
              app.tenant: tenant
              app.user_id: https://example.com/user
    """
    config = write(tmp_path, "pgmcp.yaml", textwrap.dedent(text))
    variables = {
        "PG_MCP_DATABASE_HOST": "h",
        "PG_MCP_DATABASE_ROLES": "alice@example.com=of_alice, groups:support=of support,"
        "https://example.com/role:a:b=of_b",
        "PG_MCP_DATABASE_CLAIM_SETTINGS": "app.tenant=tenant, app.user_id=https://example.com/user",
    }

    for database in (
        load({"PG_MCP_CONFIG_FILE": str(config)}).databases["shop"],
        load(variables).databases["main"],
    ):
        assert database.roles == (
            ("", "alice@example.com", "of_alice"),
            ("groups", "support", "of support"),
            ("https://example.com/role", "a:b", "of_b"),
        )
        assert database.claim_settings == (
            ("app.tenant", "tenant"),
            ("app.user_id", "https://example.com/user"),
        )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ROLES": "alice"}, "expected comma-separated principal=role or claim:value=role"),
        ({"ROLES": "alice=none"}, "expected comma-separated principal=role or claim:value=role"),
        ({"ROLES": f"alice={'r' * 64}"}, "expected comma-separated principal=role or claim:value=role"),
        ({"ROLES": "alice=a,alice=b"}, "expected every principal and every value of a claim once"),
        ({"DEFAULT_ROLE": "none"}, "expected the name of a database role"),
        ({"CLAIM_SETTINGS": "app.tenant=tenant"}, "expected ROLES or DEFAULT_ROLE to be set too"),
        ({"CLAIM_SETTINGS": "role=role", "DEFAULT_ROLE": "a"}, "each setting with a dot"),
        ({"CLAIM_SETTINGS": "pgmcp.schemas=a", "DEFAULT_ROLE": "a"}, "each setting with a dot"),
        ({"CLAIM_SETTINGS": "app.a=x,App.A=y", "DEFAULT_ROLE": "a"}, "expected every setting once"),
    ],
)
def test_an_invalid_mapping_of_roles_is_named(variables: dict[str, str], expected: str) -> None:
    environ = LOCATED | {f"PG_MCP_DATABASE_{name}": text for name, text in variables.items()}

    assert expected in refuse(environ)


def test_a_null_in_yaml_counts_as_unset(tmp_path: Path) -> None:
    config = write(tmp_path, "pgmcp.yaml", "database: {host: h, password: null, user: ~}\nopenai:\n")

    assert load({"PG_MCP_CONFIG_FILE": str(config)}).databases["main"].target() == ("", {"host": "h"})


@pytest.mark.parametrize("text", ["a: [", "password: *hush", "\tx: 1", "- 1", "!hush x", "a: 'hush\nb"])
def test_broken_yaml_is_reported_without_its_text(tmp_path: Path, text: str) -> None:
    config = write(tmp_path, "pgmcp.yaml", text)

    message = refuse(LOCATED | {"PG_MCP_CONFIG_FILE": str(config)})

    assert "pgmcp.yaml" in message
    assert "hush" not in message


def test_a_password_with_a_yaml_tag_stays_text(tmp_path: Path) -> None:
    config = write(tmp_path, "c.yaml", "databases: {a: {host: h, password: !!int hush}}")

    databases = load({"PG_MCP_CONFIG_FILE": str(config)}).databases

    assert databases["a"].target()[1]["password"] == "hush"


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{b: " * 3000, "a: &a {b: *a}", "a: &a [*a]"])
def test_deeply_nested_yaml_is_an_error(tmp_path: Path, text: str) -> None:
    config = write(tmp_path, "c.yaml", text)

    assert "c.yaml" in refuse(LOCATED | {"PG_MCP_CONFIG_FILE": str(config)})


def test_settings_are_read_from_the_environment_if_the_working_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert load_settings(LOCATED) == load(LOCATED)
    assert "expected an accessible file" in refuse(
        LOCATED | {"PG_MCP_CONTEXT_FILE": "c.yaml"}, env_file=Path(".env")
    )
    assert "no such file" in refuse(LOCATED | {"PG_MCP_CONFIG_FILE": "c.yaml"})


def test_a_variable_that_yaml_refers_to_is_not_an_unknown_setting(tmp_path: Path) -> None:
    config = write(tmp_path, "c.yaml", "databases: {a: {host: h, password_env: PG_MCP_DATABASE_PASSWORD}}")

    settings = load({"PG_MCP_CONFIG_FILE": str(config), "PG_MCP_DATABASE_PASSWORD": "secret"})

    assert list(settings.databases) == ["a"]
    assert settings.databases["a"].target()[1]["password"] == "secret"


def test_a_missing_config_file_is_named() -> None:
    file = f"/nowhere/{'/folder' * 20}/no.yaml"
    message = refuse(LOCATED | {"PG_MCP_CONFIG_FILE": file})

    assert f"PG_MCP_CONFIG_FILE is '{file.replace('//', '/')}': no such file or directory" in message


def test_a_missing_config_file_is_the_only_problem_if_it_has_the_databases() -> None:
    assert refuse({"PG_MCP_CONFIG_FILE": "no.yaml"}) == (
        "PG_MCP_CONFIG_FILE is 'no.yaml': no such file or directory"
    )


@pytest.mark.parametrize(
    ("given", "has_hint"),
    [
        ({}, True),
        (LOCATED | {"PG_MCP_SERVER_QUERY_TIMEOT": "3"}, True),
        (LOCATED | {"PG_MCP_SERVER_QUERY_TIMEOUT": "abc"}, False),
        (LOCATED | {"PG_MCP_CONTEXT_FILE": "missing.yaml"}, False),
    ],
)
def test_only_errors_about_missing_or_unknown_settings_link_to_the_list_of_settings(
    given: dict[str, str], has_hint: bool
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(given)

    assert refused.value.hint == (
        "`.env.example` in pgmcp's source folder lists every setting with its default" if has_hint else ""
    )


def test_a_long_value_is_visibly_shortened() -> None:
    message = refuse(LOCATED | {"PG_MCP_SERVER_QUERY_TIMEOUT": "9" * 79 + "ten"})

    assert "9…'" in message


def test_every_problem_is_listed_in_one_error(tmp_path: Path) -> None:
    config = write(tmp_path, "pgmcp.yaml", "server: {max_queue: -1}")
    env_file = write(tmp_path, ".env", "LOG_LEVEL=LOUD\n")

    message = refuse(
        LOCATED
        | {
            "PG_MCP_CONFIG_FILE": str(config),
            "PG_MCP_SERVER_QUERY_TIMEOUT": "soon",
            "PG_MCP_RATE_LIMIT_ENABLED": "maybe",
            "PG_MCP_DATABASE_PORT": "70000",
        },
        env_file=env_file,
    )

    assert message.splitlines() == [
        "5 settings cannot be used:",
        "- PG_MCP_DATABASE_PORT is '70000': expected a whole number from 1 to 65535",
        "- PG_MCP_SERVER_QUERY_TIMEOUT is 'soon': expected a number of seconds from 0.1 to 3600",
        "- server.max_queue (pgmcp.yaml) is '-1': expected a whole number of statements from 0 to 10000",
        "- PG_MCP_RATE_LIMIT_ENABLED is 'maybe': expected true or false",
        "- LOG_LEVEL (.env) is 'LOUD': expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
    ]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("PG_MCP_DATABASE_USERNAME", "PG_MCP_DATABASE_USER"),
        ("PG_MCP_OPENAI_APIKEY", "PG_MCP_OPENAI_API_KEY"),
        ("PG_MCP_SERVER_QUERY_TIMEOUT_S", "PG_MCP_SERVER_QUERY_TIMEOUT"),
        ("PG_MCP_LOG_LEVEL", "LOG_LEVEL"),
        ("PG_MCP_SERVER_MAX_ROWS", "PG_MCP_SERVER_MAX_RESULT_ROWS"),
        ("PG_MCP_DATABASES__SALES__HOTS", "PG_MCP_DATABASES__SALES__HOST"),
    ],
)
def test_an_unknown_variable_is_an_error_with_the_nearest_name(wrong: str, meant: str) -> None:
    assert refuse(LOCATED | {wrong: "hush"}) == f"{wrong} is not a setting, did you mean {meant}?"


def test_an_unknown_name_in_the_env_file_is_an_error_too(tmp_path: Path) -> None:
    env_file = write(tmp_path, ".env", "PG_MCP_SERVER_MAX_RESULTS_ROWS=5\n")

    assert refuse(LOCATED, env_file=env_file) == (
        "PG_MCP_SERVER_MAX_RESULTS_ROWS (.env) is not a setting, did you mean PG_MCP_SERVER_MAX_RESULT_ROWS?"
    )


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        (
            "sever: {max_queue: 1}",
            "sever.max_queue (c.yaml) is not a setting, did you mean server.max_queue?",
        ),
        (
            "env_file: other.env",
            "env_file (c.yaml) cannot be set in a YAML file: set the variable PG_MCP_ENV_FILE",
        ),
        (
            "databases: {a: {host: h, passwd: hush}}",
            "databases.a.passwd (c.yaml) is not a setting, did you mean databases.a.password?",
        ),
        ("server: hush", "server (c.yaml): expected settings below it, not a value"),
        ("databases: {a: hush}", "databases.a (c.yaml): expected settings below it, not a value"),
        (
            "server: {allowed_functions: [lower, {name: upper}]}",
            "server.allowed_functions (c.yaml): expected text, or a list of texts",
        ),
        (
            "databases: {a: {host: h, roles: {alice: [a, b]}}}",
            "databases.a.roles (c.yaml): expected text, or a list of texts",
        ),
    ],
)
def test_an_unknown_key_in_yaml_is_an_error_with_the_nearest_name(
    tmp_path: Path, yaml: str, message: str
) -> None:
    config = write(tmp_path, "c.yaml", yaml)

    assert refuse(LOCATED | {"PG_MCP_CONFIG_FILE": str(config)}) == message


@pytest.mark.parametrize(
    "environ",
    [
        {"PG_MCP_DATABASE_URL": "mysql://user:hush@host/db"},
        {"PG_MCP_DATABASE_URL": "postgresql://user:hush@host:port/db"},
        {"PG_MCP_DATABASE_URL": "user:hush@host/db"},
        {"PG_MCP_DATABASE_HOST": "postgresql://user:hush@host/db"},
        {"PG_MCP_DATABASE_HOST": "host=h password=hush"},
        {"PG_MCP_OPENAI_BASE_URL": "user:hush@model.example.com"},
        {"PG_MCP_OPENAI_BASE_URL": "ftp://user:hush@model.example.com"},
        {"PG_MCP_DATABASE_SSL_ROOT_CERT": "postgresql://user:hush@host/db"},
        {"PG_MCP_SERVER_ALLOWED_FUNCTIONS": "postgresql://user:hush@host/db"},
        {"PG_MCP_CONTEXT_FILE": "postgresql://user:hush@host/db"},
        {"PG_MCP_CONFIG_FILE": "postgresql://user:hush@host/db"},
    ],
)
def test_no_error_message_contains_a_password(environ: dict[str, str]) -> None:
    message = refuse(LOCATED | environ)

    assert next(iter(environ)) in message
    assert "hush" not in message


def test_the_error_about_a_url_instead_of_a_name_shows_no_password() -> None:
    assert "hush" not in refuse(LOCATED | {"PG_MCP_DATABASE_NAME": "postgresql://user:hush@host/db"})


def test_no_repr_of_settings_contains_a_secret() -> None:
    settings = load(
        {
            "PG_MCP_DATABASE_URL": "postgresql://user:hush@host/db",
            "PG_MCP_DATABASE_PASSWORD": "hush",
            "PG_MCP_OPENAI_API_KEY": "hush",
            "PG_MCP_OPENAI_BASE_URL": "https://user:hush@model.example.com/v1",
        }
    )

    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("yaml", "variable", "problem"),
    [
        ("databases: text", "PG_MCP_DATABASE_HOST", "databases (c.yaml): expected settings below it"),
        ("databases: []", "PG_MCP_DATABASE_HOST", None),  # as if it were not there
        ("databases: [a]", "PG_MCP_DATABASE_HOST", "databases (c.yaml): expected settings below it"),
        ("database: text", "PG_MCP_DATABASE_HOST", "database (c.yaml): expected settings below it"),
        (
            "databases: {main: text}",
            "PG_MCP_DATABASE_HOST",
            "databases.main (c.yaml): expected settings below",
        ),
        ("server: 5", "PG_MCP_SERVER_MAX_QUEUE", "server (c.yaml): expected settings below it, not a value"),
        (
            "server: {max_queue: {a: 5}}",
            "PG_MCP_SERVER_MAX_QUEUE",
            "server.max_queue.a (c.yaml) is not a setting",
        ),
        ("log_format: {a: b}", "PG_MCP_LOG_FORMAT", "log_format.a (c.yaml) is not a setting"),
    ],
)
def test_a_value_in_the_wrong_place_is_refused_although_a_variable_hides_it(
    yaml: str, variable: str, problem: str | None, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(yaml)
    value = "json" if variable.endswith("FORMAT") else "5"
    environ = LOCATED | {variable: value, "PG_MCP_CONFIG_FILE": str(tmp_path / "c.yaml")}

    if problem is None:
        assert list(load(environ).databases) == ["main"]
    else:
        assert refuse(environ).startswith(problem)


@pytest.mark.parametrize("variable", ["PG_MCP_DATABASES____HOST", "PG_MCP_DATABASES__HOST"])
def test_for_a_variable_without_the_name_of_its_database_that_of_the_only_one_is_suggested(
    variable: str,
) -> None:
    assert refuse(LOCATED | {variable: "h"}).endswith("did you mean PG_MCP_DATABASE_HOST?")


@forks
def test_a_forked_process_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_URL", "postgresql://reader:hush@db.example.com/shop?sslmode=require")
    monkeypatch.setenv("PG_MCP_DATABASES__ARCHIVE__HOST", "archive.example.com")
    monkeypatch.setenv("PG_MCP_DATABASES__ARCHIVE__PASSWORD", "hush")
    monkeypatch.setenv("PG_MCP_AUDIT_FILE", str(tmp_path / "audit.jsonl"))
    reader = SettingsReader()
    reader.start()

    settings = reader.result()

    assert settings == load_settings()
    assert settings.databases["archive"].target() == load_settings().databases["archive"].target()


@forks
def test_a_forked_process_reports_invalid_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_HOTS", "localhost")
    reader = SettingsReader()
    reader.start()

    with pytest.raises(SettingsError, match="PG_MCP_DATABASE_HOTS is not a setting, did you mean") as refusal:
        reader.result()
    assert ".env.example" in refusal.value.hint


@forks
def test_the_settings_are_read_here_if_the_forked_process_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_HOST", "localhost")
    os.mkfifo(tmp_path / ".env")  # opening it for reading waits until somebody writes
    reader = SettingsReader()
    reader.start()
    assert reader.pid, "nothing was forked, and 0 would mean this process group"
    os.kill(reader.pid, signal.SIGKILL)
    (tmp_path / ".env").unlink()

    assert list(reader.result().databases) == ["main"]


@forks
def test_the_settings_are_read_here_if_the_forked_process_is_killed_while_it_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_HOST", "localhost")
    names = tuple(f"column_{number}" for number in range(10_000))  # more than a pipe holds
    monkeypatch.setenv("PG_MCP_SERVER_HIDDEN_VALUES", ",".join(names))
    reader = SettingsReader()
    reader.start()
    select.select([reader._pipe], [], [], 60)
    assert reader.pid, "nothing was forked, and 0 would mean this process group"
    os.kill(reader.pid, signal.SIGKILL)

    assert reader.result().server.hidden_values == names


@forks
def test_the_settings_are_read_here_if_nothing_can_be_forked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_HOST", "localhost")
    monkeypatch.setattr(os, "fork", fail)
    open_before = sorted(Path("/proc/self/fd").iterdir())
    reader = SettingsReader()
    reader.start()

    assert sorted(Path("/proc/self/fd").iterdir()) == open_before
    assert list(reader.result().databases) == ["main"]


@forks
def test_the_settings_are_read_here_beside_another_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_HOST", "localhost")
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    reader = SettingsReader()
    reader.start()
    ended.set()
    thread.join()

    assert reader.pid == 0
    assert list(reader.result().databases) == ["main"]


@forks
def test_a_forked_process_is_read_although_its_parent_ignores_the_end_of_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_HOST", "localhost")
    old = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        reader = SettingsReader()
        reader.start()

        assert list(reader.result().databases) == ["main"]
    finally:
        signal.signal(signal.SIGCHLD, old)


@forks
def test_a_forked_process_ends_with_its_parent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")  # opening it for reading waits until somebody writes
    code = (
        "import os, signal\nfrom pgmcp.settings_reader import SettingsReader\n"
        "reader = SettingsReader()\nreader.start()\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # The forked process inherits standard output, which is closed when both have ended.
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, timeout=60, check=False
    )

    assert ended.returncode == -signal.SIGKILL


def test_settings_cannot_be_changed() -> None:
    settings = load(LOCATED)

    with pytest.raises(FrozenInstanceError):
        settings.server.max_result_rows = 5  # type: ignore[misc] # what the test is about


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off", "OFF", "n"])
def test_booleans_are_read_in_their_usual_spellings(text: str) -> None:
    assert not load(
        LOCATED | {"PG_MCP_SERVER_USE_READONLY_TRANSACTIONS": text}
    ).server.use_readonly_transactions


def test_white_space_around_a_value_is_ignored() -> None:
    database = {"PG_MCP_DATABASE_SSL_MODE": " Require ", "PG_MCP_DATABASE_PORT": " 5433 "}

    settings = load(LOCATED | database | {"PG_MCP_LOG_FORMAT": "json ", "LOG_LEVEL": " debug"})

    assert settings.databases["main"].target()[1] == {
        "host": "localhost",
        "port": "5433",
        "sslmode": "require",
    }
    assert (settings.log_format, settings.log_level) == ("json", "DEBUG")


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-1", "1e9"])
def test_a_timeout_is_a_number_of_seconds_within_its_range(text: str) -> None:
    assert "PG_MCP_SERVER_QUERY_TIMEOUT" in refuse(LOCATED | {"PG_MCP_SERVER_QUERY_TIMEOUT": text})


def test_a_longer_query_timeout_lengthens_a_request_timeout_that_is_not_set() -> None:
    assert load(LOCATED | {"PG_MCP_SERVER_QUERY_TIMEOUT": "120"}).server.request_timeout_s == 120.0


def test_function_lists_are_split_at_commas() -> None:
    server = load(LOCATED | {"PG_MCP_SERVER_ALLOWED_FUNCTIONS": "fx_rate, reporting.total ,tools.*,"}).server

    assert server.allowed_functions == ("fx_rate", "reporting.total", "tools.*")


def test_function_lists_take_beginnings_of_names_and_whole_extensions() -> None:
    names = "rpt_*,tools.rpt_*,extension:postgis,extension:uuid-ossp"

    server = load(LOCATED | {"PG_MCP_SERVER_DENIED_FUNCTIONS": names}).server

    assert server.denied_functions == tuple(names.split(","))


@pytest.mark.parametrize("names", ["*", "*.*", "a.b.c", "extension:", "extension:*", "schema:tools", "f()"])
def test_function_lists_say_which_forms_they_take(names: str) -> None:
    assert "extension:name" in refuse(LOCATED | {"PG_MCP_SERVER_ALLOWED_FUNCTIONS": names})


def test_lists_of_patterns_are_split_at_commas() -> None:
    settings = load(
        LOCATED
        | {
            "PG_MCP_SERVER_HIDDEN_VALUES": "notes.*, salary,",
            "PG_MCP_DATABASE_INCLUDE_SCHEMAS": "public,sales_*",
            "PG_MCP_DATABASE_EXCLUDE_SCHEMAS": "sales_tmp",
        }
    )

    assert settings.server.hidden_values == ("notes.*", "salary")
    assert settings.databases["main"].include_schemas == ("public", "sales_*")
    assert settings.databases["main"].exclude_schemas == ("sales_tmp",)


def test_a_pattern_of_columns_has_three_parts_at_most() -> None:
    message = refuse(LOCATED | {"PG_MCP_SERVER_HIDDEN_VALUES": "db.schema.table.column"})

    assert "column, table.column or schema.table.column" in message


def test_a_function_list_accepts_only_names() -> None:
    message = refuse(LOCATED | {"PG_MCP_SERVER_DENIED_FUNCTIONS": "ok,no way()"})

    assert message == (
        "PG_MCP_SERVER_DENIED_FUNCTIONS is 'ok,no way()': "
        "expected comma-separated name, schema.name, schema.*, prefix_* or extension:name"
    )


def test_a_minimum_pool_above_the_maximum_is_an_error() -> None:
    message = refuse(LOCATED | {"PG_MCP_DATABASE_MIN_POOL_SIZE": "6", "PG_MCP_DATABASE_MAX_POOL_SIZE": "5"})

    assert message == (
        "PG_MCP_DATABASE_MIN_POOL_SIZE is '6': expected at most 5 connections, the maximum pool size"
    )


@pytest.mark.parametrize(
    ("sizes", "of_transport", "kept"),
    [({}, 0, 0), ({}, 2, 2), ({"MAX": "1"}, 2, 1), ({"MIN": "3"}, 0, 3), ({"MIN": "0"}, 2, 0)],
)
def test_the_transport_decides_how_many_connections_are_kept_unless_a_setting_does(
    sizes: dict[str, str], of_transport: int, kept: int
) -> None:
    given = {f"PG_MCP_DATABASE_{name}_POOL_SIZE": size for name, size in sizes.items()}

    assert choose_min_workers(load(LOCATED | given).databases["main"], of_transport) == kept


def test_a_wrong_maximum_pool_is_one_problem_not_two() -> None:
    assert refuse(LOCATED | {"PG_MCP_DATABASE_MAX_POOL_SIZE": "none"}).startswith(
        "PG_MCP_DATABASE_MAX_POOL_SIZE is 'none'"
    )


@pytest.mark.parametrize("ssl_mode", ["verify-ca", "verify-full"])
def test_a_verifying_ssl_mode_without_a_root_certificate_is_an_error(ssl_mode: str) -> None:
    assert "SSL_ROOT_CERT" in refuse(LOCATED | {"PG_MCP_DATABASE_SSL_MODE": ssl_mode})


def test_a_root_certificate_may_come_from_the_url_or_from_libpq_s_variable(tmp_path: Path) -> None:
    root_cert = write(tmp_path, "root.crt", "")
    verifying = {"PG_MCP_DATABASE_SSL_MODE": "VERIFY-FULL"}

    in_url = load(verifying | {"PG_MCP_DATABASE_URL": f"postgresql://h/d?sslrootcert={root_cert}"})
    in_variable = load(verifying | LOCATED | {"PGSSLROOTCERT": str(root_cert)})

    for settings in (in_url, in_variable):
        parameters = parameters_for_libpq(settings.databases["main"])
        assert (parameters["sslmode"], parameters["sslrootcert"]) == ("verify-full", str(root_cert))


def test_a_root_certificate_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    message = refuse(LOCATED | {"PG_MCP_DATABASE_SSL_ROOT_CERT": str(tmp_path / "root.crt")})

    assert "expected an existing file" in message


@pytest.mark.parametrize("variable", ["PG_MCP_CONFIG_FILE", "PG_MCP_CONTEXT_FILE"])
def test_a_path_in_a_home_folder_that_does_not_exist_is_an_error(variable: str) -> None:
    assert variable in refuse(LOCATED | {variable: "~no-such-user/file.yaml"})


def test_system_roots_go_with_verify_full_only() -> None:
    environ = LOCATED | {"PG_MCP_DATABASE_SSL_ROOT_CERT": "system"}

    assert "expected verify-full" in refuse(environ | {"PG_MCP_DATABASE_SSL_MODE": "require"})
    assert load(environ).databases["main"].target()[1]["sslrootcert"] == "system"


@pytest.mark.parametrize(
    ("environ", "is_configured"),
    [
        ({}, False),
        ({"PG_MCP_OPENAI_API_KEY": "key"}, True),
        ({"PG_MCP_OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}, True),
        ({"PG_MCP_OPENAI_MODEL": "llama"}, False),
    ],
)
def test_a_model_is_configured_by_a_key_or_an_endpoint(environ: dict[str, str], is_configured: bool) -> None:
    assert load(LOCATED | environ).openai.is_configured is is_configured


def test_no_database_at_all_is_an_error_that_says_what_to_set() -> None:
    assert refuse({}).startswith("no database is configured: set PG_MCP_DATABASE_URL=")


def test_the_single_database_is_called_by_its_name_variable() -> None:
    assert list(load(LOCATED | {"PG_MCP_DATABASE_NAME": "Shop"}).databases) == ["Shop"]


def test_a_name_that_is_invalid_in_a_resource_uri_is_an_error() -> None:
    assert "a database's name is 'my/shop'" in refuse(LOCATED | {"PG_MCP_DATABASE_NAME": "my/shop"})


def test_several_databases_can_be_configured_by_variables_alone() -> None:
    settings = load(
        {
            "PG_MCP_DATABASES__SALES__HOST": "sales.example.com",
            "PG_MCP_DATABASES__SALES__MAX_POOL_SIZE": "3",
            "PG_MCP_DATABASES__HR_EU__URL": "postgresql://hr.example.com/hr",
            "PG_MCP_DATABASE_HOST": "main.example.com",
        }
    )

    assert list(settings.databases) == ["main", "sales", "hr_eu"]  # the default one first
    assert settings.databases["sales"].max_pool_size == 3
    assert settings.databases["hr_eu"].target() == ("postgresql://hr.example.com/hr", {})


def test_variables_override_single_fields_of_a_database_in_yaml(tmp_path: Path) -> None:
    config = write(tmp_path, "c.yaml", "databases: {Sales: {host: a, dbname: sales, user: reader}}")

    settings = load(
        {"PG_MCP_CONFIG_FILE": str(config), "PG_MCP_DATABASES__SALES__HOST": "b"},
    )

    assert list(settings.databases) == ["Sales"]
    assert settings.databases["Sales"].target()[1] == {"host": "b", "dbname": "sales", "user": "reader"}


def test_a_field_of_a_named_database_wins_over_the_single_database_s() -> None:
    settings = load(LOCATED | {"PG_MCP_DATABASE_USER": "a", "PG_MCP_DATABASES__MAIN__USER": "b"})

    assert settings.databases["main"].target()[1] == {"host": "localhost", "user": "b"}


def test_a_setting_for_a_database_without_a_location_is_an_error() -> None:
    message = refuse({"PG_MCP_DATABASES__SALES__HOST": "h", "PG_MCP_DATABASE_SSL_MODE": "require"})

    assert message == (
        "PG_MCP_DATABASE_SSL_MODE is 'require': "
        "expected one of url, host, dbname, user, service to be set too"
    )


def test_secrets_can_be_in_variables_that_yaml_names(tmp_path: Path) -> None:
    config = write(tmp_path, "c.yaml", "databases: {a: {host: h, password_env: PG_MCP_A_PASSWORD}}")
    env_file = write(tmp_path, ".env", "PG_MCP_A_PASSWORD=secret\n")

    settings = load_settings({"PG_MCP_CONFIG_FILE": str(config)}, env_file=env_file)

    assert settings.databases["a"].target()[1]["password"] == "secret"


def test_a_named_variable_that_is_not_set_is_an_error(tmp_path: Path) -> None:
    config = write(tmp_path, "c.yaml", "databases: {a: {host: h, password_env: A_PASSWORD}}")

    assert refuse({"PG_MCP_CONFIG_FILE": str(config)}) == (
        "databases.a.password_env (c.yaml) (its value is not shown): no variable of that name is set"
    )


def test_a_password_put_where_the_name_of_a_variable_belongs_is_not_shown(tmp_path: Path) -> None:
    config = write(tmp_path, "c.yaml", "databases: {a: {host: h, password_env: hush}}")

    assert "hush" not in refuse({"PG_MCP_CONFIG_FILE": str(config)})


def test_a_password_and_the_name_of_one_exclude_each_other(tmp_path: Path) -> None:
    config = write(tmp_path, "c.yaml", "databases: {a: {host: h, password: hush, password_env: A}}")

    message = refuse({"PG_MCP_CONFIG_FILE": str(config), "A": "hush"})

    assert "give either it or password" in message
    assert "hush" not in message


@pytest.mark.parametrize("variable", ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"])
def test_libpq_s_own_environment_configures_the_database(variable: str) -> None:
    settings = load({variable: "x", "PG_MCP_DATABASE_NAME": "shop"})

    assert settings.databases["shop"].target() == ("", {})


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("PGSSLMODE", "REQUIRE", "write require, in lower case"),
        ("PGPORT", "54320000", "numbers from 1 to 65535"),
        ("PGCONNECT_TIMEOUT", "5s", "a whole number"),
        ("PGCLIENTENCODING", "klingon", "the name of an encoding"),
    ],
)
def test_a_variable_of_libpq_that_it_would_refuse_is_named(variable: str, text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} .*{expected}"):
        load({"PG_MCP_DATABASE_URL": "postgresql:///shop", variable: text})


def test_an_overridden_wrong_variable_of_libpq_is_ignored() -> None:
    settings = load({"PGSSLMODE": "REQUIRE", "PG_MCP_DATABASE_URL": "postgresql://db/shop?sslmode=require"})

    assert settings.databases["main"].target()[0].endswith("sslmode=require")


def test_libpq_s_password_variable_goes_to_the_worker_as_a_parameter() -> None:
    assert load({"PGHOST": "h", "PGPASSWORD": "s"}).databases["main"].target() == ("", {"password": "s"})


def test_libpq_s_password_variable_goes_to_one_database_only() -> None:
    databases = load(
        LOCATED | {"PG_MCP_DATABASES__OTHER__HOST": "elsewhere", "PGPASSWORD": "secret"}
    ).databases

    assert databases["main"].target()[1]["password"] == "secret"
    assert "password" not in databases["other"].target()[1]


def test_libpq_s_environment_adds_no_database_to_configured_ones() -> None:
    assert list(load({"PGHOST": "h", "PG_MCP_DATABASES__SALES__HOST": "s"}).databases) == ["sales"]


def test_only_settings_that_were_set_become_libpq_parameters() -> None:
    settings = load({"PG_MCP_DATABASE_SERVICE": "shop"})

    assert settings.databases["main"].target() == ("", {"service": "shop"})


def test_a_list_of_hosts_with_one_port_reaches_libpq() -> None:
    settings = load(
        {
            "PG_MCP_DATABASE_HOST": "a,b",
            "PG_MCP_DATABASE_PORT": "6432",
            "PG_MCP_DATABASE_TARGET_SESSION_ATTRS": "prefer-standby",
        }
    )

    assert parameters_for_libpq(settings.databases["main"]) == {
        "host": "a,b",
        "port": "6432",
        "target_session_attrs": "prefer-standby",
    }


@pytest.mark.parametrize(
    "password", ["p@ss", "50%", "a/b", "a:b", "a#b", "@%/:#@", "a b", "ä€", "%zz", "?", "a&b=c"]
)
def test_a_password_with_raw_special_characters_survives_a_url(password: str) -> None:
    settings = load({"PG_MCP_DATABASE_URL": f"postgresql://reader:{password}@db.example.com:6432/shop"})

    assert parameters_for_libpq(settings.databases["main"]) == {
        "user": "reader",
        "password": password,
        "host": "db.example.com",
        "port": "6432",
        "dbname": "shop",
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p%40ss@h/d", {"user": "u", "password": "p@ss", "host": "h", "dbname": "d"}),
        ("postgresql://u%40corp:p@h/d", {"user": "u@corp", "password": "p", "host": "h", "dbname": "d"}),
        ("postgresql://u@corp:p@h/d", {"user": "u@corp", "password": "p", "host": "h", "dbname": "d"}),
        ("postgresql://u@h/d", {"user": "u", "host": "h", "dbname": "d"}),
        ("postgresql://h/d", {"host": "h", "dbname": "d"}),
        ("postgresql://", {}),
        ("postgresql:///d?host=/run/pg&user=a@b", {"dbname": "d", "host": "/run/pg", "user": "a@b"}),
        (
            "postgresql://u:p@[::1]:5433/d",
            {"user": "u", "password": "p", "host": "::1", "port": "5433", "dbname": "d"},
        ),
        (
            "postgresql://u:p@ss@a:1,b:2/d?target_session_attrs=prefer-standby",
            {
                "user": "u",
                "password": "p@ss",
                "host": "a,b",
                "port": "1,2",
                "dbname": "d",
                "target_session_attrs": "prefer-standby",
            },
        ),
        (
            r"host=a,b  dbname = 'my db' password='it\'s' target_session_attrs=any",
            {"host": "a,b", "dbname": "my db", "password": "it's", "target_session_attrs": "any"},
        ),
    ],
)
def test_libpq_reads_a_connection_string_as_its_writer_meant_it(url: str, expected: dict[str, str]) -> None:
    assert parameters_for_libpq(load({"PG_MCP_DATABASE_URL": url}).databases["main"]) == expected


@pytest.mark.parametrize("url", ["host", "host=a b", "password='open", "http://h"])
def test_a_text_of_another_form_is_not_a_connection_string(url: str) -> None:
    message = refuse({"PG_MCP_DATABASE_URL": url})

    assert message.startswith("PG_MCP_DATABASE_URL (its value is not shown): expected postgresql://")


def test_a_url_overrides_variables_only_for_the_parameters_that_it_has() -> None:
    variables = {
        "PG_MCP_DATABASE_HOST": "other",
        "PG_MCP_DATABASE_PORT": "1",
        "PG_MCP_DATABASE_DBNAME": "other",
        "PG_MCP_DATABASE_USER": "other",
        "PG_MCP_DATABASE_PASSWORD": "other",
        "PG_MCP_DATABASE_SSL_MODE": "require",
    }

    whole = load(variables | {"PG_MCP_DATABASE_URL": "postgresql://u:p@h/d?sslmode=disable"})
    bare = load(variables | {"PG_MCP_DATABASE_URL": "postgresql://h/d"})

    assert whole.databases["main"].target() == ("postgresql://u:p@h/d?sslmode=disable", {})
    assert bare.databases["main"].target()[1] == {"user": "other", "password": "other", "sslmode": "require"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_refused_as_a_password_file_because_it_can_be_read_only_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    assert "not a pipe" in refuse(LOCATED | {"PG_MCP_DATABASE_PASSWORD_FILE": str(pipe)})
