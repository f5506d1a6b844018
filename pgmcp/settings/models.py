"""The settings as frozen models: names, units, ranges, defaults, and rules between them.

The name of a field has its unit. The variable and the YAML key omit the `_s` of seconds:
`server.query_timeout_s` is `PG_MCP_SERVER_QUERY_TIMEOUT`, and `query_timeout` below `server:`.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasGenerator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pgmcp.settings import conninfo
from pgmcp.settings.field_types import (
    LOWER,
    UPPER,
    BaseUrl,
    ColumnPatterns,
    Command,
    ExistingFile,
    FileInExistingFolder,
    FunctionNames,
    Host,
    HttpHosts,
    HttpOrigins,
    LogLevel,
    Networks,
    PasswordFile,
    RedisUrl,
    RootCert,
    SchemaPatterns,
    SecureUrl,
    SslMode,
    StateKeys,
    TargetSessionAttrs,
    TokenHashes,
    TokenTypes,
    Url,
    Words,
    WritableFolder,
    split_command,
    split_keys,
)

_DATABASE_NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"


def _unset(description: str) -> Any:
    return Field(default=None, description=description)


def _number(
    default: float | Callable[..., float] | None, unit: str, least: float, most: float, meaning: str
) -> Any:
    start: Any = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**start, ge=least, le=most, description=meaning, json_schema_extra={"unit": unit})


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=AliasGenerator(validation_alias=lambda name: name.removesuffix("_s")),
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )


def _reject(setting: str, reason: str) -> PydanticCustomError:
    """Return an error for one of several settings that contradict each other."""
    return PydanticCustomError("pair", "{reason}", {"setting": setting, "reason": reason})


class DatabaseSettings(_Frozen):
    """Connection to one database, and limits on the number of connections."""

    url: Url | None = _unset(
        "connection URL or libpq key=value string, several hosts allowed; "
        "overrides host, port and dbname, and user and password if it contains them"
    )
    host: Host | None = _unset("host name, address or socket folder; a comma list of hosts is tried in order")
    port: int = _number(5432, "", 1, 65535, "TCP port of every host")
    dbname: str | None = _unset("name of the database on the server; same as the user if unset")
    user: str | None = _unset("role to log in as; grant it only SELECT")
    password: SecretStr | None = _unset("password; ~/.pgpass and PGPASSWORD are read too")
    password_file: PasswordFile | None = _unset(
        "file that holds the password, read for each new connection; instead of the password"
    )
    password_command: Command | None = _unset(
        "command that prints the password, run without a shell for new connections; instead of the password. "
        "It prints the password alone, or JSON with password and, if you like, user and expires"
    )
    password_lifetime_s: float = _number(
        600.0,
        "seconds",
        0,
        604_800,
        "how long a password of the command is used for new connections if it does not say when it expires; "
        "0 runs the command for each. One that the server refuses is never used again",
    )
    ssl_mode: Annotated[SslMode, LOWER] = Field(
        default="prefer", description="TLS; verify-ca and verify-full also need the root certificate"
    )
    ssl_root_cert: RootCert | None = _unset(
        "file of CA certificates to verify the server's certificate, or the word system"
    )
    service: str | None = _unset("name of a service in pg_service.conf with further connection parameters")
    target_session_attrs: Annotated[TargetSessionAttrs, LOWER] = Field(
        default="any",
        description="which of several hosts to choose: prefer-standby keeps load off the primary",
    )
    max_pool_size: int = _number(
        10, "connections", 1, 500, "maximum number of connections, one worker process each"
    )
    min_pool_size: int = _number(
        lambda given: min(2, given.get("max_pool_size", 2)),
        "connections",
        0,
        500,
        "connections kept open while the database is in use; not more than the maximum",
    )
    include_schemas: SchemaPatterns = Field(
        default=(),
        description="schemas shown to the model, a comma list, * allowed; all but the system schemas if "
        "unset. This is not a security boundary; use GRANT",
    )
    exclude_schemas: SchemaPatterns = Field(
        default=(), description="schemas hidden from the model, a comma list, * allowed"
    )

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if self.model_fields_set.isdisjoint(LOCATING_FIELDS):
            given = next((name for name in type(self).model_fields if name in self.model_fields_set), "url")
            raise _reject(given, f"expected one of {', '.join(LOCATING_FIELDS)} to be set too")
        self._check_passwords()
        if self.min_pool_size > self.max_pool_size:
            raise _reject(
                "min_pool_size", f"expected at most {self.max_pool_size} connections, the maximum pool size"
            )
        if self.ssl_mode.startswith("verify") and not self._names_root_cert:
            raise _reject(
                "ssl_mode", "expected SSL_ROOT_CERT to be set too: a file of CA certificates, or system"
            )
        # With "system", libpq's default becomes verify-full, so only an explicit mode can contradict it.
        is_set = "ssl_mode" in self.model_fields_set
        if self.ssl_root_cert == "system" and is_set and self.ssl_mode != "verify-full":
            raise _reject("ssl_mode", "expected verify-full, the only mode that supports system roots")
        return self

    def _check_passwords(self) -> None:
        given = [field for field in PASSWORD_FIELDS if getattr(self, field) is not None]
        if len(given) > 1:
            names = " and ".join(field.upper() for field in given)
            raise _reject(given[-1], f"{names} are both set: keep one of them")
        if given and given[0] != "password" and "password" in conninfo.keywords(self._plain_url):
            raise _reject(given[0], "the URL contains a password too: remove it there")

    @property
    def _plain_url(self) -> str:
        return self.url.get_secret_value() if self.url else ""

    @property
    def password_argv(self) -> list[str]:
        """The program of the password command and its arguments; empty without one."""
        return split_command(self.password_command.get_secret_value()) if self.password_command else []

    @property
    def _names_root_cert(self) -> bool:
        return self.ssl_root_cert is not None or "sslrootcert" in conninfo.keywords(self._plain_url)

    def target(self) -> tuple[str, dict[str, str]]:
        """Return a conninfo and the libpq parameters to merge into it, in plain text.

        The parameters contain only explicit settings, so that a service file, a URL or libpq's environment
        can provide the rest. Both may be empty: libpq then uses its environment.
        """
        url = conninfo.normalize(self.url.get_secret_value()) if self.url else ""
        overridden = {"host", "port", "dbname", *conninfo.keywords(url)} if url else set()
        params = {
            _RENAMED_BY_LIBPQ.get(field, field): _plain(getattr(self, field))
            for field in _LIBPQ_FIELDS
            if field in self.model_fields_set
        }
        return url, {keyword: text for keyword, text in params.items() if keyword not in overridden}


LOCATING_FIELDS = ("url", "host", "dbname", "user", "service")
"""Each of these locates a database; an empty URL leaves it to libpq's environment."""

PASSWORD_FIELDS = ("password", "password_file", "password_command")
"""A database has one of them; the one in the source of highest precedence counts."""

_LIBPQ_FIELDS = (
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "ssl_mode",
    "ssl_root_cert",
    "service",
    "target_session_attrs",
)
_RENAMED_BY_LIBPQ = {"ssl_mode": "sslmode", "ssl_root_cert": "sslrootcert"}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


class OpenAISettings(_Frozen):
    """The OpenAI-compatible endpoint that writes SQL."""

    api_key: SecretStr | None = _unset("API key of the endpoint; a local model needs none")
    model: str = Field(default="gpt-4o-mini", description="name of the model at the endpoint")
    # Not in repr: it may contain a user and a password.
    base_url: BaseUrl | None = Field(
        default=None,
        repr=False,
        description="URL of an OpenAI-compatible endpoint, up to /v1 or with /chat/completions; a query "
        "string is sent with each request. OpenAI's own endpoint if unset",
    )
    max_retries: int = _number(
        3, "retries", 0, 10, "retries of one model call after a network error, 429 or 5xx"
    )
    timeout_s: float = _number(
        30.0, "seconds", 0.1, 600, "maximum duration of one model call, within the request timeout"
    )

    @property
    def is_configured(self) -> bool:
        """Whether a model is configured: a key is set, or an endpoint that may need none."""
        return self.api_key is not None or self.base_url is not None


class ServerSettings(_Frozen):
    """Limits of one call, and what a statement may do."""

    cache_refresh_interval_s: int = _number(
        3600, "seconds", 1, 604_800, "age at which the cached schema is read again"
    )
    max_result_rows: int = _number(1000, "rows", 1, 1_000_000, "maximum rows of one result")
    max_result_bytes: int = _number(
        4 * 1024**2, "bytes", 1024, 256 * 1024**2, "maximum bytes of cell text in one result"
    )
    max_result_tokens: int = _number(
        8000, "tokens", 100, 1_000_000, "maximum tokens of the text for the host's model"
    )
    kept_results_bytes: int = _number(
        16 * 1024**2,
        "bytes",
        0,
        1024**3,
        "maximum bytes of stored results, whose further rows can be read as result://…; 0 stores none",
    )
    kept_results_ttl_s: int = _number(600, "seconds", 1, 86_400, "lifetime of a stored result")
    export_dir: WritableFolder | None = _unset(
        "folder for exports as CSV or Parquet, written on request; files are never removed. No exports "
        "if unset"
    )
    export_max_rows: int = _number(100_000, "rows", 1, 1_000_000, "maximum rows of one export")
    export_max_bytes: int = _number(
        64 * 1024**2, "bytes", 1024, 128 * 1024**2, "maximum bytes of cell text in one export"
    )
    max_cell_bytes: int = _number(65536, "bytes", 16, 64 * 1024**2, "length at which a cell is cut")
    query_timeout_s: float = _number(
        30.0, "seconds", 0.1, 3600, "maximum duration of a statement, including its wait for a worker"
    )
    request_timeout_s: float = _number(
        lambda given: max(55.0, given.get("query_timeout_s", 0.0)),
        "seconds",
        0.1,
        7200,
        "maximum duration of a whole call, including the model; most hosts time out after 60 seconds. "
        "If unset, it grows with a longer query timeout",
    )
    use_readonly_transactions: bool = Field(
        default=True,
        description="run every statement in a READ ONLY transaction; the other guards remain without it",
    )
    require_readonly_role: bool = Field(
        default=False, description="refuse to serve a database whose role could write or is a superuser"
    )
    max_sql_retry: int = _number(
        2, "retries", 0, 10, "number of times the model may repair its SQL after a rejection or an error"
    )
    max_queue: int = _number(
        100,
        "statements",
        0,
        10_000,
        "statements per database that may wait for a worker; further ones are refused",
    )
    max_cost: float | None = _number(
        None,
        "planner units",
        1,
        10**12,
        "planner cost above which a statement is refused, as estimated by EXPLAIN; no limit if unset",
    )
    prompt_tokens: int = _number(
        8000, "tokens", 500, 1_000_000, "maximum tokens of a prompt, including the schema"
    )
    send_values: bool = Field(
        default=True,
        description="send values of columns to the model: short lists of texts, ranges of dates and numbers. "
        "Enum labels and texts listed in a CHECK are part of the schema and sent unless "
        "PG_MCP_SERVER_HIDDEN_VALUES names the column",
    )
    sample_rows: int = _number(
        1_000,
        "rows",
        0,
        100_000,
        "maximum rows read from a table that was never analysed, to sample its values; 0 reads none",
    )
    hidden_values: ColumnPatterns = Field(
        default=(),
        description="columns whose values, enum labels and CHECKs are not sent to the model, besides columns "
        "with sensitive names: a comma list of column, table.column or schema.table.column, * allowed",
    )
    allowed_functions: FunctionNames = Field(
        default=(),
        description="functions that a statement may call besides the safe built-in ones: name, schema.name, "
        "schema.*, prefix_*, extension:name",
    )
    denied_functions: FunctionNames = Field(
        default=(),
        description="functions that a statement may not call, even safe ones: name, schema.name, schema.*, "
        "prefix_*, extension:name",
    )
    worker_memory_mb: int = _number(
        768, "MB", 128, 65536, "maximum address space of one worker process in MB (Linux)"
    )


class RateLimitSettings(_Frozen):
    """Rate limits of each caller, and of the whole server."""

    enabled: bool = Field(default=True, description="whether the limits below are enforced")
    requests_per_minute: int = _number(
        60, "requests", 1, 1_000_000, "tool calls per minute, of each caller if callers authenticate"
    )
    requests_per_hour: int = _number(
        1000, "requests", 1, 10_000_000, "tool calls per hour, of each caller if callers authenticate"
    )
    openai_tokens_per_minute: int = _number(
        100_000, "tokens", 1, 1_000_000_000, "model tokens per minute of all callers, sent and received"
    )
    storage_url: RedisUrl | None = _unset(
        "URL of a Redis in which several servers count calls together: redis://:password@host:6379/0, "
        "rediss://… or unix://…. If unset, each server counts alone. Needs pip install 'pgmcp[fleet]'"
    )
    servers: int = _number(
        1, "servers", 1, 10_000, "number of servers that share the Redis; used during its outage"
    )
    on_outage: Annotated[Literal["share", "refuse"], LOWER] = Field(
        default="share",
        description="what happens while Redis cannot be used: share gives each server an equal share of the "
        "limits, refuse refuses every call",
    )


class HttpSettings(_Frozen):
    """Serving over HTTP: allowed clients, and limits of one client."""

    allowed_hosts: HttpHosts = Field(
        default=(),
        description="values allowed in the Host header, a comma list of host or host:port; the listening "
        "address is always allowed, and on loopback also localhost",
    )
    allowed_origins: HttpOrigins = Field(
        default=(),
        description="websites whose pages may call the server, a comma list such as https://app.example.com; "
        "on loopback also websites on this machine",
    )
    forwarded_allow_ips: Networks = Field(
        default=(),
        description="addresses or networks of proxies, a comma list; the log takes the client's address from "
        "their X-Forwarded-For header",
    )
    max_body_bytes: int = _number(1024**2, "bytes", 1024, 16 * 1024**2, "maximum bytes of one request")
    max_connections: int = _number(
        1000, "connections", 2, 100_000, "maximum number of client connections; further ones get 503"
    )
    stop_timeout_s: float = _number(
        20.0, "seconds", 0, 3600, "time that running calls get to finish when the server is stopped"
    )
    tls_cert: ExistingFile | None = _unset(
        "PEM file of the server's certificate and its chain; the server uses TLS if set"
    )
    tls_key: ExistingFile | None = _unset("PEM file of the certificate's private key")
    public_url: SecureUrl | None = _unset(
        "URL that clients use, such as https://mcp.example.com/mcp; its host is allowed, and tokens must "
        "name it as their audience. Required with an issuer or introspection"
    )
    tokens: TokenHashes | None = _unset(
        "static bearer tokens, a comma list of name=hash; `pgmcp token NAME` makes a token and its hash"
    )
    issuer: SecureUrl | None = _unset(
        "OAuth 2.1 issuer whose JWT access tokens are accepted, exactly as in their claim iss"
    )
    jwks_url: SecureUrl | None = _unset("URL of the issuer's keys; from the issuer's metadata if unset")
    audience: Words = Field(
        default=(),
        description="accepted audiences of tokens, a comma list; the public URL if unset",
    )
    required_scopes: Words = Field(default=(), description="scopes that every token needs, a comma list")
    token_types: TokenTypes = Field(
        default=("at+jwt", "jwt"),
        description="accepted types of JWT (the header typ), a comma list; use at+jwt alone if the issuer "
        "follows RFC 9068",
    )
    principal_claim: str = Field(default="sub", description="claim whose value is the caller's name")
    jwks_outage_s: float = _number(
        3600.0,
        "seconds",
        300,
        604_800,
        "how long cached keys are used while the issuer cannot be reached",
    )
    introspection_url: SecureUrl | None = _unset(
        "URL of the authorization server's introspection endpoint, for opaque tokens (RFC 7662)"
    )
    introspection_client_id: str | None = _unset("client id for introspection")
    introspection_client_secret: SecretStr | None = _unset("client secret for introspection")
    state_keys: StateKeys | None = _unset(
        "keys that encrypt stored results in PG_MCP_RATE_LIMIT_STORAGE_URL, the same on every server; a "
        "comma list of keys of at least 32 characters: the first encrypts, all decrypt. If unset, servers do "
        "not share stored results"
    )

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            given = "tls_cert" if self.tls_cert else "tls_key"
            raise _reject(given, "expected TLS_CERT and TLS_KEY together")
        for field in ("issuer", "introspection_url"):
            if getattr(self, field) is not None and self.public_url is None:
                raise _reject(field, "expected PUBLIC_URL to be set too: the audience of tokens")
        if self.introspection_url is not None and not (
            self.introspection_client_id and self.introspection_client_secret
        ):
            raise _reject(
                "introspection_url", "expected INTROSPECTION_CLIENT_ID and _CLIENT_SECRET to be set too"
            )
        return self

    @property
    def authenticates(self) -> bool:
        """Whether callers must send a token."""
        return bool(self.tokens or self.issuer or self.introspection_url)

    @property
    def token_hashes(self) -> dict[str, str]:
        """The hashes of the static tokens, by name."""
        pairs = self.tokens.get_secret_value().split(",") if self.tokens else []
        named = (pair.strip().partition("=") for pair in pairs if pair.strip())
        return {name: digest for name, _, digest in named}

    @property
    def state_key_list(self) -> tuple[str, ...]:
        """The keys of kept results; the first encrypts."""
        return split_keys(self.state_keys) if self.state_keys else ()

    @property
    def audiences(self) -> tuple[str, ...]:
        """The accepted audiences of tokens."""
        return self.audience or ((self.public_url,) if self.public_url else ())


class AuditSettings(_Frozen):
    """The audit file: a record of every call."""

    file: FileInExistingFolder | None = _unset(
        "file for one line of JSON per call, without values; each server needs its own file. Off if unset"
    )
    sql: Literal["digest", "text"] = Field(
        default="digest", description="how statements are recorded: a digest, or the text with its literals"
    )
    max_bytes: int = _number(
        10 * 1024**2, "bytes", 1024, 1024**3, "size at which the file is rotated to <file>.1"
    )
    kept_files: int = _number(5, "files", 1, 1000, "number of rotated files to keep")


class Settings(BaseSettings):
    """All settings; the composition root passes them on as plain values.

    Attributes:
        databases: by name; the first is the default.
    """

    model_config = SettingsConfigDict(frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)

    databases: dict[Annotated[str, Field(pattern=_DATABASE_NAME)], DatabaseSettings] = Field(min_length=1)
    openai: OpenAISettings = OpenAISettings()
    server: ServerSettings = ServerSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    http: HttpSettings = HttpSettings()
    audit: AuditSettings = AuditSettings()
    log_level: Annotated[LogLevel, UPPER] = Field(
        default="INFO", description="minimum level of log lines on stderr"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="format of log lines on stderr: text for people, JSON for log collectors"
    )
    opentelemetry: bool = Field(
        default=False,
        description="send spans and metrics by OTLP, configured by OTEL_EXPORTER_OTLP_ENDPOINT and the other "
        "standard OTEL_… variables. Needs pip install 'pgmcp[telemetry]'",
    )
    context_file: ExistingFile | None = _unset(
        "YAML file of business terms, notes and verified questions; `pgmcp doctor` checks its names"
    )

    def __init__(self, *sources: PydanticBaseSettingsSource) -> None:
        """Merge the sources, highest precedence first, and validate."""
        super().__init__(sources=sources)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the caller's sources; the library's defaults would read the process environment."""
        sources: tuple[PydanticBaseSettingsSource, ...] = init_settings()["sources"]
        return sources
