"""`pgmcp learn`: show the answer to a question, and save its SQL as verified after confirmation."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import pgmcp
from pgmcp.answers.answer import Answer
from pgmcp.cli.command_session import CALLER, Session, load_quiet_settings, report_stages, run_in_session
from pgmcp.cli.show import show_answer
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import InvalidArgumentError, ModelNotConfiguredError, SettingsError
from pgmcp.generation.context_edit import add_verified, require_new_question
from pgmcp.generation.context_file import load_context
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.pipeline import CallOptions, QueryOptions, ReturnType
from pgmcp.settings import Settings
from pgmcp.settings.load import load_settings

_PACKAGE: Final = Path(pgmcp.__file__).resolve().parent

SHOWN_ROWS = 20
"""Maximum rows of the preview: enough to judge an answer."""


def preview_answer(question: str, *, sql: str | None, database: str | None, file: Path | None) -> Answer:
    """Run the given SQL or ask the question, show the answer, and return it.

    Args:
        file: where the question is to be saved; None for the context file.

    Raises:
        PgmcpError: there is no context file, the file cannot be used or has the question already, or there is
            no answer.
    """
    terminal = Terminal()
    settings = load_quiet_settings(terminal.warning_handler(), database)
    if file is None:
        target = required_context_file(settings)
    else:
        check_target(file)
        target = file
    if target.exists():
        require_new_question(target, next(iter(settings.databases)), question)

    with terminal.progress() as say:
        on_stage = report_stages(say, model=settings.openai.model)

        async def find(session: Session) -> Answer:
            pipeline, limit = session.pipeline, min(SHOWN_ROWS, session.pipeline.max_rows)
            if sql is not None:
                return await pipeline.execute_sql(
                    sql, CallOptions(limit=limit, caller=CALLER, on_stage=on_stage)
                )
            options = QueryOptions(return_type=ReturnType.BOTH, limit=limit, caller=CALLER, on_stage=on_stage)
            try:
                return await pipeline.answer(question, options)
            except ModelNotConfiguredError as error:
                error.hint = (
                    "pass its SQL with --sql; or set PG_MCP_OPENAI_API_KEY, "
                    "or PG_MCP_OPENAI_BASE_URL for a local model"
                )
                raise

        answer = run_in_session(_without_empty_file(settings), find)
    show_answer(answer, terminal)
    return answer


def _without_empty_file(settings: Settings) -> Settings:
    """Return the settings without a context file that has no entries yet, so that no warning names it."""
    file = settings.context_file
    if file is not None and all(context.is_empty for context in load_context(file).values()):
        return replace(settings, context_file=None)
    return settings


def save(question: str, answer: Answer, file: Path | None = None) -> Path:
    """Add the question and the SQL of its answer to a file, by default the context file; return the file."""
    if not answer.sql:
        raise InvalidArgumentError("the answer has no SQL to save", hint="pass it with --sql")
    if file is not None and not file.exists():
        _create(file)
    file = file or required_context_file(load_settings())
    verified = VerifiedQuestion(question.strip(), answer.sql.strip().rstrip(";"))
    add_verified(file, answer.database, verified)
    return file


def check_target(file: Path) -> None:
    """Check that questions can be saved in a file, which need not exist yet.

    Raises:
        SettingsError: questions cannot be saved there.
    """
    if file.exists():
        load_context(file, named_by="--to: ")
    elif not file.absolute().parent.is_dir():
        raise SettingsError(f"--to: the folder {file.parent} does not exist")
    # Saving replaces the file by a new one, so the folder must be writable.
    if not os.access(file.resolve().parent, os.W_OK | os.X_OK):
        raise SettingsError(f"--to: cannot write {file}: its folder is not writable")


def _create(file: Path) -> None:
    try:
        file.touch()
    except OSError as error:
        raise SettingsError(f"--to: cannot write {file}: {error.strerror}") from error


def required_context_file(settings: Settings) -> Path:
    """Return the context file.

    Raises:
        SettingsError: none is configured.
    """
    if settings.context_file is None:
        raise SettingsError(
            "no context file is configured",
            hint="create an empty file and name it in PG_MCP_CONTEXT_FILE",
        )
    if settings.context_file.resolve().is_relative_to(_PACKAGE):
        raise SettingsError(
            f"{settings.context_file} belongs to pgmcp itself, so it is not changed",
            hint="copy it, and name the copy in PG_MCP_CONTEXT_FILE",
        )
    return settings.context_file
