"""Finds the optional features. Each is a package that can be deleted, and describes its additions.

    charts/feature.py   the argument `chart` and the option `--chart`: rows as a picture
    export/feature.py   the argument `export`, its settings, and the option `--parquet`: rows as a file
    view/feature.py     the page that hosts with MCP Apps show with an answer
    demo/feature.py     `pgmcp demo`, `pgmcp install --demo` and a check of `pgmcp doctor`

No other code imports these packages. Their `feature` modules are imported when the server starts, so they
import what is slow to load only when it is used.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgmcp.execution.result import RowLimits, Rows

if TYPE_CHECKING:
    from typer import Typer

    from pgmcp.answers.answer import Answer
    from pgmcp.answers.fitted import FittedAnswer
    from pgmcp.cli.doctor.report import NamedCheck
    from pgmcp.cli.options import AnswerOption, EntryOption
    from pgmcp.settings import ServerSettings
    from pgmcp.settings.section import Section
    from pgmcp.surface.caller import Caller
    from pgmcp.surface.reply import ToolReply

WriteFile = Callable[[Rows, str, Path], Awaitable[int]]

_PACKAGES: Final = ("charts", "export", "view", "demo")


@dataclass(frozen=True, slots=True)
class ToolArgument:
    """An argument that a feature adds to the tools that return rows.

    Attributes:
        name: its name.
        type: its type, with a description for models (`msgspec.Meta`).
        default: the value of an argument that is left out; a call with it does not use the feature.
        needs: what an operator has to do before the argument is offered; "" if it is offered.
    """

    name: str
    type: Any
    default: Any
    needs: str = ""

    def is_used(self, value: Any) -> bool:
        """Return whether a call with this value uses the feature."""
        return bool(value != self.default)


@dataclass(frozen=True, slots=True)
class PageResource:
    """A page that hosts can read as a resource.

    Attributes:
        description: the resource as the protocol lists it, with its `uri`.
        read: returns the page.
    """

    description: Mapping[str, Any]
    read: Callable[[], str]


class AnswerExtension:
    """The additions of a feature to the tools that return rows; subclasses override what they need.

    In each method, `value` is the value of the feature's argument; None if the feature has no argument.

    Attributes:
        argument: the feature's argument; None if it has none.
        row_limits: limits of the result of a call that uses the feature; None for the usual ones.
        writes_files: whether a call may write a file; the tools are then not read-only in the protocol's
            sense.
        more_rows_hint: how to get the rows that an answer does not show; "" for no hint.
        tool_meta: `_meta` of the tools.
        pages: resources that hosts can read.
    """

    argument: ToolArgument | None = None
    row_limits: RowLimits | None = None
    writes_files: bool = False
    more_rows_hint: str = ""
    tool_meta: Mapping[str, Any] = {}
    pages: Sequence[PageResource] = ()

    def check(self, value: Any, *, is_executed: bool) -> None:
        """Check the argument before a statement is run.

        Args:
            value: the value of the argument.
            is_executed: whether the call returns rows, not only SQL.

        Raises:
            PgmcpError: the feature cannot be used in this call.
        """

    async def attach(self, answer: "Answer", value: Any) -> "Answer":
        """Return the answer with the feature's addition. Called before the answer is cut to its budget.

        Raises:
            PgmcpError: the feature failed.
        """
        return answer

    async def extend(
        self, reply: "ToolReply", fitted: "FittedAnswer", value: Any, caller: "Caller"
    ) -> "ToolReply":
        """Return the reply with the feature's addition. Called after the answer was cut to its budget."""
        return reply

    async def close(self) -> None:
        """End all processes and tasks of the feature. Called when the server ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What one package adds.

    Attributes:
        name: the name of the package.
        extend_answers: makes the extension of the tools from the settings of the group `server`; None if the
            settings are not known or cannot be used.
        file_limits: returns the limits of a result that is written to a file.
        write_file: writes rows as "csv" or "parquet" to a file, and returns its size in bytes.
        server_settings: returns a model whose fields are added to the settings of the group `server`.
        answer_options: returns options of `pgmcp ask` and `pgmcp sql`.
        entry_options: returns options of `pgmcp install`.
        add_commands: adds commands to `pgmcp`.
        checks: returns checks of the machine for `pgmcp doctor`.
    """

    name: str
    extend_answers: Callable[["ServerSettings | None"], AnswerExtension] | None = None
    file_limits: Callable[["ServerSettings"], RowLimits] | None = None
    write_file: WriteFile | None = None
    server_settings: Callable[[], type["Section"]] | None = None
    answer_options: Callable[[], Iterable["AnswerOption"]] = tuple
    entry_options: Callable[[], Iterable["EntryOption"]] = tuple
    add_commands: Callable[["Typer"], None] | None = None
    checks: Callable[[], Iterable["NamedCheck"]] = tuple


@cache
def features() -> tuple[Feature, ...]:
    """Return the features whose packages exist."""
    return tuple(found for package in _PACKAGES if (found := _load(package)))


def has_feature(name: str) -> bool:
    """Return whether a feature's package exists."""
    return any(feature.name == name for feature in features())


def make_extensions(server: "ServerSettings | None" = None) -> tuple[AnswerExtension, ...]:
    """Return the extensions of the tools that return rows.

    Args:
        server: the settings of the group `server`; None if they are not known or cannot be used.
    """
    return tuple(feature.extend_answers(server) for feature in features() if feature.extend_answers)


def file_limits(server: "ServerSettings") -> RowLimits | None:
    """Return the limits of a result that is written to a file; None for the usual ones."""
    limits = [feature.file_limits(server) for feature in features() if feature.file_limits]
    return limits[0] if limits else None


def file_writer() -> WriteFile | None:
    """Return the function that writes rows to a file; None without the feature."""
    writers = [feature.write_file for feature in features() if feature.write_file]
    return writers[0] if writers else None


def how_to_install(extra: str) -> str:
    """Return the instruction that installs an optional part of pgmcp.

    It names no package of an index, because that name may belong to someone else. Without
    `--inexact`, uv would remove the extras that are already installed. Without `-e`, pip would replace an
    editable install by a copy.
    """
    with_uv, with_pip = f"uv sync --inexact --extra {extra}", f".venv/bin/pip install -e '.[{extra}]'"
    return f"in pgmcp's source folder, run `{with_uv}` or `{with_pip}`"


def _load(package: str) -> Feature | None:
    folder = f"pgmcp.{package}"
    try:
        found: Feature = import_module(f"{folder}.feature").FEATURE
    except ModuleNotFoundError as error:
        if error.name in (folder, f"{folder}.feature"):  # deleted
            return None
        raise
    return found
