"""Writes the settings reference from the code: the tables of docs/settings.md, and .env.example.

    uv run scripts/write_settings_reference.py

A test compares both files with the output of this script.
"""

import re
import textwrap
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from pgmcp.settings import SettingSpec, setting_specs

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs/settings.md"
EXAMPLE = ROOT / ".env.example"

_LINE_CHARACTERS = 110
_GROUPS = ("database", "openai", "server", "rate_limit", "http", "audit")
_HEADING_BY_GROUP = {
    "database": "One database",
    "openai": "The model behind `query`",
    "server": "Limits and guards",
    "rate_limit": "Rate limits",
    "http": "Serving over HTTP",
    "audit": "Audit file",
    "": "Files, logging and telemetry",
}
_EXAMPLE_HEAD_BY_GROUP = {
    "database": """\
# Settings of pgmcp. Copy this file to .env in the folder the server starts in and fill in what you need.
# An empty value counts as unset. A line such as "#PG_MCP_DATABASE_PORT=5432" shows a default; remove the "#"
# to change it. The process environment overrides this file, and this file overrides the YAML file in
# PG_MCP_CONFIG_FILE. A value ends at " #", where a comment begins. Put single quotes around a value that
# contains " #".
#
# One database. Set its URL, or host, dbname, user and password. If none of these is set, libpq's own
# variables are used: PGHOST, PGDATABASE, PGSERVICE and others. To configure further databases, use
# PG_MCP_DATABASES__<NAME>__<FIELD> with the same fields (PG_MCP_DATABASES__SALES__URL), or a file like
# config.example.yaml.
""",
    "openai": """\
# The model behind `query`. If neither a key nor a base URL is set, the server works without a model.
""",
    "server": """\
# Limits of one call, and what a statement may do.
""",
    "rate_limit": """\
# Rate limits of each caller.
""",
    "http": """\
# `pgmcp serve --http`: allowed clients, and limits of one client.
""",
    "audit": """\
# A record of every call.
""",
    "": """\
# Files, logging and telemetry.
""",
}


def main() -> None:
    """Write both files."""
    REFERENCE.write_text(write_reference(REFERENCE.read_text("utf-8")), "utf-8")
    EXAMPLE.write_text(write_example(), "utf-8")


def write_reference(page: str) -> str:
    """Return the page with an updated table below the heading of each group of settings."""
    for group, specs in _grouped():
        heading = re.escape(f"### {_HEADING_BY_GROUP[group]}\n\n")
        table = "\n".join(["| variable | default | meaning |", "|---|---|---|", *map(_row, specs), ""])
        found = re.search(rf"{heading}((?:\|.*\n)+)", page)
        if found is None:
            raise LookupError(f"docs/settings.md has no table below {_HEADING_BY_GROUP[group]!r}")
        page = page[: found.start(1)] + table + page[found.end(1) :]
    return page


def write_example() -> str:
    """Return the whole of .env.example."""
    parts = [
        _EXAMPLE_HEAD_BY_GROUP[group] + "\n" + "".join(map(_variable, specs)) for group, specs in _grouped()
    ]
    return "\n".join(parts)


def _grouped() -> Iterable[tuple[str, list[SettingSpec]]]:
    for group, specs in groupby(setting_specs(), key=_group):
        yield group, list(specs)


def _group(spec: SettingSpec) -> str:
    return spec.path[0] if spec.path[0] in _GROUPS else ""


def _row(spec: SettingSpec) -> str:
    meaning = (spec.description[0].upper() + spec.description[1:] + _range(spec)).replace("*", r"\*")
    default = f"`{spec.default}`" if spec.default else "\N{EN DASH}"
    return f"| `{spec.variable}` | {default} | {meaning} |"


def _variable(spec: SettingSpec) -> str:
    comment = textwrap.fill(
        spec.description + _range(spec),
        _LINE_CHARACTERS,
        initial_indent="# ",
        subsequent_indent="# ",
        break_on_hyphens=False,
    )
    mark = "#" if spec.default else ""
    return f"{comment}\n{mark}{spec.variable}={spec.default}\n"


def _range(spec: SettingSpec) -> str:
    """Return the allowed values: a list of values, or the range of a number with its unit."""
    if spec.allowed.startswith("one of "):
        return f" ({spec.allowed.removeprefix('one of ')})"
    bounds = re.search(r"number(?: of (?P<unit>.+))? from (?P<least>\S+) to (?P<most>\S+)$", spec.allowed)
    if bounds is None:
        return ""
    return f" ({bounds['least']} to {bounds['most']} {bounds['unit'] or ''}".rstrip() + ")"


if __name__ == "__main__":
    main()
