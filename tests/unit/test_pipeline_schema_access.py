"""A task runs on several databases, some of which do not answer."""

import asyncio

import anyio
import pytest

from pgmcp.errors import DeadlineExceededError
from pgmcp.pipeline.schema_access import run_on_each

pytestmark = pytest.mark.anyio


async def answer_unless_dead(name: str) -> str:
    if name == "dead":
        await asyncio.Event().wait()
    return name.upper()


async def test_a_database_that_does_not_answer_delays_the_others_only_briefly() -> None:
    with anyio.fail_after(10):
        outcome = await run_on_each(
            ["dead", "shop", "sales"], answer_unless_dead, timeout_s=1000, patience_s=0.01
        )

    assert outcome.results == {"shop": "SHOP", "sales": "SALES"}
    assert "within 0.01 s of another database's" in str(outcome.errors["dead"])
    assert outcome.errors["dead"].database == "dead"
    assert "name this database" in outcome.errors["dead"].hint


async def test_if_no_database_answers_the_search_ends_at_the_time_limit() -> None:
    with anyio.fail_after(10), pytest.raises(DeadlineExceededError, match=r"could not be read within 0.01 s"):
        await run_on_each(["dead"], answer_unless_dead, timeout_s=0.01, patience_s=5)
