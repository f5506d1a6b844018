"""The settings as frozen models: names, units, ranges, defaults, and rules between them.

The name of a field contains its unit. The variable and the YAML key omit the `_s` of seconds:
`server.query_timeout_s` is `PG_MCP_SERVER_QUERY_TIMEOUT`, and `query_timeout` below `server:`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pgmcp.features import features
from pgmcp.settings.database import DatabaseSettings
from pgmcp.settings.field_types import (
    LOWER,
    UPPER,
    BaseUrl,
    ColumnPatterns,
    ExistingFile,
    FileInExistingFolder,
    FunctionNames,
    LogLevel,
    RedisUrl,
)
from pgmcp.settings.http import HttpSettings
from pgmcp.settings.section import Section, number, unset

_DATABASE_NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"


class OpenAISettings(Section):
    """The OpenAI-compatible endpoint that writes SQL."""

    api_key: SecretStr | None = unset("API key of the endpoint; a local model needs none")
    model: str = Field(default="gpt-4o-mini", description="name of the model at the endpoint")
    # Not in repr: it may contain a user and a password.
    base_url: BaseUrl | None = Field(
        default=None,
        repr=False,
        description="URL of an OpenAI-compatible endpoint, up to /v1 or with /chat/completions; OpenAI's own "
        "if unset. A query string is sent with each request; Azure gets the key in the header api-key",
    )
    max_retries: int = number(
        3, "retries", 0, 10, "retries of one model call after a network error, 429 or 5xx"
    )
    timeout_s: float = number(
        30.0, "seconds", 0.1, 600, "maximum duration of one model call, within the request timeout"
    )

    @property
    def is_configured(self) -> bool:
        """Whether a model is configured: a key is set, or an endpoint that may need none."""
        return self.api_key is not None or self.base_url is not None


class _ServerSettings(Section):
    """Limits of one call, and what a statement may do."""

    cache_refresh_interval_s: int = number(
        3600, "seconds", 1, 604_800, "age at which the cached schema is read again"
    )
    max_result_rows: int = number(1000, "rows", 1, 1_000_000, "maximum rows of one result")
    max_result_bytes: int = number(
        4 * 1024**2, "bytes", 1024, 256 * 1024**2, "maximum bytes of cell text in one result"
    )
    max_result_tokens: int = number(
        8000, "tokens", 100, 1_000_000, "maximum tokens of the text for the host's model"
    )
    kept_results_bytes: int = number(
        16 * 1024**2,
        "bytes",
        0,
        1024**3,
        "maximum bytes of stored results; rows that an answer does not show can be read from them as "
        "result://…. 0 stores none",
    )
    kept_results_ttl_s: int = number(600, "seconds", 1, 86_400, "lifetime of a stored result")
    max_cell_bytes: int = number(
        65536, "bytes", 16, 64 * 1024**2, "maximum bytes of a cell; a longer one is cut"
    )
    query_timeout_s: float = number(
        30.0, "seconds", 0.1, 3600, "maximum duration of a statement, including its wait for a worker"
    )
    request_timeout_s: float = number(
        lambda given: max(55.0, given.get("query_timeout_s", 0.0)),
        "seconds",
        0.1,
        7200,
        "maximum duration of a whole call, including the model; most hosts time out after 60 seconds. "
        "If unset, it is at least the query timeout",
    )
    use_readonly_transactions: bool = Field(
        default=True,
        description="run every statement in a READ ONLY transaction; if false, the other guards remain",
    )
    require_readonly_role: bool = Field(
        default=False, description="refuse to serve a database whose role could write or is a superuser"
    )
    max_sql_retry: int = number(
        2,
        "retries",
        0,
        10,
        "number of times the model may repair its SQL after a rejection, an error or a failed check",
    )
    max_queue: int = number(
        100,
        "statements",
        0,
        10_000,
        "statements per database that may wait for a worker; further ones are refused",
    )
    max_cost: float | None = number(
        None,
        "planner units",
        1,
        10**12,
        "planner cost above which a statement is refused, as estimated by EXPLAIN; no limit if unset",
    )
    ask_timeout_s: float = number(
        120.0,
        "seconds",
        0,
        600,
        "time for a person to choose between the readings of an ambiguous question, if the host can ask; "
        "0 never asks",
    )
    verified_tools: int = number(
        10,
        "tools",
        0,
        100,
        "maximum number of verified questions in the context file that are offered as tools of their own "
        "(`tool: name`); 0 offers none",
    )
    prompt_tokens: int = number(
        8000, "tokens", 500, 1_000_000, "maximum tokens of a prompt, including the schema"
    )
    send_values: bool = Field(
        default=True,
        description="send values of columns to the model: short lists of texts, ranges of dates and numbers. "
        "Enum labels and texts listed in a CHECK are part of the schema and are sent unless "
        "PG_MCP_SERVER_HIDDEN_VALUES names the column",
    )
    sample_rows: int = number(
        1_000,
        "rows",
        0,
        100_000,
        "maximum rows read from a table that was never analysed, to sample its values; 0 reads none",
    )
    hidden_values: ColumnPatterns = Field(
        default=(),
        description="columns whose values, enum labels and CHECKs are not sent to the model: column, "
        "table.column or schema.table.column, comma-separated, * allowed. Values of columns with "
        "sensitive names are not sent in any case",
    )
    allowed_functions: FunctionNames = Field(
        default=(),
        description="functions that a statement may call besides the safe built-in ones: name, schema.name, "
        "schema.*, prefix_* or extension:name, comma-separated",
    )
    denied_functions: FunctionNames = Field(
        default=(),
        description="functions that a statement may not call, even safe ones: name, schema.name, schema.*, "
        "prefix_* or extension:name, comma-separated",
    )
    worker_memory_mb: int = number(
        768, "MB", 128, 65536, "maximum address space of one worker process in MB (Linux)"
    )


if TYPE_CHECKING:

    class ServerSettings(_ServerSettings):
        """Limits of one call, what a statement may do, and the settings of features."""
else:
    # Features are not known before the program runs, so type checkers see the fields above only.
    _OF_FEATURES = [feature.server_settings() for feature in features() if feature.server_settings]
    ServerSettings = create_model("ServerSettings", __base__=(*_OF_FEATURES, _ServerSettings))


class RateLimitSettings(Section):
    """Rate limits of each caller."""

    enabled: bool = Field(default=True, description="whether the limits below are enforced")
    requests_per_minute: int = number(
        60,
        "requests",
        1,
        1_000_000,
        "tool calls per minute; each caller has this limit if callers authenticate, otherwise all together",
    )
    requests_per_hour: int = number(
        1000,
        "requests",
        1,
        10_000_000,
        "tool calls per hour; each caller has this limit if callers authenticate, otherwise all together",
    )
    openai_tokens_per_minute: int = number(
        100_000,
        "tokens",
        1,
        1_000_000_000,
        "model tokens per minute, sent and received; each caller has this limit if callers authenticate, "
        "otherwise all together",
    )
    storage_url: RedisUrl | None = unset(
        "URL of a Redis in which several servers count calls together: redis://:password@host:6379/0, "
        "rediss://… or unix://…. If unset, each server counts alone. Needs the extra `fleet`"
    )
    servers: int = number(
        1, "servers", 1, 10_000, "number of servers that share the Redis; used during its outage"
    )
    on_outage: Annotated[Literal["share", "refuse"], LOWER] = Field(
        default="share",
        description="what happens while Redis cannot be used: `share` gives each server an equal part of "
        "the limits, `refuse` refuses every call",
    )


class AuditSettings(Section):
    """The audit file: a record of every call."""

    file: FileInExistingFolder | None = unset(
        "file for one line of JSON per call, without values of results; each server needs its own file. "
        "Off if unset"
    )
    sql: Literal["digest", "text"] = Field(
        default="digest",
        description="how statements and questions are recorded: as a digest, or as text with its literals",
    )
    max_bytes: int = number(
        10 * 1024**2, "bytes", 1024, 1024**3, "size at which the file is rotated to <file>.1"
    )
    kept_files: int = number(5, "files", 1, 1000, "number of rotated files to keep")


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
    shell_history: int = number(
        1000, "inputs", 0, 100_000, "inputs that `pgmcp shell` keeps in a file; 0 keeps none"
    )
    opentelemetry: bool = Field(
        default=False,
        description="send spans and metrics by OTLP, configured by OTEL_EXPORTER_OTLP_ENDPOINT and the other "
        "standard OTEL_… variables. Needs the extra `telemetry`",
    )
    context_file: ExistingFile | None = unset(
        "YAML file of business terms, notes and verified questions; `pgmcp doctor` checks its names"
    )

    _has_several_databases: bool = PrivateAttr(default=False)

    def __init__(self, *sources: PydanticBaseSettingsSource) -> None:
        """Merge the sources, highest precedence first, and validate."""
        super().__init__(sources=sources)

    @property
    def has_several_databases(self) -> bool:
        """Whether several databases are configured, even if these settings have only one of them."""
        return self._has_several_databases or len(self.databases) > 1

    def with_databases(self, databases: Mapping[str, DatabaseSettings]) -> Self:
        """Return the settings with these databases only."""
        chosen = self.model_copy(update={"databases": dict(databases)})
        chosen._has_several_databases = self.has_several_databases
        return chosen

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
