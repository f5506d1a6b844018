"""Authentication over HTTP by static tokens, JWTs and opaque tokens, and requests that it refuses."""

import hashlib
import hmac
import json
import re
import ssl
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from pgmcp.healthcheck import answers
from testing.command_line import run
from testing.http_server import (
    VERSIONS,
    HttpServerProcess,
    http_client,
    message_of,
    request,
    rows_of,
    tool_call,
)
from testing.issuer import CLIENT, RESOURCE, Issuer, SigningKey, unsigned
from testing.mcp_server import server_environment

METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


@dataclass
class Guarded:
    """A server that requires tokens, and its audit file."""

    server: HttpServerProcess
    issuer: Issuer
    static_token: str
    audit: Path

    def audited(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture(scope="module")
def guarded(shop_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("server")
    made = run(server_environment(), folder, "token", "robot")
    token = made.stdout.decode().strip()
    hashes = re.search(r"PG_MCP_HTTP_TOKENS=(robot=[0-9a-f]{64})", made.stderr.decode())
    assert hashes is not None
    with Issuer() as issuer:
        environment = server_environment(
            shop_url,
            database_name="shop",
            http_public_url=RESOURCE,
            http_tokens=f"{hashes[1]},other={'0' * 64}",
            http_issuer=issuer.url,
            http_required_scopes="sql:read",
            http_introspection_url=f"{issuer.url}/introspect",
            http_introspection_client_id=CLIENT[0],
            http_introspection_client_secret=CLIENT[1],
            audit_file=str(folder / "audit.jsonl"),
            LOG_LEVEL="DEBUG",
        )
        proxies = ("--forwarded-allow-ips", "127.0.0.1")
        with HttpServerProcess(environment, folder, options=proxies) as server:
            yield Guarded(server, issuer, token, folder / "audit.jsonl")
    assert "Traceback" not in server.log
    for secret in (token, hashes[1].partition("=")[2], CLIENT[1], "eyJ"):
        assert secret not in server.log
        assert secret not in (folder / "audit.jsonl").read_text()


@pytest.fixture
def client(guarded: Guarded) -> Iterator[httpx2.Client]:
    """Return a client that checks that no answer contains the token of its request."""

    def check(response: httpx2.Response) -> None:
        token = response.request.headers.get("Authorization", "").partition(" ")[2]
        if len(token) > 3:  # a shorter text may occur by chance
            response.read()
            assert token not in f"{response.text} {response.headers}"

    with http_client(guarded.server.port, event_hooks={"response": [check]}) as client:
        yield client


def call(
    client: httpx2.Client, token: str | None, version: str = VERSIONS[1], **headers: str
) -> httpx2.Response:
    """Call a tool with a token."""
    given, body = tool_call("execute_sql", version, sql="select 1")
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    return client.post("/mcp", headers={**given, **headers}, json=body)


def challenge(response: httpx2.Response) -> dict[str, str]:
    """Return the parameters of a challenge."""
    header = response.headers["www-authenticate"]
    assert header.startswith("Bearer")
    return dict(re.findall(r'(\w+)="([^"]*)"', header))


@pytest.mark.parametrize("version", VERSIONS)
def test_each_kind_of_token_authenticates_its_owner_and_the_audit_names_them(
    client: httpx2.Client, guarded: Guarded, version: str
) -> None:
    issuer = guarded.issuer
    issuer.opaque["opaque-of-carol"] = {**issuer.claims(sub="carol"), "active": True}

    answers = [
        call(client, token, version)
        for token in (guarded.static_token, issuer.token(sub="alice"), "opaque-of-carol")
    ]

    assert [rows_of(answer) for answer in answers] == [[[1]]] * 3
    assert [line["principal"] for line in guarded.audited()[-3:]] == ["robot", "alice", "carol"]


def test_a_client_without_a_token_learns_where_to_get_one(client: httpx2.Client) -> None:
    response = call(client, None)

    assert response.status_code == 401
    assert challenge(response) == {"scope": "sql:read", "resource_metadata": METADATA}


def test_a_get_without_a_token_gets_the_same_answer(client: httpx2.Client) -> None:
    assert challenge(client.get("/mcp"))["resource_metadata"] == METADATA


def test_a_wrong_host_header_is_refused_before_the_token_is_checked(
    client: httpx2.Client, guarded: Guarded
) -> None:
    assert call(client, None, Host="evil.example").status_code == 421
    assert call(client, guarded.static_token, Host="evil.example").status_code == 421
    metadata = client.get("/.well-known/oauth-protected-resource", headers={"Host": "evil.example"})
    assert metadata.status_code == 421


def test_the_address_that_a_proxy_of_the_command_line_names_is_logged(
    client: httpx2.Client, guarded: Guarded
) -> None:
    refused = call(client, None, Host="evil.example", **{"X-Forwarded-For": "203.0.113.7"})

    assert refused.status_code == 421
    guarded.server.until_logged(re.compile(r"a request from 203\.0\.113\.7 is refused"))


@pytest.mark.parametrize(
    "path", ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]
)
def test_the_metadata_names_the_resource_and_its_issuer(
    client: httpx2.Client, guarded: Guarded, path: str
) -> None:
    response = client.get(path, headers={"Host": "mcp.example.com"})

    assert response.status_code == 200
    assert response.json() == {
        "resource": RESOURCE,
        "resource_name": "pgmcp",
        "authorization_servers": [guarded.issuer.url],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["sql:read"],
    }


def test_a_token_without_the_scope_gets_its_name(client: httpx2.Client, guarded: Guarded) -> None:
    response = call(client, guarded.issuer.token(scope="openid profile"))

    assert response.status_code == 403
    assert challenge(response) == {
        "error": "insufficient_scope",
        "error_description": "the token lacks a scope",
        "scope": "sql:read",
        "resource_metadata": METADATA,
    }


HONEST: dict[str, Callable[[Issuer], str]] = {
    "several audiences": lambda issuer: issuer.token(aud=["https://other.example", RESOURCE]),
    "scopes as a list": lambda issuer: issuer.token(scope=None, scp=["sql:read", "more"]),
    "type with its prefix": lambda issuer: issuer.token(headers={"typ": "application/at+jwt"}),
    "type JWT": lambda issuer: issuer.token(headers={"typ": "JWT"}),
    "no type": lambda issuer: issuer.token(headers={"typ": None}),
    "no key id": lambda issuer: issuer.token(headers={"kid": None}),
    "a fraction as expiry": lambda issuer: issuer.token(exp=issuer.claims()["exp"] + 0.5),
    "an expiry of four hundred digits": lambda issuer: issuer.token(exp=10**400),
    "a type of content": lambda issuer: issuer.token(headers={"cty": "JWT"}),
    "expired within the leeway": lambda issuer: issuer.token(exp=issuer.claims()["iat"] - 5),
}


@pytest.mark.parametrize("name", HONEST)
def test_valid_tokens_of_different_issuers_are_accepted(
    client: httpx2.Client, guarded: Guarded, name: str
) -> None:
    assert call(client, HONEST[name](guarded.issuer)).status_code == 200


def _signed_with_public_key(issuer: Issuer) -> str:
    """Return a token signed by HMAC with the issuer's public key as the secret (key confusion)."""
    token = unsigned({"alg": "HS256", "typ": "at+jwt", "kid": issuer.keys[0].id}, issuer.claims())
    signing_input = token.rpartition(".")[0]
    digest = hmac.new(issuer.keys[0].public_pem, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{urlsafe_b64encode(digest).decode().rstrip('=')}"


def _with_other_claims(issuer: Issuer) -> str:
    """Return a token with replaced claims and the signature of the original ones."""
    header, _, signature = issuer.token().split(".")
    claims = unsigned({}, issuer.claims(sub="root")).split(".")[1]
    return f"{header}.{claims}.{signature}"


def _of_stranger(issuer: Issuer, **headers: Any) -> str:
    """Return a token that another key has signed under the issuer's key id."""
    return issuer.token(key=SigningKey(), headers={"kid": issuer.keys[0].id, **headers})


FORGED: dict[str, Callable[[Issuer], str]] = {
    "alg none": lambda it: unsigned({"alg": "none", "typ": "at+jwt"}, it.claims()),
    "alg None": lambda it: unsigned({"alg": "None", "typ": "at+jwt", "kid": it.keys[0].id}, it.claims()),
    "no alg": lambda it: unsigned({"typ": "at+jwt", "kid": it.keys[0].id}, it.claims()),
    "alg as a list": lambda it: unsigned({"alg": ["RS256"], "typ": "at+jwt"}, it.claims()),
    "key confusion": _signed_with_public_key,
    "an algorithm other than the key's": lambda it: unsigned(
        {"alg": "ES256", "typ": "at+jwt", "kid": it.keys[0].id}, it.claims(), b"x" * 64
    ),
    "other claims": _with_other_claims,
    "a stranger's key": _of_stranger,
    "a stranger's key in the header": lambda it: it.token(
        key=(stranger := SigningKey()), headers={"jwk": stranger.public, "kid": it.keys[0].id}
    ),
    "an address of keys in the header": lambda it: _of_stranger(it, jku="http://127.0.0.1:9/keys"),
    "an unknown key": lambda it: it.token(key=SigningKey()),
    "a path as key id": lambda it: _of_stranger(it, kid="../../../../dev/null"),
    "a list as key id": lambda it: unsigned({"alg": "RS256", "kid": []}, it.claims(), b"x" * 256),
    "an unknown critical header": lambda it: it.token(headers={"crit": ["exp2"], "exp2": 1}),
    "an address of certificates in the header": lambda it: _of_stranger(it, x5u="http://127.0.0.1:9/chain"),
    "a certificate in the header": lambda it: _of_stranger(it, x5c=["MIIB"]),
    "a critical header that we know": lambda it: _of_stranger(it, crit=["kid"]),
    "an algorithm in small letters": lambda it: unsigned(
        {"alg": "rs256", "typ": "at+jwt", "kid": it.keys[0].id}, it.claims(), b"x" * 256
    ),
    "a signature of zeros": lambda it: unsigned(
        {"alg": "RS256", "typ": "at+jwt", "kid": it.keys[0].id}, it.claims(), bytes(256)
    ),
    "a header nested deeply": lambda it: it.token().replace(
        it.token().partition(".")[0], urlsafe_b64encode(b"[" * 6_000).decode()
    ),
    "claims nested deeply": lambda it: it.token(groups=json.loads("[" * 900 + "]" * 900), sub=None),
    "an encrypted token": lambda it: it.token() + ".x.y",
    "an unencoded payload": lambda it: unsigned(
        {"alg": "RS256", "kid": it.keys[0].id, "b64": False, "crit": ["b64"]}, it.claims(), b"x" * 256
    ),
    "no signature": lambda it: it.token().rpartition(".")[0] + ".",
    "expired": lambda it: it.token(exp=it.claims()["iat"] - 60),
    "not yet valid": lambda it: it.token(nbf=it.claims()["iat"] + 600),
    "issued in the future": lambda it: it.token(iat=it.claims()["iat"] + 600),
    "no expiry": lambda it: it.token(exp=None),
    "a text as expiry": lambda it: it.token(exp="never"),
    "an endless expiry": lambda it: unsigned(
        {"alg": "RS256", "typ": "at+jwt", "kid": it.keys[0].id}, {**it.claims(), "exp": 1e400}, b"x" * 256
    ),
    "another audience": lambda it: it.token(aud="https://other.example/mcp"),
    "an audience that begins with ours": lambda it: it.token(aud=RESOURCE + ".evil.example"),
    "a list in the list of audiences": lambda it: it.token(aud=[[RESOURCE]]),
    "no texts in the list of audiences": lambda it: it.token(aud=[5, None]),
    "an empty list of audiences": lambda it: it.token(aud=[]),
    "a number as audience": lambda it: it.token(aud=5),
    "a list as expiry": lambda it: it.token(exp=[it.claims()["exp"]]),
    "true as expiry": lambda it: it.token(exp=True),
    "a negative expiry": lambda it: it.token(exp=-1),
    "a text as beginning": lambda it: it.token(nbf="tomorrow"),
    "a text as time of issue": lambda it: it.token(iat="yesterday"),
    "a number as id": lambda it: it.token(jti=5),
    "a number as name": lambda it: it.token(sub=5),
    "a list as name": lambda it: it.token(sub=["alice"]),
    "a long name": lambda it: it.token(sub="a" * 201),
    "no audience": lambda it: it.token(aud=None),
    "an object as audience": lambda it: it.token(aud={"x": RESOURCE}),
    "another issuer": lambda it: it.token(iss="https://issuer.example"),
    "our issuer with a slash": lambda it: it.token(iss=it.url + "/"),
    "a list of issuers": lambda it: it.token(iss=[it.url]),
    "no issuer": lambda it: it.token(iss=None),
    "nobody": lambda it: it.token(sub=None),
    "an empty name": lambda it: it.token(sub=""),
    "a name of control characters": lambda it: it.token(sub="a\nb"),
    "an ID token": lambda it: it.token(headers={"typ": "JWT"}, at_hash="x"),
    "a logout token": lambda it: it.token(headers={"typ": "logout+jwt"}),
    "a type as a list": lambda it: it.token(headers={"typ": ["at+jwt"]}),
    "bound to a key": lambda it: it.token(cnf={"jkt": "x"}),
    "claims as a list": lambda it: unsigned({"alg": "RS256", "kid": it.keys[0].id}, {}, b"x").replace(
        ".e30.", ".W10."
    ),
    "three dots": lambda it: it.token() + ".x",
    "two parts": lambda it: ".".join(it.token().split(".")[:2]),
    "no base64": lambda it: "a!.b!.c!",
    "no token at all": lambda it: ".",
    "too long": lambda it: it.token(groups=["g" * 100] * 200),
    "a hash of a static token": lambda it: "0" * 64,
    "a static token of nobody": lambda it: "pgmcp_" + "x" * 43,
    "an inactive opaque token": lambda it: "revoked",
    "an expired opaque token": lambda it: _opaque(it, exp=1),
    "an opaque token of another audience": lambda it: _opaque(it, aud="https://other.example"),
    "an opaque token without an audience": lambda it: _opaque(it, aud=None),
    "an opaque token of another issuer": lambda it: _opaque(it, iss="https://issuer.example"),
    "an opaque token bound to a key": lambda it: _opaque(it, cnf={"jkt": "x"}),
    "an opaque token with a true text": lambda it: _opaque(it, active="true"),
}


def _opaque(issuer: Issuer, **changes: Any) -> str:
    token = f"opaque-{len(issuer.opaque)}"
    issuer.opaque[token] = {"active": True, **issuer.claims(**changes)}
    return token


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_refused(client: httpx2.Client, guarded: Guarded, name: str) -> None:
    response = call(client, FORGED[name](guarded.issuer))

    assert response.status_code == 401, name
    assert challenge(response)["error"] == "invalid_token"
    assert "Traceback" not in response.text


def test_a_scope_that_is_an_object_grants_nothing(client: httpx2.Client, guarded: Guarded) -> None:
    assert call(client, guarded.issuer.token(scope={"sql:read": True})).status_code == 403


def test_the_metadata_can_only_be_read(client: httpx2.Client) -> None:
    answer = client.post("/.well-known/oauth-protected-resource", headers={"Host": "mcp.example.com"})

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("authorization", ["Basic YTpi", "Bearer", "Token x", "", "Bearer \xe9"])
def test_a_header_that_is_not_a_bearer_token_is_refused(client: httpx2.Client, authorization: str) -> None:
    given, body = request("tools/list")
    encoded = {name.encode(): text.encode("latin-1") for name, text in given.items()}
    encoded[b"Authorization"] = authorization.encode("latin-1")

    assert client.post("/mcp", headers=encoded, json=body).status_code == 401


def test_two_tokens_are_refused(client: httpx2.Client, guarded: Guarded) -> None:
    given, body = request("tools/list")
    token = f"Bearer {guarded.static_token}"

    headers = [*given.items(), ("Authorization", token), ("Authorization", token)]

    assert client.post("/mcp", headers=headers, json=body).status_code == 401


def test_a_token_in_the_url_is_ignored(client: httpx2.Client, guarded: Guarded) -> None:
    given, body = request("tools/list")

    response = client.post("/mcp", params={"access_token": guarded.static_token}, headers=given, json=body)

    assert response.status_code == 401


def test_details_of_readiness_are_for_those_who_may_call(client: httpx2.Client, guarded: Guarded) -> None:
    assert answers("127.0.0.1", guarded.server.port)
    assert client.get("/readyz").json() == {"ready": True}
    assert client.get("/readyz?verbose").status_code == 401
    bearer = {"Authorization": f"bearer {guarded.static_token}"}
    assert client.get("/readyz?verbose", headers=bearer).json()["databases"] == {"shop": "reachable"}


def test_the_introspection_of_an_opaque_token_is_cached(client: httpx2.Client, guarded: Guarded) -> None:
    token = _opaque(guarded.issuer, sub="dave")
    before = guarded.issuer.requests["/introspect"]

    answers = [call(client, token).status_code for _ in range(3)]

    assert answers == [200] * 3
    assert guarded.issuer.requests["/introspect"] == before + 1


def test_users_are_not_refused_as_unauthorized_while_their_issuer_is_down(
    client: httpx2.Client, guarded: Guarded
) -> None:
    known = guarded.issuer.token()
    assert call(client, known).status_code == 200
    guarded.issuer.is_down = True
    try:
        by_known_key = call(client, known)
        opaque = call(client, "unknown-opaque-token")
    finally:
        guarded.issuer.is_down = False

    assert by_known_key.status_code == 200
    assert opaque.status_code == 503
    assert "www-authenticate" not in opaque.headers


def test_a_stream_ends_with_its_token(client: httpx2.Client, guarded: Guarded) -> None:
    headers, body = request("subscriptions/listen", notifications={"resourcesListChanged": True})
    headers["Authorization"] = f"Bearer {guarded.issuer.token(exp=int(time.time()) + 1)}"

    response = client.post("/mcp", headers=headers, json=body)

    assert message_of(response)["error"]["message"] == "the token has expired"


@pytest.mark.parametrize("version", VERSIONS)
def test_only_its_owner_reads_the_rest_of_an_answer(
    client: httpx2.Client, guarded: Guarded, version: str
) -> None:
    headers, body = tool_call(
        "execute_sql", version, sql="select n, repeat('x', 40) from generate_series(1, 900) n"
    )
    alice = {"Authorization": f"Bearer {guarded.issuer.token(sub='alice')}"}
    bob = {"Authorization": f"Bearer {guarded.issuer.token(sub='bob')}"}
    answer = message_of(client.post("/mcp", headers={**headers, **alice}, json=body))["result"]
    found = re.search(r"result://[\w/-]+", answer["content"][0]["text"])
    assert found is not None
    headers, body = request("resources/read", version, uri=found[0])

    read = message_of(client.post("/mcp", headers={**headers, **alice}, json=body))
    denied = message_of(client.post("/mcp", headers={**headers, **bob}, json=body))

    assert "xxxx" in read["result"]["contents"][0]["text"]
    assert "is stored" in denied["error"]["message"]


def test_with_a_certificate_the_server_and_its_healthcheck_use_https(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "chain.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    environment = server_environment(
        "postgresql://nobody@127.0.0.1:9/none",
        http_tls_cert=str(tmp_path / "chain.pem"),
        http_tls_key=str(tmp_path / "key.pem"),
    )
    with HttpServerProcess(environment, tmp_path) as server:
        assert answers("127.0.0.1", server.port)
        with httpx2.Client(verify=trust, trust_env=False) as client:
            secure = client.get(f"https://127.0.0.1:{server.port}/healthz")
        with http_client(server.port) as client, pytest.raises(httpx2.HTTPError):
            client.get("/healthz")

    assert secure.status_code == 200
