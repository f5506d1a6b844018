from pathlib import Path

import pytest

from pgmcp.settings.address import find_address
from pgmcp.settings.load import load_settings
from pgmcp.settings.origins import Origin, find_origins


def origins(environ: dict[str, str], env_file: Path | None = None) -> list[Origin]:
    return find_origins(environ, env_file=env_file)


def test_a_variable_comes_from_the_environment_without_its_password() -> None:
    (origin,) = origins({"PG_MCP_DATABASE_URL": "postgresql://me:Quagga@db/shop"})

    assert origin == Origin("PG_MCP_DATABASE_URL", "environment", "postgresql://me:***@db/shop")


@pytest.mark.parametrize("variable", ["PG_MCP_OPENAI_API_KEY", "PG_MCP_DATABASE_PASSWORD", "PGPASSWORD"])
def test_a_secret_is_never_shown(variable: str) -> None:
    (origin,) = origins({variable: "Quagga"})

    assert origin.shown == "***"


def test_credentials_of_an_address_are_not_shown() -> None:
    (origin,) = origins({"PG_MCP_OPENAI_BASE_URL": "http://me:Quagga@host/v1"})

    assert origin.shown == "http://***@host/v1"


def test_the_value_of_an_unknown_name_is_not_shown() -> None:
    (origin,) = origins({"PG_MCP_OPENAI_APIKEY": "Quagga"})

    assert "Quagga" not in origin.shown


def test_every_file_is_listed_and_overridden_settings_are_marked(tmp_path: Path) -> None:
    env_file, yaml_file = tmp_path / ".env", tmp_path / "config.yaml"
    env_file.write_text("PG_MCP_DATABASE_HOST=two\nPG_MCP_SERVER_MAX_QUEUE=5\n")
    yaml_file.write_text("database:\n  host: three\n  password_env: SHOP_PASSWORD\n")
    environ = {
        "PG_MCP_CONFIG_FILE": str(yaml_file),
        "PG_MCP_DATABASE_HOST": "one",
        "SHOP_PASSWORD": "Quagga",
    }

    found = origins(environ, env_file)

    assert found == [
        Origin("PG_MCP_CONFIG_FILE", "environment", str(yaml_file)),
        Origin("PG_MCP_DATABASE_HOST", "environment", "one"),
        Origin("PG_MCP_DATABASE_HOST", str(env_file), "two", is_used=False),
        Origin("PG_MCP_SERVER_MAX_QUEUE", str(env_file), "5"),
        Origin("database.host", str(yaml_file), "three", is_used=False),
        Origin("SHOP_PASSWORD, named by database.password_env", str(yaml_file), "***"),
    ]


def test_a_reference_to_a_variable_that_is_not_set_is_a_setting_whose_value_is_hidden(tmp_path: Path) -> None:
    yaml_file = tmp_path / "config.yaml"
    yaml_file.write_text("databases:\n  shop:\n    url_env: Quagga\n    password_enw: Quagga\n")

    found = origins({"PG_MCP_CONFIG_FILE": str(yaml_file)})[1:]

    assert [(each.name, each.shown) for each in found] == [
        ("databases.shop.url_env", "***"),
        ("databases.shop.password_enw", "(not shown: it is not a setting)"),
    ]


def test_libpqs_own_sources_are_reported_too() -> None:
    assert origins({"PGHOST": "db"}) == [Origin("PGHOST", "environment, read by libpq", "db")]


@pytest.mark.parametrize(
    ("environ", "hosts"),
    [
        ({"PG_MCP_DATABASE_URL": "postgresql://a,b:6000/shop"}, "a:5432, b:6000"),
        ({"PG_MCP_DATABASE_URL": "postgresql://a:1,b:2/shop"}, "a:1, b:2"),
        ({"PG_MCP_DATABASE_HOST": "db", "PG_MCP_DATABASE_PORT": "6000"}, "db:6000"),
        ({"PG_MCP_DATABASE_DBNAME": "shop"}, "local socket, port 5432"),
        ({"PG_MCP_DATABASE_SERVICE": "shop"}, "service shop"),
        ({"PGHOST": "db", "PGPORT": "6000"}, "db:6000"),
    ],
)
def test_the_address_is_reported_as_libpq_resolves_it(environ: dict[str, str], hosts: str) -> None:
    (database,) = load_settings(environ, env_file=None).databases.values()

    assert find_address(database, environ).hosts == hosts


@pytest.mark.parametrize(
    ("url", "ssl_mode", "is_verified"),
    [
        ("postgresql://db/shop", "prefer", False),
        ("postgresql://db/shop?sslmode=require", "require", False),
        ("postgresql://db/shop?sslmode=require&sslrootcert=ca.pem", "require", True),
        ("postgresql://db/shop?sslrootcert=system", "verify-full", True),
    ],
)
def test_the_reported_ssl_mode_is_the_effective_one(url: str, ssl_mode: str, is_verified: bool) -> None:
    (database,) = load_settings({"PG_MCP_DATABASE_URL": url}, env_file=None).databases.values()
    address = find_address(database, {})

    assert (address.ssl_mode, address.is_verified) == (ssl_mode, is_verified)


def test_a_key_in_the_query_of_the_models_address_is_not_shown() -> None:
    (origin,) = origins({"PG_MCP_OPENAI_BASE_URL": "https://host/v1?api-version=1&key=Quagga&code=Quagga"})

    assert origin.shown == "https://host/v1?api-version=1&key=***&code=***"
