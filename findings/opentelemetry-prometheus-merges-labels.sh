#!/usr/bin/env bash
# opentelemetry-exporter-prometheus 0.66b2: attributes that differ only in punctuation become one label; one value is lost.
#
# The specification says that values of labels which collide after sanitising are joined by ";". The exporter
# keeps the last one. `error.type`, the semantic convention's name, collides with an older `error_type`.
# The same exporter adds no `_ratio` to a gauge with unit "1".
# Specification: OpenTelemetry, Prometheus and OpenMetrics Compatibility, Metric Attributes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check opentelemetry-sdk==1.45.2 opentelemetry-exporter-prometheus==0.66b2
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import generate_latest

assert version("opentelemetry-exporter-prometheus") == "0.66b2"
meter = MeterProvider([PrometheusMetricReader()]).get_meter("example")
meter.create_counter("calls").add(1, {"error.type": "timeout", "error_type": "rejected"})
meter.create_gauge("load", unit="1").set(2)
lines = [line for line in generate_latest().decode().splitlines() if line.startswith(("calls_total", "load"))]
print("\n".join(lines))
assert 'error_type="rejected"' in lines[0] and "timeout" not in lines[0], "CHANGED: both values are there"
assert lines[1].startswith("load{"), "CHANGED: the gauge has another name"
PY
