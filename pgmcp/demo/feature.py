"""Registers the demo: `pgmcp demo`, `pgmcp install --demo`, and a check of `pgmcp doctor`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pgmcp.features import Feature

if TYPE_CHECKING:
    from typer import Typer

    from pgmcp.cli.doctor.report import NamedCheck
    from pgmcp.cli.options import EntryOption


def _add_commands(app: "Typer") -> None:
    from pgmcp.demo.command_line import add_commands

    add_commands(app)


def _entry_options() -> "Iterable[EntryOption]":
    from pgmcp.demo.command_line import ENTRY_OPTION

    return [ENTRY_OPTION]


def _checks() -> "Iterable[NamedCheck]":
    from pgmcp.demo.command_line import CACHE_CHECK, check_cache_folder

    return [(CACHE_CHECK, check_cache_folder)]


FEATURE: Final = Feature(
    name="demo", add_commands=_add_commands, entry_options=_entry_options, checks=_checks
)
