"""Reads the statements in `tests/data`, one per line: those that must pass and those that must be refused."""

import json
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parents[1] / "tests" / "data"


def honest_statements() -> list[str]:
    """Return the reads that must pass."""
    return _lines("honest")


def attacks() -> list[str]:
    """Return the statements that must be refused, including those that the JSON Lines files describe."""
    spelled = [json.loads(line) for line in _read("attacks/encoding.jsonl")]
    return _lines("attacks") + spelled + oversized_statements()


def attacks_by_category() -> dict[str, list[str]]:
    """Return all attacks by the name of their file, including traps."""
    categories = {
        path.stem: _read(f"attacks/{path.name}") for path in sorted((_DATA / "attacks").glob("*.sql"))
    }
    return categories | {"traps": [*trap_attacks(), *trap_policy_attacks()]}


def trap_attacks() -> list[str]:
    """Return statements that use the objects of `traps/objects.sql` and must be refused."""
    return _read("traps/attacks.sql")


def trap_policy_attacks() -> list[str]:
    """Return statements that meet a row policy of `traps/objects.sql`, which does not apply to superusers."""
    return _read("traps/policy_attacks.sql")


def trap_honest_statements() -> list[str]:
    """Return reads that must pass in a database with the objects of `traps/objects.sql`."""
    return _read("traps/honest.sql")


ORDINARY_DATABASES = ("app", "applications", "namesakes", "postgres_18", "supabase")
"""Names of databases as people create them without meaning harm."""


def ordinary_objects(database: str) -> str:
    """Return the SQL that creates the objects of an ordinary database."""
    return (_DATA / "ordinary" / f"{database}.sql").read_text("utf-8")


def ordinary_reads(database: str) -> list[str]:
    """Return reads that must pass in an ordinary database."""
    return _read(f"ordinary/{database}_reads.sql")


def oversized_statements() -> list[str]:
    """Return statements that are too long or too deep, in the order of `resources.jsonl`."""
    return [_repeat(**json.loads(line)) for line in _read("attacks/resources.jsonl")]


def _repeat(**parts: Any) -> str:
    opening = parts["prefix"] + parts["repeated"] * parts["times"]
    closing = parts.get("closing", "") * parts["times"]
    return str(opening + parts.get("middle", "") + closing + parts.get("suffix", ""))


def _lines(folder: str) -> list[str]:
    return [
        line for path in sorted((_DATA / folder).glob("*.sql")) for line in _read(f"{folder}/{path.name}")
    ]


def _read(name: str) -> list[str]:
    return [line for line in (_DATA / name).read_text(encoding="utf-8").split("\n") if line]
