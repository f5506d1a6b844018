"""Checks the server's settings in `options` of a connection string, as far as all servers agree on them."""

import re
from collections.abc import Iterator
from typing import Final

_ARGUMENT: Final = re.compile(r"(?:\\.|[^\\\s])+", re.DOTALL)
_NUMBER: Final = r"\s*\+?(?:0[xX][0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_TIME: Final = re.compile(rf"{_NUMBER}(?:us|ms|s|min|h|d)?\s*", re.ASCII)
_MEMORY: Final = re.compile(rf"{_NUMBER}(?:B|kB|MB|GB|TB)?\s*", re.ASCII)
_BOOLEAN_WORDS: Final = ("true", "false", "yes", "no", "on", "off")
_FLAGS: Final = frozenset("EeFijlnOPsT")
_FLAGS_WITH_ARGUMENT: Final = frozenset("BCDdfhkNprStvW")
_EXPECTED: Final = "options takes -c NAME=VALUE for each setting"

_TIMES_TEXT: Final = """
statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout transaction_timeout
"""
_MEMORIES_TEXT: Final = "work_mem maintenance_work_mem temp_buffers effective_cache_size"
_BOOLEANS_TEXT: Final = """
default_transaction_read_only transaction_read_only default_transaction_deferrable row_security jit
standard_conforming_strings
"""
_WORDS_BY_NAME: Final = {
    "default_transaction_isolation": (
        "serializable",
        "repeatable read",
        "read committed",
        "read uncommitted",
    ),
    "intervalstyle": ("postgres", "postgres_verbose", "sql_standard", "iso_8601"),
    "bytea_output": ("escape", "hex"),
}
_TIMES: Final = frozenset(_TIMES_TEXT.split())
_MEMORIES: Final = frozenset(_MEMORIES_TEXT.split())
_BOOLEANS: Final = frozenset(_BOOLEANS_TEXT.split())


def options_problem(text: str) -> str:
    """Return the first certain problem in a value of `options`; "" if there is none.

    The server splits it at spaces, and a backslash escapes the next character (pg_split_opts). Names of
    settings are not checked, because they depend on the server's version and extensions.
    """
    return next(
        _problems([re.sub(r"\\(.)", r"\1", each, flags=re.DOTALL) for each in _ARGUMENT.findall(text)]), ""
    )


def _problems(arguments: list[str]) -> Iterator[str]:
    pending = iter(arguments)
    for argument in pending:
        if argument.startswith("--"):
            yield from _setting_problems(argument[2:])
        elif argument.startswith("-c"):
            yield from _setting_problems(argument[2:] or next(pending, ""))
        elif argument[0] != "-" or argument == "-":
            yield from _word_problems(argument)
        elif argument[1] not in _FLAGS | _FLAGS_WITH_ARGUMENT:
            yield f"{_EXPECTED}; it contains an unknown flag"
        elif argument[1] in _FLAGS_WITH_ARGUMENT and len(argument) == 2:
            next(pending, "")


def _word_problems(word: str) -> Iterator[str]:
    """Yield the problem with a word without -c; proxies such as Neon's read words like `endpoint=NAME`."""
    name, equals, _ = word.partition("=")
    if not equals:
        yield f"{_EXPECTED}; write a space inside of a value as \\ and a space"
    elif name.lower() in _TIMES | _MEMORIES | _BOOLEANS | _WORDS_BY_NAME.keys():
        yield f"{_EXPECTED}; {name.lower()} has no -c before it"


def _setting_problems(setting: str) -> Iterator[str]:
    name, equals, value = setting.partition("=")
    if not equals:
        yield f"{_EXPECTED}; one has no value"
    elif problem := _value_problem(name.replace("-", "_").lower(), value):
        yield f"options: {problem}"


def _value_problem(name: str, value: str) -> str:
    if name in _TIMES and not _TIME.fullmatch(value):
        return f"{name} takes a number with us, ms, s, min, h or d, such as 5s"
    if name in _MEMORIES and not _MEMORY.fullmatch(value):
        return f"{name} takes a number with B, kB, MB, GB or TB, such as 64MB"
    if name in _BOOLEANS and not _is_boolean(value.lower()):
        return f"{name} takes on or off"
    allowed = _WORDS_BY_NAME.get(name)
    if allowed and value.lower() not in allowed:
        return f"{name} takes {', '.join(allowed)}"
    return ""


def _is_boolean(value: str) -> bool:
    if value in ("1", "0"):
        return True
    shortest = 2 if value.startswith("o") else 1
    return len(value) >= shortest and any(word.startswith(value) for word in _BOOLEAN_WORDS)
