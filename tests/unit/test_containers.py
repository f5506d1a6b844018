"""The Dockerfile and compose.yaml, checked against the settings and the files that they name."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgmcp.cli.setup_sql import setup_script
from pgmcp.settings import setting_specs
from pgmcp.settings.load import load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
BASE = ("database", "pgmcp")
SERVICE_KEYS = {  # the keys of the Compose Specification that compose.yaml may use
    *(
        "build",
        "cap_drop",
        "command",
        "depends_on",
        "environment",
        "healthcheck",
        "image",
        "ports",
        "profiles",
    ),
    *("read_only", "restart", "secrets", "security_opt", "stop_grace_period", "tmpfs", "user", "volumes"),
}
SCRIPTS = sorted((ROOT / "scripts/compose").glob("*.sh"))


def test_every_file_for_the_image_exists_and_is_sent_to_the_builder() -> None:
    sources = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
    ]
    sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)

    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert sorted(sources) == sorted(sent)


def test_the_image_serves_as_a_user_without_privileges_below_an_init() -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert 'ENTRYPOINT ["tini", "--", "pgmcp"]' in DOCKERFILE


def test_the_image_has_ssh_and_its_user_a_line_in_passwd_without_which_ssh_refuses_to_run() -> None:
    installed = re.findall(r"apt-get install -y --no-install-recommends (.+) \\$", DOCKERFILE, re.MULTILINE)

    assert [packages.split() for packages in installed] == [["tini", "openssh-client"]]
    assert "useradd --uid 10001 " in DOCKERFILE


def test_the_image_uses_pinned_versions_and_has_no_compiler() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    bases, _, names = zip(*(stage.splitlines()[0].split() for stage in stages), strict=True)
    of_images = [stage for stage, name in zip(stages, names, strict=True) if name != "build"]

    assert [base for base in bases if base not in names] == ["python:3.13-slim"] * 2
    assert not re.search(r"gcc|build-essential|pip install|\buv\b", "".join(of_images))
    assert "--no-build" in stages[0]


def test_no_command_of_the_image_needs_a_shell() -> None:
    commands = re.findall(r"^(?:ENTRYPOINT|CMD|HEALTHCHECK .*CMD) (.+)$", DOCKERFILE, re.MULTILINE)

    assert [json.loads(command) for command in commands] == [
        ["tini", "--", "pgmcp"],
        ["serve"],
        ["serve", "--http", "0.0.0.0:8765"],
        ["python", "-m", "pgmcp.healthcheck"],
    ]


@pytest.mark.parametrize("service", ["pgmcp", "pgmcp-1", "pgmcp-2", "pgmcp-3"])
def test_every_setting_in_the_compose_file_exists_and_together_they_are_valid(
    service: str, tmp_path: Path
) -> None:
    environment = {name: str(text) for name, text in COMPOSE["services"][service]["environment"].items()}
    prepare("alice", tmp_path)
    known = {spec.variable for spec in setting_specs()}

    assert [name for name in environment if name.removesuffix("_FILE") not in known] == []
    given = {
        name: text.replace("/run/secrets", str(tmp_path / "secrets"))
        for name, text in environment.items()
        if "${" not in text
    }
    settings = load_settings(given, env_file=None)
    assert settings.databases["shop"].password_file is not None
    assert list(settings.http.token_hashes) == ["alice"]
    shares = service != "pgmcp"
    assert (settings.rate_limit.storage_url is not None, len(settings.http.state_key_list)) == (
        shares,
        shares,
    )


@pytest.mark.parametrize("service", ["pgmcp", "pgmcp-1"])
def test_the_models_key_is_a_secret_file_if_one_is_named(service: str, tmp_path: Path) -> None:
    file = tmp_path / "openai_api_key"
    file.write_text("the-models-key\n")
    declared = COMPOSE["secrets"]["openai_api_key"]["file"]
    assert "openai_api_key" in COMPOSE["services"][service]["secrets"]

    without, with_file = (
        {
            name: interpolated(str(text), environ)
            for name, text in COMPOSE["services"][service]["environment"].items()
            if name.startswith("PG_MCP_OPENAI_")
        }
        for environ in ({}, {"PG_MCP_OPENAI_API_KEY_FILE": str(file)})
    )
    mounted = with_file | {
        "PG_MCP_OPENAI_API_KEY_FILE": with_file["PG_MCP_OPENAI_API_KEY_FILE"].replace(
            "/run/secrets/openai_api_key",
            interpolated(declared, {"PG_MCP_OPENAI_API_KEY_FILE": str(file)}),
        )
    }

    assert interpolated(declared, {}) == "/dev/null"
    located = {"PG_MCP_DATABASE_HOST": "database"}
    assert not load_settings(located | without, env_file=None).openai.is_configured
    key = load_settings(located | mounted, env_file=None).openai.api_key
    assert key is not None
    assert key.get_secret_value() == "the-models-key"


def interpolated(text: str, environ: dict[str, str]) -> str:
    """Return a text of the compose file with its variables replaced, as by `docker compose`."""

    def replace(found: re.Match[str]) -> str:
        name, operator, word = found.groups()
        return word if bool(environ.get(name)) == (operator == ":+") else environ.get(name, "")

    return re.sub(r"\$\{(\w+)(:[-+])([^}]*)\}", replace, text)


def test_the_connections_of_the_fleet_fit_the_pooler_and_the_role() -> None:
    services = COMPOSE["services"]
    servers = [name for name, service in services.items() if name.startswith("pgmcp-")]
    environment = services["pgmcp-1"]["environment"]
    nginx = (ROOT / "scripts/compose/nginx.conf").read_text("utf-8")
    pgbouncer = (ROOT / "scripts/compose/pgbouncer.ini").read_text("utf-8")

    assert re.findall(r"server (pgmcp-\d):8765;", nginx) == servers == services["nginx"]["depends_on"]
    assert environment["PG_MCP_RATE_LIMIT_SERVERS"] == len(servers)
    pool_size = re.search(r"default_pool_size = (\d+)", pgbouncer)
    assert pool_size is not None
    assert int(pool_size[1]) == len(servers) * environment["PG_MCP_DATABASE_MAX_POOL_SIZE"]
    default_pool_size = (
        load_settings({"PG_MCP_DATABASE_HOST": "x"}, env_file=None).databases["main"].max_pool_size
    )
    assert int(pool_size[1]) + default_pool_size <= 20  # the role's CONNECTION LIMIT
    assert all(service["profiles"] == ["fleet"] for name, service in services.items() if name not in BASE)


def test_the_compose_file_has_no_key_that_compose_does_not_know() -> None:
    used = {key for service in COMPOSE["services"].values() for key in service}

    assert {key for key in COMPOSE if not key.startswith("x-")} <= {"services", "secrets", "volumes"}
    assert used <= SERVICE_KEYS


def test_every_secret_and_file_of_the_compose_file_is_declared_and_exists(tmp_path: Path) -> None:
    prepare("alice", tmp_path)
    used = {name for service in COMPOSE["services"].values() for name in service.get("secrets", ())}
    mounted = [
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]

    assert used == COMPOSE["secrets"].keys()
    required = [secret["file"] for secret in COMPOSE["secrets"].values() if "${" not in secret["file"]]
    assert all((tmp_path / file).stat().st_size for file in required)
    assert [name for name in mounted if not (ROOT / name).is_file()] == []


def test_no_service_publishes_a_port_to_the_network_or_has_a_terminal() -> None:
    services = COMPOSE["services"].values()

    assert all(port.startswith("127.0.0.1:") for service in services for port in service.get("ports", ()))
    assert not any(service.get("tty") for service in services)


def test_the_secrets_script_keeps_existing_secrets_and_makes_a_token_for_each_caller(tmp_path: Path) -> None:
    tokens = [prepare(name, tmp_path) for name in ("alice", "bob")]
    password = (tmp_path / "secrets/reader_password").read_text("utf-8")
    prepare("carol", tmp_path)

    assert len(set(tokens)) == 2
    assert (tmp_path / "secrets/reader_password").read_text("utf-8") == password
    hashes = (tmp_path / "secrets/token_hashes").read_text("utf-8")
    assert re.findall(r"(\w+)=[0-9a-f]{64}", hashes) == ["alice", "bob", "carol"]
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_the_role_of_the_containers_is_the_one_of_setup_sql() -> None:
    script = (ROOT / "scripts/compose/reader.sql").read_text("utf-8")

    made = setup_script(
        "pgmcp_reader", "shop", ["public"], connections=20, statement_timeout_s=60, revokes=True
    )
    assert script.rstrip() == made.rstrip()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_executable_and_has_no_syntax_error(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["/bin/sh", "-n", script], check=True)


def prepare(name: str, folder: Path) -> str:
    """Make the secrets, and return the token."""
    script = ROOT / "scripts/compose/prepare.sh"
    done = subprocess.run([script, name], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
