"""`pgmcp context import` and `pgmcp context draft`: add entries to the context file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pgmcp.cli.options import DatabaseOption, examples

context_commands = typer.Typer(
    name="context",
    help="Add entries to the context file: import them from other tools or comments, or draft them.",
)

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")]


@context_commands.command(
    "import",
    epilog=examples(
        "pgmcp context import target/semantic_manifest.json target/manifest.json",
        "pgmcp context import ~/dbt/shop --map dbt_alice=analytics",
        "pgmcp context import model.ossie.yaml --yes",
        "pgmcp context import cube/model --database shop",
    ),
)
def import_files(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of dbt, Apache Ossie or Cube, or folders of them.", show_default=False),
    ] = None,
    database: DatabaseOption = None,
    schema_map: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="THERE=HERE", help="Use this database's schema HERE for the files' schema THERE."
        ),
    ] = None,
    comments: Annotated[
        bool, typer.Option("--comments", help="Also import comments on constraints, domains and enums.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove imported entries that the files no longer have.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Import terms, metrics, joins, values and synonyms; show the change first."""
    if not paths and not comments:
        raise typer.BadParameter("name a file or folder, or give --comments", param_hint="PATHS")
    from pgmcp.cli.context_changes import ImportRequest, import_entries

    import_entries(
        ImportRequest(paths or [], _read_map(schema_map or []), comments),
        database=database,
        prune=prune,
        is_agreed=yes,
    )


@context_commands.command(
    "draft", epilog=examples("pgmcp context draft", "pgmcp context draft --audit /var/log/pgmcp/audit.jsonl")
)
def draft(
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Audit file with the questions that were asked; default: PG_MCP_AUDIT_FILE."
        ),
    ] = None,
    database: DatabaseOption = None,
    yes: YesOption = False,
) -> None:
    """Let the model propose terms, notes, joins and questions; show the change first."""
    from pgmcp.cli.context_changes import draft_entries

    draft_entries(audit, database=database, is_agreed=yes)


def _read_map(pairs: Sequence[str]) -> dict[str, str]:
    schemas = {}
    for pair in pairs:
        there, is_pair, here = pair.partition("=")
        if not (there and is_pair and here):
            raise typer.BadParameter(f"{pair!r} is not THERE=HERE", param_hint="--map")
        schemas[there] = here
    return schemas
