"""Parses names in SQL, and splits names into words."""

import re

_WORD = re.compile(r"[^\W_]+")
# fooBar, HTTPServer, item2, 2nd
_WORD_START = re.compile(
    r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)


def parse_name(name: str) -> tuple[str, ...]:
    """Split `schema.table` at dots outside double quotes, and remove the quotes.

    Case is preserved: people and models copy the spelling they saw, with or without quotes.
    """
    parts = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', name.strip())
    return tuple(quoted.replace('""', '"') or plain.strip() for quoted, plain in parts)


def split_words(name: str) -> list[str]:
    """Return the words of a snake_case or camelCase name, or of a sentence, in lower case."""
    return [word.lower() for word in _WORD.findall(_WORD_START.sub(" ", name))]


def singular(word: str) -> str:
    """Return the approximate singular of an English plural; return other words unchanged."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
