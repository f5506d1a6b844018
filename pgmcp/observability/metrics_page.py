"""Metrics as a page that Prometheus reads, through OpenTelemetry's exporter.

    pgmcp.calls          pgmcp_calls_total            by pgmcp_operation, pgmcp_outcome
    pgmcp.call.duration  pgmcp_call_duration_seconds  a histogram, by the same
    pgmcp.model.tokens   pgmcp_model_tokens_total     by gen_ai_token_type

Names and labels have no caller, no principal and no text of a statement. No two attributes differ in
punctuation only: the exporter would make one label of them and keep one value.
"""

from typing import TYPE_CHECKING

from pgmcp.errors import SettingsError
from pgmcp.features import how_to_install

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader


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
