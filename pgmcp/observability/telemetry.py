"""Calls as OpenTelemetry spans and metrics.

This module uses OpenTelemetry's API, which does nothing until `start_telemetry` configures an exporter from
the standard OTEL_… variables. The span of a call is a child of the span of the host's request, which is a
child of the host's own span if the request has a trace context.

    span tools/call query        method, protocol version, request id, tool
     └── span pgmcp.query         call, outcome, database, caller, source, rows, model, tokens
          └── span pgmcp.stage.model, pgmcp.stage.execute, …
    pgmcp.calls                  counter, by operation and outcome
    pgmcp.call.duration          histogram, seconds, by operation and outcome
    pgmcp.model.tokens           counter, by direction

The metrics are also available as a page that Prometheus reads (`MetricsPage`), through OpenTelemetry's
exporter:

    pgmcp_calls_total            by pgmcp_operation, pgmcp_outcome
    pgmcp_call_duration_seconds  a histogram, by the same labels
    pgmcp_model_tokens_total     by gen_ai_token_type

Names and labels have no caller, no principal and no text of a statement. No two attributes differ in
punctuation only: the exporter would make one label of them and keep one value.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from pgmcp.errors import SettingsError
from pgmcp.features import how_to_install
from pgmcp.observability.outcome import ANSWERED, OutcomeObserver
from pgmcp.pipeline import Call, Stage

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider


_MAX_TARGET_CHARACTERS = 100

FLUSH_TIMEOUT_S = 2.0
"""Maximum time that a silent collector can delay the server's end."""


class MetricsPage:
    """The current metrics, in Prometheus' text format.

    Attributes:
        reader: to be given to the one meter provider; a second reader would count everything twice.
    """

    def __init__(self) -> None:
        """Prepare a page with its own registry.

        Raises:
            SettingsError: the exporter is not installed.
        """
        try:
            from opentelemetry.exporter.prometheus import PrometheusMetricReader
            from prometheus_client import CollectorRegistry
        except ImportError as error:
            raise SettingsError(
                f"PG_MCP_HTTP_METRICS is true, but {error.name} is not installed",
                hint=how_to_install("metrics"),
            ) from error
        self._registry = CollectorRegistry()
        self.reader: MetricReader = PrometheusMetricReader(registry=self._registry, scope_info_enabled=False)

    def render(self) -> bytes:
        """Return the page."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)


def start_telemetry(
    version: str, *, sends: bool = True, page: MetricsPage | None = None
) -> Callable[[], None]:
    """Start collecting spans and metrics; return a function that flushes and stops it.

    Args:
        sends: send both by OTLP over HTTP.
        page: shows the metrics to Prometheus.

    Raises:
        SettingsError: the packages for it are not installed.
    """
    if sends:
        _check_installed()
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource

    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override these.
    resource = Resource.create({"service.name": "pgmcp", "service.version": version})
    readers = [page.reader] if page is not None else []
    exporters: list[Any] = []
    flushes: list[Callable[[], object]] = []
    if sends:
        tracer_provider, reader, exporters = _otlp(resource)
        trace.set_tracer_provider(tracer_provider)
        readers.append(reader)
        flushes.append(tracer_provider.force_flush)
    meter_provider = MeterProvider(readers, resource=resource)
    metrics.set_meter_provider(meter_provider)
    flushes.append(meter_provider.force_flush)

    def flush() -> None:
        for each in flushes:
            each()

    def stop() -> None:
        endings = [_ExporterEnding(exporter) for exporter in exporters]
        # The providers' timeouts do not limit an exporter that waits for a retry; its shutdown does.
        flushing = threading.Thread(target=flush, daemon=True)
        flushing.start()
        flushing.join(FLUSH_TIMEOUT_S)
        for ending in endings:
            ending.shut_down()

    return stop


def _check_installed() -> None:
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"PG_MCP_OPENTELEMETRY is true, but {error.name} is not installed",
            hint=how_to_install("telemetry"),
        ) from error


def _otlp(resource: "Resource") -> "tuple[TracerProvider, MetricReader, list[Any]]":
    """Return the provider and reader that send spans and metrics, and the exporters to shut down."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    span_exporter, metric_exporter = OTLPSpanExporter(), OTLPMetricExporter()
    tracer_provider = TracerProvider(resource=resource)
    tracer_provider.add_span_processor(BatchSpanProcessor(span_exporter))
    return tracer_provider, PeriodicExportingMetricReader(metric_exporter), [span_exporter, metric_exporter]


class _ExporterEnding(logging.Filter):
    """Shuts an exporter down at its first failure, so that the end of a command waits for no retry.

    An exporter reports a failure only to its log. After its shutdown, the SDK's threads keep passing batches
    to it, and it logs a warning for each; these are hidden.
    """

    # Any: the exporters of spans and of metrics have no common base class.
    def __init__(self, exporter: Any) -> None:
        super().__init__()
        self._exporter = exporter
        self._is_shut_down = False
        logging.getLogger(type(exporter).__module__).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        is_hidden = self._is_shut_down and record.levelno < logging.ERROR
        if record.levelno >= logging.WARNING:
            self.shut_down()
        return not is_hidden

    def shut_down(self) -> None:
        """Shut the exporter down, unless that has been done."""
        if not self._is_shut_down:
            self._is_shut_down = True
            self._exporter.shutdown()


@contextmanager
def trace_request(
    method: str, params: Mapping[str, Any], facts: Mapping[str, Any]
) -> Iterator[Callable[[str], None]]:
    """Wrap a host's request in a span, as a child of the span in the request's `_meta`.

    Yields:
        A function that marks the span as failed, given the kind of failure.
    """
    name = params.get("name")
    target = name[:_MAX_TARGET_CHARACTERS] if isinstance(name, str) else ""
    meta = params.get("_meta")
    carrier = {key: text for key, text in meta.items() if isinstance(text, str)} if meta else {}
    attributes = {"mcp.method.name": method, **facts}
    if target:
        attributes["gen_ai.tool.name" if method == "tools/call" else "gen_ai.prompt.name"] = target
    with trace.get_tracer("pgmcp").start_as_current_span(
        f"{method} {target}".strip(),
        context=propagate.extract(carrier),
        kind=SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:

        def mark_failed(kind: str) -> None:
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR))

        yield mark_failed


class Telemetry:
    """Creates spans and metrics for the calls of a pipeline."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Use the providers that are currently set."""
        self._clock = clock
        self._tracer = trace.get_tracer("pgmcp")
        meter = metrics.get_meter("pgmcp")
        self._calls = meter.create_counter("pgmcp.calls", unit="{call}", description="calls that ended")
        self._duration = meter.create_histogram(
            "pgmcp.call.duration", unit="s", description="duration of a call, including the model"
        )
        self._tokens = meter.create_counter(
            "pgmcp.model.tokens", unit="{token}", description="tokens sent to and received from the model"
        )

    @contextmanager
    def observe_call(self, call: Call) -> Iterator[None]:
        """Wrap a call in a span, and count it."""
        with (
            self._span(f"pgmcp.{call.operation}") as span,
            OutcomeObserver(partial(self._count, call, span), self._clock),
        ):
            yield

    def observe_stage(self, call: Call, stage: Stage) -> AbstractContextManager[Span]:
        """Wrap a stage in a span."""
        return self._span(f"pgmcp.stage.{stage}")

    def _count(self, call: Call, span: Span, outcome: str, spent_s: float) -> None:
        _describe(span, call, outcome)
        kind = {"pgmcp.operation": str(call.operation), "pgmcp.outcome": outcome}
        self._calls.add(1, kind)
        self._duration.record(spent_s, kind)
        if call.model is not None:
            self._tokens.add(call.tokens_in, {"gen_ai.token.type": "input"})
            self._tokens.add(call.tokens_out, {"gen_ai.token.type": "output"})

    def _span(self, name: str) -> AbstractContextManager[Span]:
        # An error's text may contain SQL, so only its code is recorded.
        return self._tracer.start_as_current_span(
            name, kind=SpanKind.INTERNAL, record_exception=False, set_status_on_exception=False
        )


def _describe(span: Span, call: Call, outcome: str) -> None:
    facts: dict[str, str | int | None] = {
        "db.system.name": "postgresql",
        "pgmcp.call": call.id,
        "pgmcp.operation": str(call.operation),
        "pgmcp.outcome": outcome,
        "pgmcp.database": call.database,
        "pgmcp.caller": call.caller,
        "pgmcp.principal": call.principal,
        "pgmcp.role": call.role,
        "pgmcp.source": call.source and str(call.source),
        "db.response.returned_rows": call.row_count,
        "gen_ai.request.model": call.model,
        "gen_ai.usage.input_tokens": call.tokens_in,
        "gen_ai.usage.cache_read.input_tokens": call.tokens_cached,
        "gen_ai.usage.output_tokens": call.tokens_out,
    }
    span.set_attributes({name: fact for name, fact in facts.items() if fact is not None})
    if outcome != ANSWERED:
        span.set_status(Status(StatusCode.ERROR, outcome))
