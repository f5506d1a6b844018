"""An OAuth 2.1 issuer on loopback, with metadata, keys, introspection, and valid and invalid tokens."""

import base64
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

RESOURCE = "https://mcp.example.com/mcp"
CLIENT = ("pgmcp", "the resource server's secret")

_key_ids = count(1)


class SigningKey:
    """A key of the issuer."""

    def __init__(self, algorithm: str = "RS256") -> None:
        self.id = f"key-{next(_key_ids)}"
        self.algorithm = algorithm
        self.private: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    @property
    def public(self) -> dict[str, Any]:
        """The key as the issuer publishes it."""
        writer = ECAlgorithm if self.algorithm == "ES256" else RSAAlgorithm
        return {
            **writer.to_jwk(self.private.public_key(), as_dict=True),
            "kid": self.id,
            "use": "sig",
            "alg": self.algorithm,
        }

    @property
    def public_pem(self) -> bytes:
        pem: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem


class Issuer:
    """An issuer that serves its metadata, its keys and introspection.

    Attributes:
        keys: the published keys.
        opaque: the introspection's answer for each opaque token.
        is_down: whether it answers 503 to everything.
        answers: set while the issuer answers; while this event is cleared, it holds all answers back.
        requests: number of requests by path.
    """

    def __init__(self) -> None:
        self.keys = [SigningKey()]
        self.opaque: dict[str, dict[str, Any]] = {}
        self.is_down = False
        self.answers = threading.Event()
        self.answers.set()
        self.requests: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a valid token, with these changes; the value None removes a claim."""
        now_s = int(time.time())
        claims = {
            "iss": self.url,
            "aud": RESOURCE,
            "sub": "alice",
            "scope": "sql:read",
            "iat": now_s,
            "exp": now_s + 300,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        *,
        key: SigningKey | None = None,
        headers: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Return a signed token that is valid except for these changes."""
        key = key or self.keys[0]
        header = {"typ": "at+jwt", "kid": key.id, **(headers or {})}
        if header["kid"] is None:
            del header["kid"]
        # Not jwt.encode, which refuses to sign odd claims.
        payload = json.dumps(self.claims(**changes)).encode()
        return jwt.api_jws.encode(payload, key.private, key.algorithm, headers=header)

    def answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        self.requests[path] += 1
        self.answers.wait()
        if self.is_down:
            return 503, {}
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/keys":
            return 200, {"keys": [key.public for key in self.keys]}
        if path == "/introspect":
            expected = base64.b64encode(":".join(CLIENT).encode()).decode()
            if authorization != f"Basic {expected}":
                return 401, {}
            return 200, self.opaque.get(form["token"], {"active": False})
        return 404, {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.answers.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """Return a token with the given header, claims and signature bytes; unsigned by default."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def _handler_of(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({name: values[0] for name, values in parse_qs(body).items()})

        def _answer(self, form: dict[str, str]) -> None:
            status, content = issuer.answer(self.path, form, self.headers.get("Authorization", ""))
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Write no access log."""

    return Handler
