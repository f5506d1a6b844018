"""Prints which attacks each layer of protection stops while the others are off, for docs/threat-model.md.

    uv run python -m scripts.layers
    uv run python -m scripts.layers traps writes

The script runs the statements of `tests/data/attacks/*.sql` and the attacks of `tests/data/traps` on a
temporary cluster, and compares the cluster's state before and after. If a batch of statements changed
something, the script halves the batch until it has found these statements. This takes some minutes; the names
of categories select rows of the table.
"""

import argparse
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.ending_signals import ended_like_ctrl_c, run_coroutine
from pgmcp.execution.spawn import spawn_cold
from testing.attack_run import (
    EffectObserver,
    Recorder,
    find_effects,
    pipeline_to,
    supervisor_to,
    unvalidated,
    validated,
    watch,
)
from testing.attacked_cluster import SERVER_SETTINGS, Target, build_target
from testing.statements import attacks_by_category

TIMEOUT_S: Final = 0.5
"""Long enough for every statement except those that wait on purpose."""

USED_UP_NUMBER: Final = "next transaction id"
"""The part of the state that even a rolled-back statement can change; only `test_attacks` counts it."""

_WORDS_BY_CATEGORY = {
    "aimed": "Aimed at the test cluster's own secrets, files, sequences and sessions",
    "column_notation": "Functions called as if they were columns: `(value).function`",
    "function_files_network": "Functions: files, large objects, network",
    "function_positions": "Functions in every position of a query",
    "function_sql_text": "Functions that run SQL text",
    "function_state": "Functions: sequences, locks, sessions, WAL, replication, statistics",
    "into_locking_and_with": "INTO, locking clauses, modifying WITH",
    "names": "Unknown and disguised names, operators",
    "secret_columns": "The secret columns of catalogs that may be read",
    "secrets": "Password hashes and other secrets",
    "stacked_and_transactions": "Stacked statements, transaction control, SET",
    "statements": "EXPLAIN of writes, PREPARE, cursors, DO, CALL, COPY, LISTEN",
    "traps": "Traps in the database: functions, operators, types, views, policies",
    "writes": "INSERT, UPDATE, DELETE, DDL, maintenance",
}


@dataclass(frozen=True)
class Layer:
    """The layers that are on, and the role that runs the statements."""

    title: str
    role: str
    has_validator: bool
    is_read_only: bool


LAYERS = (
    Layer("Validator, superuser", "superuser", has_validator=True, is_read_only=False),
    Layer("Validator, owner", "careless", has_validator=True, is_read_only=False),
    Layer("Transaction, superuser", "superuser", has_validator=False, is_read_only=True),
    Layer("Transaction, owner", "careless", has_validator=False, is_read_only=True),
    Layer("Role of `pgmcp setup-sql`", "reader", has_validator=False, is_read_only=False),
)


@asynccontextmanager
async def open_layer(layer: Layer, target: Target) -> AsyncIterator[Recorder]:
    """Open a function that sends statements through only these layers."""
    url = target.url_by_role[layer.role]
    if layer.has_validator:
        async with pipeline_to(url, read_only=layer.is_read_only) as pipeline:
            yield validated(pipeline)
    else:
        async with supervisor_to(url, spawn=spawn_cold, read_only=layer.is_read_only) as supervisor:
            yield unvalidated(supervisor, timeout_s=TIMEOUT_S)


async def get_through(
    layer: Layer, target: Target, watched: EffectObserver, statements: list[str]
) -> list[str]:
    """Return the statements that changed something or read a secret."""
    async with open_layer(layer, target) as run:
        found = await find_effects(watched, run, [target.adapt(each) for each in statements])
        effects = {statement: changed for statement, changed in found.items() if changed != [USED_UP_NUMBER]}
        for statement, changed in effects.items():
            sys.stderr.write(f"{layer.title}: {statement!r} changed {', '.join(changed)}\n")
        for statement in run.leaks(target.secrets):
            sys.stderr.write(f"{layer.title}: {statement!r} read a secret\n")
        return sorted({*effects, *run.leaks(target.secrets)})


async def print_table(target: Target, categories: Sequence[str]) -> None:
    """Run the attacks of these categories; print each row of the table in Markdown when it is measured."""
    attacks = attacks_by_category()
    sys.stdout.write(f"| Category | Statements | {' | '.join(layer.title for layer in LAYERS)} |\n")
    sys.stdout.write(f"|---|---|{'---|' * len(LAYERS)}\n")
    sys.stdout.flush()
    with watch(target) as watched:
        for category in categories:
            statements, cells = attacks[category], []
            for layer in LAYERS:
                through = await get_through(layer, target, watched, statements)
                verb = "gets" if len(through) == 1 else "get"
                cells.append(f"{len(through)} {verb} through" if through else "all stopped")
            words = _WORDS_BY_CATEGORY[category]
            sys.stdout.write(f"| {words} | {len(statements)} | {' | '.join(cells)} |\n")
            sys.stdout.flush()


def main() -> None:
    """Print the table; write a line to standard error for each statement that got through."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "categories",
        nargs="*",
        choices=list(_WORDS_BY_CATEGORY),
        metavar="CATEGORY",
        help=f"measure only these rows: {', '.join(_WORDS_BY_CATEGORY)}",
    )
    categories = parser.parse_args().categories or list(attacks_by_category())
    with ended_like_ctrl_c():
        measure(categories)


def measure(categories: Sequence[str]) -> None:
    """Start a cluster, print the table, and stop the cluster."""
    with tempfile.TemporaryDirectory(prefix="pgmcp-layers-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # as root, the server runs as another user, who needs access to the folder
        cluster = EmbeddedPostgres(Path(folder), settings=SERVER_SETTINGS)
        try:
            target = build_target(cluster.start())
            run_coroutine(lambda: print_table(target, categories))
        finally:
            cluster.stop("immediate")


if __name__ == "__main__":
    main()
