"""What `pgmcp doctor` finds of the machine; a worker's start is tested in test_execution_probe.py."""

import sys

import pytest
import tiktoken

from pgmcp.cli.doctor.machine import check_guards, check_program, check_token_ranks
from pgmcp.cli.doctor.report import Status
from pgmcp.tokens import TokenCounter


def test_the_program_is_shown_with_its_path_for_hosts() -> None:
    result = check_program()

    assert result.status is Status.OK
    assert result.text.endswith(f"hosts can start it as {sys.executable} -P -m pgmcp")


@pytest.mark.anyio
async def test_an_existing_encoding_file_is_reported() -> None:
    encoding = tiktoken.Encoding("bytes", pat_str=".", mergeable_ranks={b"a": 0}, special_tokens={})

    result = await check_token_ranks(TokenCounter("any", load=lambda model: encoding))

    assert result.status is Status.OK


@pytest.mark.anyio
async def test_a_missing_encoding_file_is_a_warning_with_a_hint() -> None:
    def fail(model: str) -> tiktoken.Encoding:
        raise OSError("no network")

    result = await check_token_ranks(TokenCounter("any", load=fail))

    assert result.status is Status.WARN
    assert "estimated" in result.text
    assert "TIKTOKEN_CACHE_DIR" in result.hint


@pytest.mark.anyio
async def test_the_guards_pass_their_self_test() -> None:
    result = await check_guards()

    assert result.status is Status.OK
    assert "both grammars" in result.text
