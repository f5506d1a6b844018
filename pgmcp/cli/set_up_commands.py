"""The commands `install`, `doctor` and `setup-sql`."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pgmcp.cli.errors import ExitCode
from pgmcp.cli.install.choices import HostName, Scope
from pgmcp.cli.options import SET_UP, entry_options, examples, examples_of, with_options

set_up_commands = typer.Typer()
"""This group has no name, so its commands become direct commands of `pgmcp`."""

_ENTRY_NAMES: Final = ", or ".join(
    ["pgmcp", *(f"{option.entry_name} with {option.flag}" for option in entry_options())]
)


def _repeatable(text: str, **arguments: Any) -> Any:
    """Return an option that may be given several times."""
    return typer.Option(help=f"{text}; may be repeated.", **arguments)


def read_host(name: str) -> HostName:
    """Return the host with this name.

    Raises:
        typer.BadParameter: the host is unknown.
    """
    try:
        return HostName(name)
    except ValueError:
        near = difflib.get_close_matches(name, list(HostName), n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(HostName)}{meant}") from None


def read_scope(name: str) -> Scope:
    """Return the scope with this name. Typer's own message about a wrong one would begin with "Value error".

    Raises:
        typer.BadParameter: the scope is unknown.
    """
    try:
        return Scope(name)
    except ValueError:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(Scope)}") from None


@set_up_commands.command(
    rich_help_panel=SET_UP,
    epilog=examples(
        "pgmcp install claude-desktop --env-file .env",
        "pgmcp install vscode --scope project --config-file pgmcp.yaml",
        "pgmcp install claude-code --env PG_MCP_DATABASE_URL=postgresql://reader@db.example.com/shop",
        "pgmcp install claude-code --http https://mcp.example.com/mcp",
        *examples_of(entry_options()),
    ),
)
@with_options(entry_options())
def install(
    host: Annotated[
        HostName,
        typer.Argument(parser=read_host, help="The program that uses this server."),
    ],
    scope: Annotated[
        Scope,
        typer.Option(
            parser=read_scope,
            metavar="user|project",
            help="user: for you in every project; project: for everyone who shares this folder.",
        ),
    ] = Scope.USER,
    env_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with settings for the server, in the form of .env."),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML file with settings for the server.")
    ] = None,
    env: Annotated[
        list[str] | None, _repeatable("A setting to write into the host's file", metavar="NAME=VALUE")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--http", metavar="URL", help="URL of a running server, started with `pgmcp serve --http`."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help=f"Name of the entry; default: {_ENTRY_NAMES}.")] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The host's file, if it is not in the usual place.")
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the entry for the host's file; change nothing.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the entry.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    **extras: Any,
) -> None:
    """Add this server to a host's configuration: show the change, ask, keep a backup."""
    from pgmcp.cli.install.command import Request, render_block, run_install

    variant = next((option for option in entry_options() if extras[option.name]), None)
    request = Request(host, scope, name, file, variant, env or [], env_file, config_file, url)
    if only_print:
        typer.echo(render_block(request))
    else:
        run_install(request, removes=remove, is_agreed=yes)


@set_up_commands.command(rich_help_panel=SET_UP, epilog=examples("pgmcp doctor", "pgmcp doctor --json"))
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check settings, machine, hosts, model and databases; exit with 1 if a check fails."""
    from pgmcp.cli.doctor import run_doctor

    raise typer.Exit(ExitCode.DONE if run_doctor(with_json=as_json) else ExitCode.FAILED)


@set_up_commands.command(
    "setup-sql",
    rich_help_panel=SET_UP,
    epilog=examples(
        "pgmcp setup-sql --database shop > reader.sql",
        "pgmcp setup-sql --database shop --schema public --schema sales --role reporting",
        "pgmcp setup-sql --database shop --hide customers.email --mask \"users.phone=left(phone, 3) || '…'\"",
        "pgmcp setup-sql --database shop --hide customers.email --check",
    ),
)
def setup_sql(
    database: Annotated[
        list[str] | None, _repeatable("Name of a database (--check: all databases if left out)")
    ] = None,
    role: Annotated[str, typer.Option(help="Name of the new role.")] = "pgmcp_reader",
    schema: Annotated[list[str] | None, _repeatable("A schema that the role may read")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Maximum connections of the role.")] = 20,
    statement_timeout_s: Annotated[int, typer.Option(min=1, help="Maximum seconds of a statement.")] = 60,
    hide: Annotated[
        list[str] | None, _repeatable("A column that the role may not read, as table.column")
    ] = None,
    mask: Annotated[
        list[str] | None, _repeatable("A column to replace by SQL in a view, as table.column=SQL")
    ] = None,
    owner: Annotated[
        list[str] | None,
        _repeatable("A role that will own tables later (those that own tables now are found)"),
    ] = None,
    rls: Annotated[bool, typer.Option("--rls", help="Add comments that explain row-level security.")] = False,
    revoke: Annotated[
        bool,
        typer.Option(
            "--revoke", help="Revoke TEMPORARY and CREATE from PUBLIC; without it, these are comments."
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Report what the configured role can read; exit with 1 if it differs from the options.",
        ),
    ] = False,
) -> None:
    """Print the SQL that creates a read-only role; it can be run again."""
    from pgmcp.cli.hidden_columns import read_column
    from pgmcp.cli.setup_sql import setup_script

    schemas = schema or ["public"]
    columns = [
        *(read_column(text, schemas) for text in hide or ()),
        *(read_column(text, schemas, is_masked=True) for text in mask or ()),
    ]
    if check:
        from pgmcp.cli.grants import check_grants

        raise typer.Exit(ExitCode.DONE if check_grants(database or (), schemas, columns) else ExitCode.FAILED)
    if not database:
        raise typer.BadParameter("the name of a database is needed", param_hint="--database")
    script = setup_script(
        role,
        database,
        schemas,
        connections=connections,
        statement_timeout_s=statement_timeout_s,
        columns=columns,
        owners=owner or (),
        revokes=revoke,
        row_security=rls,
    )
    typer.echo(script, nl=False)
