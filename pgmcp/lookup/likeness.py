"""How alike two words are, for near misses of names and values: shared trigrams of their folded forms."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from pgmcp.catalog.identifiers import split_words

T = TypeVar("T")

NEAR_ENOUGH = 0.3
"""Share of trigrams, as pg_trgm's default threshold."""


def fold(text: str) -> str:
    """Return the form in which texts are equal that differ in case, spacing and separators alone."""
    return " ".join(split_words(text)).casefold()


def trigrams(folded: str) -> frozenset[str]:
    """Return the trigrams of a folded text, words padded at both ends as pg_trgm does."""
    padded = [f"  {word} " for word in folded.split()]
    return frozenset(word[start : start + 3] for word in padded for start in range(len(word) - 2))


def likeness(one: str, other: str) -> float:
    """Return 1.0 for texts that fold to the same, less the fewer trigrams they share; 0.0 for none.

    A text within the other counts as near, however much longer that is: "Motors" and "Ford Motors".
    """
    one, other = fold(one), fold(other)
    if one == other:
        return 1.0
    if not one or not other:
        return 0.0
    ours, theirs = trigrams(one), trigrams(other)
    shared = len(ours & theirs) / len(ours | theirs)
    is_within = min(len(one), len(other)) >= 3 and (one in other or other in one)
    return min(0.99, max(shared, 0.5 + shared / 2 if is_within else 0.0))


def nearest(text: str, candidates: Iterable[T], *, limit: int, spell: Callable[[T], str]) -> list[T]:
    """Return the candidates most like `text`, the nearest first; none that is not alike at all.

    Args:
        spell: the text of a candidate.
    """
    scored = [(likeness(text, spell(candidate)), candidate) for candidate in candidates]
    near = [pair for pair in scored if pair[0] >= NEAR_ENOUGH]
    near.sort(key=lambda pair: pair[0], reverse=True)
    return [candidate for _, candidate in near[:limit]]
