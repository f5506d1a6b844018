"""Bounds on the text of arguments: the pipeline checks them, tools publish them in their schemas."""

from typing import Final

MAX_QUESTION_CHARACTERS: Final = 8_000
"""A question is a few sentences; a pasted document would be paid for on every attempt."""

MAX_SEARCH_CHARACTERS: Final = 8_000
"""Of the words that `search_schema` looks for; only the first of them count."""

MAX_SEARCHED_NAMES: Final = 200
MAX_TABLE_NAME_CHARACTERS: Final = 300
"""More than two quoted names of 63 characters with every quote doubled, and the dot between them."""
