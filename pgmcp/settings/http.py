"""The settings of serving over HTTP."""

from dataclasses import dataclass

from pgmcp.settings.field_types import (
    ExistingFile,
    HttpHosts,
    HttpOrigins,
    Networks,
    SecureUrl,
    StateKeys,
    TokenHashes,
    TokenTypes,
    Words,
    split_keys,
)
from pgmcp.settings.section import ContradictionError, Secret, Section, number, setting, unset


@dataclass(frozen=True, kw_only=True)
class HttpSettings(Section):
    """Serving over HTTP: allowed clients, and limits of one client."""

    allowed_hosts: HttpHosts = setting(
        (),
        "values allowed in the Host header, each a host or host:port, comma-separated; the "
        "listening address is always allowed, and on loopback also localhost",
    )
    allowed_origins: HttpOrigins = setting(
        (),
        "websites whose pages may call the server, comma-separated, such as "
        "https://app.example.com; on loopback also websites on this machine",
    )
    forwarded_allow_ips: Networks = setting(
        (),
        "addresses or networks of proxies, comma-separated; the log takes the client's address "
        "from their X-Forwarded-For header",
    )
    max_body_bytes: int = number(1024**2, "bytes", 1024, 16 * 1024**2, "maximum bytes of one request")
    max_connections: int = number(
        1000,
        "connections",
        2,
        100_000,
        "maximum number of client connections; if none of them is idle, further ones get 503",
    )
    stop_timeout_s: float = number(
        20.0, "seconds", 0, 3600, "time that running calls get to finish when the server is stopped"
    )
    metrics: bool = setting(
        False,
        "serve metrics for Prometheus at /metrics to callers that may call tools. Needs the extra `metrics`",
    )
    tls_cert: ExistingFile | None = unset(
        "PEM file of the server's certificate and its chain; the server uses TLS if set"
    )
    tls_key: ExistingFile | None = unset("PEM file of the certificate's private key")
    public_url: SecureUrl | None = unset(
        "URL that clients use, such as https://mcp.example.com/mcp; its host is allowed, and tokens must "
        "name it as their audience. Required with an issuer or introspection"
    )
    tokens: TokenHashes | None = unset(
        "static bearer tokens as name=hash, comma-separated; `pgmcp token NAME` makes a token and its hash"
    )
    issuer: SecureUrl | None = unset(
        "OAuth 2.1 issuer whose JWT access tokens are accepted, written exactly as in their claim iss"
    )
    jwks_url: SecureUrl | None = unset("URL of the issuer's keys; from the issuer's metadata if unset")
    audience: Words = setting(
        (),
        "accepted audiences of tokens, comma-separated; the public URL if unset",
    )
    required_scopes: Words = setting((), "scopes that every token needs, comma-separated")
    token_types: TokenTypes = setting(
        ("at+jwt", "jwt"),
        "accepted types of JWT (the header typ), comma-separated; use at+jwt alone if the "
        "issuer follows RFC 9068",
    )
    principal_claim: str = setting("sub", "claim whose value is the caller's name")
    jwks_outage_s: float = number(
        3600.0,
        "seconds",
        300,
        604_800,
        "how long cached keys are used while the issuer cannot be reached",
    )
    introspection_url: SecureUrl | None = unset(
        "URL of the authorization server's introspection endpoint, for opaque tokens (RFC 7662)"
    )
    authorization_server: SecureUrl | None = unset(
        "authorization server that gives opaque tokens to clients, named in the protected-resource metadata "
        "(RFC 9728); the issuer if unset"
    )
    introspection_client_id: str | None = unset("client id for introspection")
    introspection_client_secret: Secret | None = unset("client secret for introspection")
    state_keys: StateKeys | None = unset(
        "encryption keys, comma-separated, the same on every server; each has at least 32 characters, the "
        "first encrypts, all decrypt. They encrypt stored results and people's answers in the Redis of "
        "PG_MCP_RATE_LIMIT_STORAGE_URL, session ids, and the readings that a host keeps while it asks a "
        "person. If unset, servers share neither results nor answers, and one server cannot read another's "
        "session ids and readings"
    )

    def __post_init__(self) -> None:
        """Check settings that depend on each other.

        Raises:
            ContradictionError: one needs another that is missing.
        """
        if (self.tls_cert is None) != (self.tls_key is None):
            given = "tls_cert" if self.tls_cert else "tls_key"
            raise ContradictionError(given, "expected TLS_CERT and TLS_KEY together")
        for field in ("issuer", "introspection_url"):
            if getattr(self, field) is not None and self.public_url is None:
                raise ContradictionError(field, "expected PUBLIC_URL to be set too: the audience of tokens")
        if self.introspection_url is not None and not (
            self.introspection_client_id and self.introspection_client_secret
        ):
            raise ContradictionError(
                "introspection_url", "expected INTROSPECTION_CLIENT_ID and _CLIENT_SECRET to be set too"
            )

    @property
    def authenticates(self) -> bool:
        """Whether callers must send a token."""
        return bool(self.tokens) or self.takes_tokens_of_a_server

    @property
    def takes_tokens_of_a_server(self) -> bool:
        """Whether clients can get tokens from an authorization server."""
        return bool(self.issuer or self.introspection_url)

    @property
    def token_hashes(self) -> dict[str, str]:
        """The hashes of the static tokens, by name."""
        pairs = self.tokens.get_secret_value().split(",") if self.tokens else []
        named = (pair.strip().partition("=") for pair in pairs if pair.strip())
        return {name: digest for name, _, digest in named}

    @property
    def state_key_list(self) -> tuple[str, ...]:
        """The keys; the first encrypts."""
        return split_keys(self.state_keys) if self.state_keys else ()

    @property
    def audiences(self) -> tuple[str, ...]:
        """The accepted audiences of tokens."""
        return self.audience or ((self.public_url,) if self.public_url else ())
