"""Limits the size of arguments. The pipeline checks the limits; the tools' schemas publish most of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pgmcp.errors import InvalidArgumentError
from pgmcp.execution.result import RowLimits

MAX_QUESTION_CHARACTERS: Final = 8_000
"""A question has a few sentences; a pasted document would cost model tokens at each attempt."""

MAX_READING_CHARACTERS: Final = 300
"""Several times the longest title of a reading."""

MAX_SEARCH_CHARACTERS: Final = 8_000
"""Maximum length of the argument `text` of `search_schema`, of which only the first words are used."""

MAX_SEARCHED_NAMES: Final = 200
MAX_TABLE_NAME_CHARACTERS: Final = 300
"""More than two quoted names of 63 characters with every quote doubled, and the dot between them."""


def checked_question(question: str) -> str:
    """Return the question without white space at its ends.

    Raises:
        InvalidArgumentError: it is empty or too long.
    """
    text = question.strip()
    if not text:
        raise InvalidArgumentError("the question is empty", hint="ask what you want to know")
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise InvalidArgumentError(
            f"the question has {len(text)} characters",
            hint=f"a question may have up to {MAX_QUESTION_CHARACTERS} characters",
        )
    return text


def checked_reading(reading: str) -> str:
    """Return the reading of a question in one line.

    Raises:
        InvalidArgumentError: it is too long.
    """
    text = " ".join(reading.split())
    if len(text) > MAX_READING_CHARACTERS:
        raise InvalidArgumentError(
            f"reading has {len(text)} characters",
            hint=f"reading may have up to {MAX_READING_CHARACTERS} characters; use one from follow_up",
        )
    return text


def check_search(text: str, names: Sequence[str]) -> None:
    """Refuse a search that is longer than a person or model would write, because it would only cost time.

    Raises:
        InvalidArgumentError: the text, the list or a name in it is too long.
    """
    if len(text) > MAX_SEARCH_CHARACTERS:
        raise InvalidArgumentError(
            f"text has {len(text)} characters",
            hint=f"text may have up to {MAX_SEARCH_CHARACTERS} characters: a few words to look for",
        )
    if len(names) > MAX_SEARCHED_NAMES:
        raise InvalidArgumentError(
            f"tables has {len(names)} names", hint=f"ask for up to {MAX_SEARCHED_NAMES} tables at once"
        )
    longest = max((len(name) for name in names), default=0)
    if longest > MAX_TABLE_NAME_CHARACTERS:
        raise InvalidArgumentError(
            f"a name in tables has {longest} characters",
            hint=f"a name may have up to {MAX_TABLE_NAME_CHARACTERS} characters, as table or schema.table",
        )


def limited_rows(most: RowLimits, limit: int | None) -> RowLimits:
    """Return the limits of a result, with the row limit that the caller asks for.

    Args:
        most: the configured limits.
        limit: the caller's row limit; None for the configured one.

    Raises:
        InvalidArgumentError: the caller's limit is below 1, or above the configured one.
    """
    if limit is None:
        return most
    if not 1 <= limit <= most.max_rows:
        raise InvalidArgumentError(
            f"limit is {limit}", hint=f"limit takes a number of rows from 1 to {most.max_rows}"
        )
    return replace(most, max_rows=limit)
