"""Measures the similarity of names and values, by shared trigrams of their folded forms."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from pgmcp.catalog.identifiers import split_words

T = TypeVar("T")

MIN_SIMILARITY = 0.3
"""Minimum similarity of a near text; pg_trgm's default threshold."""


def fold(text: str) -> str:
    """Return a form in which texts are equal if they differ only in case, spacing and separators."""
    return " ".join(split_words(text)).casefold()


def trigrams(folded: str) -> frozenset[str]:
    """Return the trigrams of a folded text, with words padded as in pg_trgm."""
    padded = [f"  {word} " for word in folded.split()]
    return frozenset(word[start : start + 3] for word in padded for start in range(len(word) - 2))


def similarity(one: str, other: str) -> float:
    """Return the similarity of two texts, from 0.0 (no shared trigram) to 1.0 (same folded form).

    A text that is part of the other counts as similar, whatever their lengths: "Motors" and "Ford Motors".
    """
    one, other = fold(one), fold(other)
    if one == other:
        return 1.0
    if not one or not other:
        return 0.0
    one_trigrams, other_trigrams = trigrams(one), trigrams(other)
    shared = len(one_trigrams & other_trigrams) / len(one_trigrams | other_trigrams)
    is_within = min(len(one), len(other)) >= 3 and (one in other or other in one)
    return min(0.99, max(shared, 0.5 + shared / 2 if is_within else 0.0))


def nearest(text: str, candidates: Iterable[T], *, limit: int, text_of: Callable[[T], str]) -> list[T]:
    """Return the candidates most similar to `text`, most similar first, without dissimilar ones.

    Args:
        text_of: returns the text of a candidate.
    """
    scored = [(similarity(text, text_of(candidate)), candidate) for candidate in candidates]
    near = [pair for pair in scored if pair[0] >= MIN_SIMILARITY]
    near.sort(key=lambda pair: pair[0], reverse=True)
    return [candidate for _, candidate in near[:limit]]
