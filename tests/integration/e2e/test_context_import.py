"""`pgmcp context import` shows the change of the context file, and writes it only when it is accepted."""

import json
from pathlib import Path

import pytest

from pgmcp.generation.context_file import load_context
from testing.command_line import run
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, content

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


def test_an_import_is_shown_and_written_after_confirmation(
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
    assert "tables of the schema dbt_dev were not found" in written.stderr.decode()
    context = (tmp_path / "context.yaml").read_text("utf-8")
    assert context.startswith(CONTEXT)
    assert "SELECT sum(1) FROM orders" in context
    assert "pg_terminate_backend" not in context


def test_entries_that_the_files_no_longer_have_are_listed_and_removed_with_prune(
    environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = ("context", "import", "semantic_manifest.json", "--yes")
    run(environment, tmp_path, *arguments)
    renamed = json.dumps(MANIFEST).replace("order_count", "doubled").replace("Number of", "Twice the")
    (tmp_path / "semantic_manifest.json").write_text(
        renamed.replace('"expr": "1"', '"expr": "2"'), encoding="utf-8"
    )

    listed = run(environment, tmp_path, *arguments)
    kept = (tmp_path / "context.yaml").read_text("utf-8")
    pruned = run(environment, tmp_path, *arguments, "--prune")

    output = listed.stdout.decode()
    assert "not found again (" in output
    assert "--prune removes them" in output
    assert "SELECT sum(1) FROM orders" in kept
    assert pruned.returncode == 0, pruned.stderr
    left = (tmp_path / "context.yaml").read_text("utf-8")
    assert left.startswith(CONTEXT)
    assert "SELECT sum(1) FROM orders" not in left
    assert "SELECT sum(2) FROM orders" in left


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), b"name a file or folder"),
        (("missing.json",), b"cannot read missing.json"),
        (("context.yaml",), b"not a mapping of names to values"),
        (("semantic_manifest.json", "--map", "dev"), b"is not THERE=HERE"),
    ],
)
def test_a_file_that_cannot_be_imported_gives_a_clear_error(
    arguments: tuple[str, ...], problem: bytes, environment: dict[str, str], tmp_path: Path
) -> None:
    refused = run(environment, tmp_path, "context", "import", *arguments)

    assert refused.returncode == 2
    assert problem in refused.stderr
    assert (tmp_path / "context.yaml").read_text("utf-8") == CONTEXT


def test_a_draft_of_the_model_is_checked_by_the_database(environment: dict[str, str], tmp_path: Path) -> None:
    asked = {
        "operation": "query",
        "database": "main",
        "question": "How many carts are idle?",
        "sql": None,
        "outcome": "unanswerable",
    }
    (tmp_path / "audit.jsonl").write_text(json.dumps(asked) + "\n", encoding="utf-8")
    proposals = {
        "terms": [
            {"name": "catalogue", "meaning": "products on sale", "sql": "SELECT name FROM products"},
            {"name": "ghost", "meaning": "nothing", "sql": "SELECT ghost FROM products"},
            {"name": "rude", "meaning": "a change", "sql": "DELETE FROM products"},
        ],
        "questions": [{"question": "How many products?", "sql": "SELECT count(*) FROM products"}],
    }
    with ScriptedEndpoint(refused_parameters=("response_format",)) as endpoint:
        endpoint.reply(content(f"<think>hm</think>```json\n{json.dumps(proposals)}\n```"))
        variables = {**environment, "PG_MCP_OPENAI_BASE_URL": endpoint.base_url}

        drafted = run(variables, tmp_path, "context", "draft", "--audit", "audit.jsonl", "--yes")

        asked_of_model = endpoint.requests[-1].prompt

    assert drafted.returncode == 0, drafted.stderr
    assert "How many carts are idle?: no answer" in asked_of_model
    assert "products(" in asked_of_model
    context = load_context(tmp_path / "context.yaml")["main"]
    assert context.terms == {"catalogue": "products on sale. SQL: SELECT name FROM products"}
    assert [verified.sql for verified in context.verified] == ["SELECT count(*) FROM products"]
    output = drafted.stdout.decode()
    assert "SQL of terms: ghost: PostgreSQL cannot plan it" in output
    assert "SQL of terms: rude: PostgreSQL cannot plan it" in output
