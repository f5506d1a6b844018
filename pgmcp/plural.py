"""Writes counts for people: 1 row, 2 rows. All packages may import this module."""


def count_of(number: int, noun: str) -> str:
    """Return the number with the noun, which gets an "s" unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
