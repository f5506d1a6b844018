"""Which measures of a result its question asks for, by the words they share."""

from collections.abc import Sequence
from typing import Final

from pgmcp.charts.columns import Reading, split_words


def find_asked(measures: Sequence[Reading], question: str) -> list[Reading]:
    """Return those of `measures` that a question names best, in their order; all if it names none.

    A measure is passed over where another shares the same words with the question and more: "average
    order value" asks for `average_order_value`, not for `orders`. "orders and revenue" asks for both.
    """
    asked = _find_words(question)
    shared = [_find_words(measure.name) & asked for measure in measures]
    return [
        measure
        for measure, words in zip(measures, shared, strict=True)
        if not any(words < others for others in shared)
    ]


def _find_words(text: str) -> frozenset[str]:
    """Return the words that mean something, without the s of a plural."""
    return frozenset(word.removesuffix("s") for word in split_words(text) if word not in _SMALL_WORDS)


_SMALL_WORDS: Final = frozenset(
    {
        "a", "all", "and", "as", "at", "by", "each", "for", "from", "in", "is", "of", "on", "or", "per", "s",
        "the", "to",
    }
)  # fmt: skip
