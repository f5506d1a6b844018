"""`pgmcp context import` shows the change of the context file, and writes it only when it is accepted."""

import json
from pathlib import Path

import pytest

from testing.command_line import run
from testing.mcp_server import server_environment

CONTEXT = "# our words\n"
MANIFEST = {
    "semantic_models": [
        {
            "name": "orders",
            "node_relation": {"alias": "orders", "schema_name": "dbt_dev", "database": "dev"},
            "dimensions": [{"name": "status", "type": "categorical"}],
        }
    ],
    "metrics": [
        {
            "name": "order_count",
            "label": "Number of orders\u202e\x1b[31m",
            "type": "simple",
            "type_params": {
                "metric_aggregation_params": {"semantic_model": "orders", "agg": "sum", "expr": "1"}
            },
        },
        {
            "name": "asleep",
            "type": "simple",
            "type_params": {
                "metric_aggregation_params": {
                    "semantic_model": "orders",
                    "agg": "max",
                    "expr": "pg_terminate_backend(id)",
                }
            },
        },
    ],
    "project_configuration": {},
}


@pytest.fixture
def environment(shop_url: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "context.yaml").write_text(CONTEXT, encoding="utf-8")
    (tmp_path / "semantic_manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    return server_environment(shop_url, context_file=str(tmp_path / "context.yaml"))


def test_a_change_is_shown_and_written_when_it_is_accepted(
    environment: dict[str, str], tmp_path: Path
) -> None:
    shown = run(environment, tmp_path, "context", "import", "semantic_manifest.json")
    assert shown.returncode == 2
    assert b"--yes" in shown.stderr
    assert (tmp_path / "context.yaml").read_text("utf-8") == CONTEXT

    written = run(environment, tmp_path, "context", "import", "semantic_manifest.json", "--yes")

    output = written.stdout.decode()
    assert written.returncode == 0, written.stderr
    assert '+      - question: "What is Number of orders[31m?"' in output
    assert "\x1b" not in output
    assert "SQL of metric asleep" not in output
    assert "SQL of terms: asleep: PostgreSQL cannot plan it" in output
    assert "the schema dbt_dev is not here" in written.stderr.decode()
    context = (tmp_path / "context.yaml").read_text("utf-8")
    assert context.startswith(CONTEXT)
    assert "SELECT sum(1) FROM orders" in context
    assert "pg_terminate_backend" not in context


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), b"name a file or folder"),
        (("missing.json",), b"cannot read missing.json"),
        (("context.yaml",), b"no mapping of names to values"),
        (("semantic_manifest.json", "--map", "dev"), b"is not THERE=HERE"),
    ],
)
def test_what_cannot_be_imported_is_a_clear_error(
    arguments: tuple[str, ...], problem: bytes, environment: dict[str, str], tmp_path: Path
) -> None:
    refused = run(environment, tmp_path, "context", "import", *arguments)

    assert refused.returncode == 2
    assert problem in refused.stderr
    assert (tmp_path / "context.yaml").read_text("utf-8") == CONTEXT
