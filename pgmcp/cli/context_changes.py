"""Finds entries for the context file, shows the change, and writes it once it is confirmed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from pgmcp.cli.command_session import CALLER, Session, load_quiet_settings, run_in_session
from pgmcp.cli.learn import required_context_file
from pgmcp.cli.terminal import Terminal, confirm
from pgmcp.errors import ModelNotConfiguredError
from pgmcp.generation.context_edit import replace_context
from pgmcp.knowledge.changes import Changes, plan_changes
from pgmcp.knowledge.draft import DRAFT_SCHEMA, draft_messages, read_asked, read_draft
from pgmcp.knowledge.entries import LeftOut
from pgmcp.knowledge.importing import Imported, check_knowledge, keep_plannable, read_knowledge
from pgmcp.knowledge.notes import COMMENTS_SQL
from pgmcp.knowledge.tables import Tables
from pgmcp.lookup.prompt_tables import select_for_prompt
from pgmcp.pipeline import CallOptions
from pgmcp.settings import Settings
from pgmcp.untrusted import escape_untrusted, escape_untrusted_block

MAX_SHOWN_REASONS: Final = 200
DRAFT_TIMEOUT_S: Final = 300.0
NO_QUESTIONS: Final = (
    "no questions were read, so the proposals follow the schema alone. To record questions, set "
    "PG_MCP_AUDIT_FILE and PG_MCP_AUDIT_SQL=text; to read another server's audit file, pass it with --audit"
)
_STYLE_BY_MARK: Final = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The options of `pgmcp context import`.

    Attributes:
        schemas: schemas of this database by schemas of the files.
    """

    paths: Sequence[Path]
    schemas: Mapping[str, str]
    with_comments: bool


def import_entries(request: ImportRequest, *, database: str | None, prune: bool, is_agreed: bool) -> None:
    """Run `pgmcp context import`.

    Args:
        prune: remove imported entries that the files no longer have.

    Raises:
        PgmcpError: nothing was written; the message says why.
        typer.Exit: the user declined.
    """
    run_and_write(database, partial(find_entries, request), prune=prune, is_agreed=is_agreed)


async def find_entries(request: ImportRequest, session: Session) -> Imported:
    """Return those entries of the files whose SQL the database can plan."""
    served = session.pipeline.databases.get(None)
    catalog = await session.pipeline.databases.catalog(None)
    comments: Sequence[Sequence[object]] = ()
    if request.with_comments and served.fetch is not None:
        comments = (await served.fetch(COMMENTS_SQL)).rows
    found, left_out = read_knowledge(request.paths, catalog, request.schemas, comments)
    return await check_knowledge(found, left_out, partial(explain, session))


def draft_entries(audit: Path | None, *, database: str | None, is_agreed: bool) -> None:
    """Run `pgmcp context draft`.

    Args:
        audit: the audit file; None for that of the settings, if there is one.

    Raises:
        PgmcpError: nothing was written; the message says why.
        typer.Exit: the user declined.
    """
    run_and_write(database, partial(_propose, audit), is_agreed=is_agreed)


async def _propose(audit: Path | None, session: Session) -> Imported:
    """Return those proposals of the model whose SQL the database can plan."""
    from pgmcp.composition import make_model

    model = make_model(session.settings.openai)
    if model is None:
        raise ModelNotConfiguredError(
            "no model is configured to propose entries",
            hint="set PG_MCP_OPENAI_API_KEY, or PG_MCP_OPENAI_BASE_URL for an endpoint that needs no key",
        )
    served = session.pipeline.databases.get(None)
    catalog = await session.pipeline.databases.catalog(None)
    path = audit or session.settings.audit.file
    is_there = path is not None and (path == audit or path.exists())
    asked = read_asked(path, served.name) if path is not None and is_there else []
    schema = select_for_prompt(
        catalog,
        " ".join(question.question for question in asked),
        token_budget=session.settings.server.prompt_tokens,
        count_tokens=session.counter.count,
    )
    try:
        reply = await model.complete_object(
            draft_messages(schema.text, asked, served.context()),
            name="context_draft",
            schema=DRAFT_SCHEMA,
            timeout_s=DRAFT_TIMEOUT_S,
        )
    finally:
        await model.aclose()
    entries, knowledge = read_draft(reply, Tables(catalog))
    kept, unplanned = await keep_plannable(entries, partial(explain, session))
    remarks = () if asked else (NO_QUESTIONS,)
    return Imported(tuple(kept), (*knowledge.left_out, *unplanned), remarks)


async def explain(session: Session, sql: str) -> object:
    """Let PostgreSQL plan a statement that passes all guards."""
    return await session.pipeline.execute_sql(f"EXPLAIN {sql}", CallOptions(limit=1, caller=CALLER))


def run_and_write(
    database: str | None,
    find: Callable[[Session], Awaitable[Imported]],
    *,
    prune: bool = False,
    is_agreed: bool,
) -> None:
    """Find entries, show the change of the context file, and write it once it is confirmed.

    Args:
        prune: remove imported entries that were not found again.

    Raises:
        PgmcpError: nothing was written; the message says why.
        typer.Exit: the user declined.
    """
    terminal = Terminal()
    settings = _without_rate_limit(load_quiet_settings(terminal.warning_handler(), database))
    path = required_context_file(settings)
    with terminal.progress() as say:
        say("comparing with the database")
        imported = run_in_session(settings, find)
    changes = plan_changes(path, next(iter(settings.databases)), imported.entries, prune=prune)
    _show(terminal, imported, changes)
    if changes.vanished and not prune:
        _show_vanished(terminal, changes.vanished)
    if not changes.difference:
        terminal.say(f"nothing to change in {path}")
        return
    if not is_agreed:
        confirm()
    replace_context(path, changes.after, changes.wanted)
    terminal.say(f"written: {path}; running servers use it immediately")


def _without_rate_limit(settings: Settings) -> Settings:
    """Return settings without rate limits, which are meant for hosts: an import plans every metric."""
    rate_limit = replace(settings.rate_limit, enabled=False)
    return replace(settings, rate_limit=rate_limit)


def _show(terminal: Terminal, imported: Imported, changes: Changes) -> None:
    for line in escape_untrusted_block(changes.difference).splitlines():
        terminal.say(line, _STYLE_BY_MARK.get(line[:1], ""))
    left_out: list[LeftOut] = [*changes.kept, *imported.left_out]
    if left_out:
        terminal.say(f"left out ({len(left_out)}):")
    for each in left_out[:MAX_SHOWN_REASONS]:
        terminal.say(f"  {escape_untrusted(each.what)}: {escape_untrusted(each.why)}")
    if len(left_out) > MAX_SHOWN_REASONS:
        terminal.say(f"  and {len(left_out) - MAX_SHOWN_REASONS} more")
    for text in imported.remarks:
        terminal.remark(text)


def _show_vanished(terminal: Terminal, vanished: Sequence[str]) -> None:
    terminal.say(f"imported before, and not found again ({len(vanished)}); --prune removes them:")
    for line in vanished[:MAX_SHOWN_REASONS]:
        terminal.say(f"  {escape_untrusted(line)}")
    if len(vanished) > MAX_SHOWN_REASONS:
        terminal.say(f"  and {len(vanished) - MAX_SHOWN_REASONS} more")
