"""A local collector receives spans and metrics; without the setting, it receives none."""

import hashlib
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from testing.http_server import HttpServerProcess, http_client, tool_call
from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

pytest.importorskip("opentelemetry.sdk", reason="the extra `telemetry` is not installed")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TOKEN_HASH = hashlib.sha256(b"the-token").hexdigest()
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(ThreadingHTTPServer):
    """Stores the bodies of POST requests by path, and answers with a status."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receive)
        self.bodies: dict[str, list[bytes]] = {}
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Span]:
        return [
            span
            for body in self.bodies.get("/v1/traces", [])
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metric_names(self) -> set[str]:
        return {
            metric.name
            for body in self.bodies.get("/v1/metrics", [])
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


class _Receive(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.setdefault(self.path, []).append(body)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Write no log."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def finish(server: RawServer) -> None:
    server.close_stdin()
    assert server.wait() == 0


def facts_of(span: Span) -> dict[str, Any]:
    return {fact.key: getattr(fact.value, fact.value.WhichOneof("value")) for fact in span.attributes}


def test_a_call_is_a_span_with_its_stages_below_it_and_the_hosts_trace_above(
    start_server: StartServer, shop_environment: dict[str, str], collector: Collector
) -> None:
    telemetry = {"PG_MCP_OPENTELEMETRY": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    server = start_server(shop_environment | telemetry)

    server.request(
        "tools/call",
        name="execute_sql",
        arguments={"sql": "select 'unheard of'"},
        _meta={"traceparent": TRACEPARENT},
    )
    server.call("execute_sql", sql="drop table unheard_of")
    finish(server)

    spans = collector.spans()
    answered, rejected = (span for span in spans if span.name == "pgmcp.execute_sql")
    above = next(span for span in spans if span.span_id == answered.parent_span_id)
    below = {span.name for span in spans if span.parent_span_id == answered.span_id}
    assert above.name == "tools/call execute_sql"
    assert above.trace_id.hex() == TRACEPARENT.split("-")[1]
    assert below == {"pgmcp.stage.validate", "pgmcp.stage.execute"}
    assert facts_of(answered)["db.response.returned_rows"] == 1
    assert facts_of(answered)["pgmcp.database"] == "shop"
    assert facts_of(rejected)["pgmcp.outcome"] == "rejected"
    assert rejected.status.code == 2
    assert {"pgmcp.calls", "pgmcp.call.duration"} <= collector.metric_names()
    assert not any(b"unheard" in body for bodies in collector.bodies.values() for body in bodies)


@pytest.fixture
def http_server(shop_url: str, collector: Collector, tmp_path: Path) -> Iterator[HttpServerProcess]:
    pytest.importorskip("opentelemetry.exporter.prometheus", reason="the extra `metrics` is not installed")
    environment = server_environment(
        shop_url,
        database_name="shop",
        opentelemetry="true",
        http_metrics="true",
        http_tokens=f"prometheus={TOKEN_HASH}",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )
    with HttpServerProcess(environment, tmp_path) as server:
        yield server


def test_over_http_a_trace_comes_by_header_and_metrics_are_shown_to_those_who_may_call(
    http_server: HttpServerProcess, collector: Collector
) -> None:
    bearer = {"Authorization": "Bearer the-token"}
    by_another = TRACEPARENT.replace("0af7651916cd43dd8448eb211c80319c", "1" * 32)
    headers, plain = tool_call("execute_sql", sql="select 'unheard of'")
    _, with_progress = tool_call("execute_sql", sql="drop table unheard_of")
    with_progress["params"]["_meta"]["progressToken"] = 1
    _, with_meta = tool_call("execute_sql", sql="select 1")
    with_meta["params"]["_meta"]["traceparent"] = by_another

    with http_client(http_server.port) as client:
        for body in (plain, with_progress, with_meta):
            client.post("/mcp", json=body, headers=headers | bearer | {"traceparent": TRACEPARENT})
        without_token = client.get("/metrics")
        page = client.get("/metrics", headers=bearer)
        elsewhere = client.get("/metrics", headers=bearer | {"Host": "evil.example.com"})
    http_server.send_signal(signal.SIGTERM)
    assert http_server.wait() == 0

    above = [span for span in collector.spans() if span.name == "tools/call execute_sql"]
    assert [span.trace_id.hex() for span in above] == [*[TRACEPARENT.split("-")[1]] * 2, "1" * 32]
    assert [span.status.code for span in above] == [0, 2, 0]
    assert (without_token.status_code, elsewhere.status_code) == (401, 421)
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = page.text.splitlines()
    calls = 'pgmcp_calls_total{pgmcp_operation="execute_sql",pgmcp_outcome="%s"} %s'
    assert calls % ("answered", "2.0") in lines
    assert calls % ("rejected", "1.0") in lines
    assert any(line.startswith("pgmcp_call_duration_seconds_bucket{") for line in lines)
    types = [line for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    assert "unheard" not in page.text
    assert "prometheus" not in page.text
    exported = b"".join(body for bodies in collector.bodies.values() for body in bodies)
    assert b"the-token" not in exported
    assert TOKEN_HASH.encode() not in exported


def test_without_the_setting_no_telemetry_is_sent(
    start_server: StartServer, shop_environment: dict[str, str], collector: Collector
) -> None:
    server = start_server(shop_environment | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    server.call("execute_sql", sql="select 1")
    finish(server)

    assert collector.bodies == {}


def test_a_missing_collector_fails_no_call_and_does_not_delay_the_servers_end(
    start_server: StartServer, shop_environment: dict[str, str]
) -> None:
    telemetry = {"PG_MCP_OPENTELEMETRY": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    server = start_server(shop_environment | telemetry)

    assert server.call("execute_sql", sql="select 1").rows == [[1]]
    finish(server)

    assert "already shutdown" not in server.stderr


def test_what_an_overloaded_collector_refuses_at_the_end_is_not_sent_again(
    start_server: StartServer, shop_environment: dict[str, str], collector: Collector
) -> None:
    collector.status = 503
    telemetry = {"PG_MCP_OPENTELEMETRY": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    server = start_server(shop_environment | telemetry)

    server.call("execute_sql", sql="select 1")
    finish(server)

    assert {path: len(bodies) for path, bodies in collector.bodies.items()} == {
        "/v1/traces": 1,
        "/v1/metrics": 1,
    }
