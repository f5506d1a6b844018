"""What `pgmcp serve --http` refuses before it starts, and which hosts it allows."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from starlette.datastructures import Headers

from pgmcp.errors import SettingsError
from pgmcp.settings import HttpSettings
from pgmcp.settings.load import load_settings
from pgmcp.start_http import build_host_check, open_gate, read_proxies, run
from pgmcp.transport.http.address import ListenAddress

RESOURCE = "https://mcp.example.com/mcp"
LOCATED = {"PG_MCP_DATABASE_HOST": "localhost"}
TOKENS = f"robot={'0' * 64}"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ISSUER": "https://issuer.example"}, "expected PUBLIC_URL to be set too"),
        ({"ISSUER": "http://issuer.example", "PUBLIC_URL": RESOURCE}, "expected https://host/path"),
        ({"PUBLIC_URL": "https://a:Quagga-1@mcp.example.com"}, "without a user or a password"),
        ({"TOKENS": "pgmcp_Quagga-1"}, "(its value is not shown): expected comma-separated name=hash"),
        ({"TOKENS": f"{TOKENS},{TOKENS}"}, "expected every name once"),
        ({"TLS_CERT": __file__}, "expected TLS_CERT and TLS_KEY together"),
        ({"INTROSPECTION_URL": "https://a.example", "PUBLIC_URL": RESOURCE}, "INTROSPECTION_CLIENT_ID"),
        ({"ALLOWED_HOSTS": "https://mcp.example.com"}, "expected comma-separated host or host:port"),
        ({"ALLOWED_ORIGINS": "*"}, "expected comma-separated https://host"),
    ],
)
def test_invalid_settings_are_named(variables: dict[str, str], expected: str) -> None:
    environ = LOCATED | {f"PG_MCP_HTTP_{name}": text for name, text in variables.items()}

    with pytest.raises(SettingsError) as refusal:
        load_settings(environ, env_file=None)

    assert expected in str(refusal.value)
    assert "Quagga" not in str(refusal.value)


def allowed(settings: HttpSettings, where: ListenAddress, *, is_local: bool) -> set[str]:
    check = build_host_check(where, settings, is_local=is_local)
    hosts = ("localhost:8765", "10.0.0.1:8765", "mcp.example.com", "mcp.example.com:443", "evil.example")
    return {host for host in hosts if check.has_allowed_host(Headers({"host": host}))}


def test_without_authentication_only_this_machine_is_served() -> None:
    with pytest.raises(SettingsError, match="other machines can reach this address"):
        build_host_check(ListenAddress("0.0.0.0"), HttpSettings(), is_local=False)

    assert allowed(HttpSettings(), ListenAddress(), is_local=True) == {"localhost:8765"}


def test_with_authentication_only_the_public_name_is_accepted_as_host() -> None:
    settings = TypeAdapter(HttpSettings).validate_python({"tokens": TOKENS, "public_url": RESOURCE})

    hosts = allowed(settings, ListenAddress("0.0.0.0"), is_local=False)

    assert hosts == {"mcp.example.com", "mcp.example.com:443"}


def test_an_address_of_every_interface_needs_a_name() -> None:
    settings = TypeAdapter(HttpSettings).validate_python({"tokens": TOKENS})
    with pytest.raises(SettingsError, match="which host name clients use"):
        build_host_check(ListenAddress("0.0.0.0"), settings, is_local=False)

    assert allowed(settings, ListenAddress("10.0.0.1"), is_local=False) == {"10.0.0.1:8765"}


@pytest.mark.parametrize(("port", "is_taken"), [("8080", True), ("8081", False)])
def test_an_allowed_host_with_a_port_allows_only_that_port(port: str, is_taken: bool) -> None:
    settings = TypeAdapter(HttpSettings).validate_python({"allowed_hosts": "mcp.example.com:8080"})
    check = build_host_check(ListenAddress(), settings, is_local=True)

    assert check.has_allowed_host(Headers({"host": f"mcp.example.com:{port}"})) is is_taken


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("settings", "servers"),
    [
        ({"introspection_url": "https://a.example/introspect"}, None),
        (
            {
                "introspection_url": "https://a.example/introspect",
                "authorization_server": "https://a.example",
            },
            ["https://a.example"],
        ),
        ({"issuer": "https://b.example"}, ["https://b.example"]),
        (
            {
                "issuer": "https://b.example",
                "introspection_url": "https://a.example/introspect",
                "authorization_server": "https://a.example",
            },
            ["https://b.example", "https://a.example"],
        ),
    ],
)
async def test_metadata_names_every_server_that_gives_tokens(
    settings: dict[str, str], servers: list[str] | None
) -> None:
    client = {"introspection_client_id": "pgmcp", "introspection_client_secret": "secret"}
    given = TypeAdapter(HttpSettings).validate_python({"public_url": RESOURCE, **client, **settings})
    async with open_gate(given) as gate:
        assert gate is not None
        path = "/.well-known/oauth-protected-resource/mcp"
        assert gate.resource.serves_metadata_at(path)
        content = json.loads(bytes(gate.resource.metadata().body))
        challenge = gate.resource.ask_for_token().headers["www-authenticate"]

    assert (content["resource"], content.get("authorization_servers")) == (RESOURCE, servers)
    assert f'resource_metadata="https://mcp.example.com{path}"' in challenge


@pytest.mark.anyio
async def test_with_only_static_tokens_the_metadata_name_no_authorization_server() -> None:
    settings = TypeAdapter(HttpSettings).validate_python({"public_url": RESOURCE, "tokens": TOKENS})
    async with open_gate(settings) as gate:
        assert gate is not None
        assert not gate.resource.has_metadata


@pytest.mark.parametrize("proxies", ["somewhere", "10.0.0.1/8"])
def test_proxies_that_are_not_networks_are_refused(proxies: str) -> None:
    with pytest.raises(SettingsError, match=r"--forwarded-allow-ips .*expected comma-separated addresses"):
        read_proxies(proxies)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("nonsense.invalid", "--http nonsense.invalid:8765: cannot listen there"),
        ("127.0.0.1:many", "--http '127.0.0.1:many' is not an address; expected HOST:PORT"),
    ],
)
def test_mistakes_in_options_and_settings_are_named_at_once(
    address: str, problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {**LOCATED, "LOG_LEVEL": "LOUD"}.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError) as refusal:
        run(address, None, proxies="somewhere")

    message = str(refusal.value)
    assert message.startswith("3 settings cannot be used:")
    for words in ("LOUD", problem, "--forwarded-allow-ips 'somewhere'"):
        assert words in message


def test_a_mistake_in_an_option_alone_keeps_its_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in LOCATED.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError, match="is not an address") as refusal:
        run("127.0.0.1:many", None)

    assert refusal.value.hint.startswith("expected HOST:PORT")
