"""The settings as frozen models: names, units, ranges, defaults, and rules between them.

The name of a field contains its unit. The variable and the YAML key omit the `_s` of seconds:
`server.query_timeout_s` is `PG_MCP_SERVER_QUERY_TIMEOUT`, and `query_timeout` below `server:`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Final, Literal

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
from pgmcp.settings.section import Secret, Section, number, setting, unset

_REQUEST_TIMEOUT_S: Final = 55.0
"""Most hosts give up a call after 60 seconds."""


@dataclass(frozen=True, kw_only=True)
class OpenAISettings(Section):
    """The OpenAI-compatible endpoint that writes SQL."""

    api_key: Secret | None = unset("API key of the endpoint; a local model needs none")
    model: str = setting("gpt-4o-mini", "name of the model at the endpoint")
    # Not in repr: it may contain a user and a password.
    base_url: BaseUrl | None = setting(
        None,
        "URL of an OpenAI-compatible endpoint, up to /v1 or with /chat/completions; OpenAI's own "
        "if unset. A query string is sent with each request; Azure gets the key in the header api-key",
        is_in_repr=False,
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


@dataclass(frozen=True, kw_only=True)
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
        0.0,
        "seconds",
        0.1,
        7200,
        "maximum duration of a whole call, including the model; most hosts time out after 60 seconds. "
        "If unset, it is at least the query timeout",
        documented=_REQUEST_TIMEOUT_S,
    )
    use_readonly_transactions: bool = setting(
        True,
        "run every statement in a READ ONLY transaction; if false, the other guards remain",
    )
    require_readonly_role: bool = setting(
        False, "refuse to serve a database whose role could write or is a superuser"
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
    send_values: bool = setting(
        True,
        "send values of columns to the model: short lists of texts, ranges of dates and numbers. "
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
    hidden_values: ColumnPatterns = setting(
        (),
        "columns whose values, enum labels and CHECKs are not sent to the model: column, "
        "table.column or schema.table.column, comma-separated, * allowed. Values of columns with "
        "sensitive names are not sent in any case",
    )
    allowed_functions: FunctionNames = setting(
        (),
        "functions that a statement may call besides the safe built-in ones: name, schema.name, "
        "schema.*, prefix_* or extension:name, comma-separated",
    )
    denied_functions: FunctionNames = setting(
        (),
        "functions that a statement may not call, even safe ones: name, schema.name, schema.*, "
        "prefix_* or extension:name, comma-separated",
    )
    worker_memory_mb: int = number(
        768, "MB", 128, 65536, "maximum address space of one worker process in MB (Linux)"
    )

    def __post_init__(self) -> None:
        """Choose the request timeout if it is unset."""
        if not self.request_timeout_s:
            object.__setattr__(self, "request_timeout_s", max(_REQUEST_TIMEOUT_S, self.query_timeout_s))


if TYPE_CHECKING:

    @dataclass(frozen=True, kw_only=True)
    class ServerSettings(_ServerSettings):
        """Limits of one call, what a statement may do, and the settings of features."""
else:
    # Features are not known before the program runs, so type checkers see the fields above only.
    _OF_FEATURES = [feature.server_settings() for feature in features() if feature.server_settings]

    @dataclass(frozen=True, kw_only=True)
    class ServerSettings(*_OF_FEATURES, _ServerSettings):
        """Limits of one call, what a statement may do, and the settings of features."""


@dataclass(frozen=True, kw_only=True)
class RateLimitSettings(Section):
    """Rate limits of each caller."""

    enabled: bool = setting(True, "whether the limits below are enforced")
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
    on_outage: Annotated[Literal["share", "refuse"], LOWER] = setting(
        "share",
        "what happens while Redis cannot be used: `share` gives each server an equal part of "
        "the limits, `refuse` refuses every call",
    )


@dataclass(frozen=True, kw_only=True)
class AuditSettings(Section):
    """The audit file: a record of every call."""

    file: FileInExistingFolder | None = unset(
        "file for one line of JSON per call, without values of results; each server needs its own file. "
        "Off if unset"
    )
    sql: Literal["digest", "text"] = setting(
        "digest",
        "how statements and questions are recorded: as a digest, or as text with its literals",
    )
    max_bytes: int = number(
        10 * 1024**2, "bytes", 1024, 1024**3, "size at which the file is rotated to <file>.1"
    )
    kept_files: int = number(5, "files", 1, 1000, "number of rotated files to keep")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings; the composition root passes them on as plain values.

    Attributes:
        databases: by name; the first is the default.
        has_other_databases: whether more databases are configured than `databases` has.
        variable_prefixes: `PG_MCP_DATABASES__<NAME>__` of each database that has such variables, by its name.
    """

    databases: dict[str, DatabaseSettings]
    openai: OpenAISettings = OpenAISettings()
    server: ServerSettings = ServerSettings()  # it is frozen
    rate_limit: RateLimitSettings = RateLimitSettings()
    http: HttpSettings = HttpSettings()
    audit: AuditSettings = AuditSettings()
    context_file: ExistingFile | None = unset(
        "YAML file of business terms, notes and verified questions; `pgmcp doctor` checks its names"
    )
    log_level: Annotated[LogLevel, UPPER] = setting("INFO", "minimum level of log lines on stderr")
    log_format: Literal["text", "json"] = setting(
        "text", "format of log lines on stderr: text for people, JSON for log collectors"
    )
    shell_history: int = number(
        1000, "inputs", 0, 100_000, "inputs that `pgmcp shell` keeps in a file; 0 keeps none"
    )
    opentelemetry: bool = setting(
        False,
        "send spans and metrics by OTLP, configured by OTEL_EXPORTER_OTLP_ENDPOINT and the other "
        "standard OTEL_… variables. Needs the extra `telemetry`",
    )
    has_other_databases: bool = False
    variable_prefixes: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_several_databases(self) -> bool:
        """Whether several databases are configured, even if these settings have only one of them."""
        return self.has_other_databases or len(self.databases) > 1

    def with_databases(self, databases: Mapping[str, DatabaseSettings]) -> "Settings":
        """Return the settings with these databases only."""
        has_others = self.has_other_databases or len(databases) < len(self.databases)
        return replace(self, databases=dict(databases), has_other_databases=has_others)
