"""Limits for the text of arguments, checked by the pipeline and published in the schemas of tools."""

from typing import Final

MAX_QUESTION_CHARACTERS: Final = 8_000
"""A question is a few sentences; a pasted document would cost tokens on every attempt."""

MAX_SEARCH_CHARACTERS: Final = 8_000
"""Limit for the words of `search_schema`, of which only the first are used."""

MAX_SEARCHED_NAMES: Final = 200
MAX_TABLE_NAME_CHARACTERS: Final = 300
"""More than two quoted names of 63 characters with every quote doubled, and the dot between them."""
