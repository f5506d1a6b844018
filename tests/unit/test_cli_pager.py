"""When output goes to a pager, and to which."""

import io
from collections.abc import Mapping

import pytest

from pgmcp.cli.pager import LongOutputPager, choose_pager, run_pager


def find(program: str) -> str | None:
    return f"/usr/bin/{program}" if program in ("less", "most") else None


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, ["less"]),
        ({"PAGER": "less -X"}, ["less", "-X"]),
        ({"PAGER": "most"}, ["most"]),
        ({"PAGER": ""}, None),
        ({"PAGER": "cat"}, None),
        ({"PAGER": "missing"}, None),
        ({"PAGER": "less 'x"}, None),
    ],
)
def test_the_environment_chooses_the_pager(environment: dict[str, str], command: list[str] | None) -> None:
    assert choose_pager(environment, find) == command


@pytest.mark.parametrize(("lines", "is_paged"), [(9, False), (10, True)])
def test_only_text_that_does_not_fit_is_paged(lines: int, is_paged: bool) -> None:
    out, paged = io.StringIO(), []

    def run(command: list[str], text: str, environ: Mapping[str, str]) -> None:
        paged.append(text)

    LongOutputPager(out, 10, {"PAGER": "sh"}, run).show("a\n" * lines)

    assert (paged == ["a\n" * lines], out.getvalue() == "a\n" * lines) == (is_paged, not is_paged)


def test_without_a_usable_pager_the_text_is_printed() -> None:
    out = io.StringIO()

    def fail(command: list[str], text: str, environ: Mapping[str, str]) -> None:
        raise PermissionError

    LongOutputPager(out, 1, {"PAGER": "sh"}, fail).show("a\nb\n")

    assert out.getvalue() == "a\nb\n"


def test_leaving_the_pager_early_is_not_a_failure() -> None:
    run_pager(["true"], "x" * 1_000_000, {})
