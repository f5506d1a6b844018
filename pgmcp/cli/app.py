"""The commands a person types; imported only off the serve path."""

from typing import Annotated

import typer

from pgmcp import __version__
from pgmcp.cli.errors import exit_with
from pgmcp.errors import PgmcpError

app = typer.Typer(
    name="pgmcp",
    help="An MCP server that lets language models query PostgreSQL, read-only and bounded.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pgmcp {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before a command."""


@app.command()
def serve() -> None:
    """Serve MCP over stdio: what a host runs. The default without a command."""
    from pgmcp.cli.serve import serve as serve_stdio

    serve_stdio()


@app.command()
def demo(
    question: Annotated[
        str | None, typer.Argument(help="Ask the model this instead; needs PG_MCP_OPENAI_*.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve MCP on the demo database: what the printed block runs.")
    ] = False,
) -> None:
    """Show it all on an embedded PostgreSQL: questions, SQL, refused attacks, a stopped runaway."""
    try:
        if serve:
            from pgmcp.demo.serve import serve_demo

            raise typer.Exit(serve_demo())
        from pgmcp.demo.tour import run_tour

        raise typer.Exit(0 if run_tour(question) else 1)
    except PgmcpError as error:
        exit_with(error)


@app.command()
def learn(
    question: Annotated[str, typer.Argument(help="The question, as people will ask it.")],
    sql: Annotated[str | None, typer.Option(help="Its SQL; the model writes it if left out.")] = None,
    database: Annotated[str | None, typer.Option(help="A configured database; else the default.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Keep it without asking.")] = False,
) -> None:
    """Show what a question's SQL gives, and keep the pair as verified in PG_MCP_CONTEXT_FILE."""
    from pgmcp.cli.learn import ask, keep

    try:
        text, sql, database = ask(question, sql=sql, database=database)
        typer.echo(f"{sql.strip()}\n\n{text}")
        if not yes:
            typer.confirm("Is this right, and shall it be the answer from now on?", abort=True)
        file = keep(question, sql=sql, database=database)
    except PgmcpError as error:
        exit_with(error)
    typer.echo(f"kept in {file}; running servers use it at once")


@app.command("setup-sql")
def setup_sql(
    database: Annotated[str, typer.Option(help="The database to read.")],
    role: Annotated[str, typer.Option(help="The role to make.")] = "pgmcp_reader",
    schema: Annotated[list[str] | None, typer.Option(help="A schema to read; may be repeated.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Connections the role may hold.")] = 20,
    statement_timeout_s: Annotated[int, typer.Option(min=1, help="Seconds a statement may run.")] = 60,
) -> None:
    """Print the SQL that makes a role which can only read."""
    from pgmcp.cli.setup_sql import setup_script

    typer.echo(
        setup_script(
            role,
            database,
            schema or ["public"],
            connections=connections,
            statement_timeout_s=statement_timeout_s,
        ),
        nl=False,
    )


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the settings, each database and its role; exit with 1 if something fails."""
    try:
        from pgmcp.settings import load_settings

        settings = load_settings()
        from pgmcp.cli.doctor import run_doctor

        report, is_healthy = run_doctor(settings, as_json=as_json)
    except PgmcpError as error:
        exit_with(error)
    typer.echo(report, nl=False)
    raise typer.Exit(0 if is_healthy else 1)
