"""No regular expression of pgmcp repeats a group possessively: CPython before 3.11.5 matches that wrongly."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_parser: Any = importlib.import_module("re._parser")  # private, and the only parser of these expressions
_constants: Any = importlib.import_module("re._constants")
_ONE_CHARACTER = (_constants.IN, _constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY)

_ROOT = Path(__file__).parents[2]
_MODULES = [
    ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("pgmcp", "worker")
    for path in sorted((_ROOT / package).rglob("*.py"))
    if path.stem != "__main__"
]


def _repeats_group_possessively(pattern: str, flags: int = 0) -> bool:
    pending: list[Any] = [_parser.parse(pattern, flags)]
    while pending:
        node = pending.pop()
        if isinstance(node, tuple) and node and _is_possessive_group(*node[:2]):
            return True
        if isinstance(node, _parser.SubPattern | list | tuple):
            pending.extend(node)
    return False


def _is_possessive_group(operation: Any, arguments: Any = None) -> bool:
    if operation is _constants.POSSESSIVE_REPEAT:
        repeated = arguments[2]
        return len(repeated) != 1 or repeated[0][0] not in _ONE_CHARACTER
    return operation is _constants.ATOMIC_GROUP


def _patterns(module: ModuleType) -> Iterator[tuple[str, int]]:
    """Yield the patterns that a module has compiled, and those that it passes to functions of `re`.

    In the latter, a value that is not a global variable is replaced by "x".
    """
    for value in vars(module).values():
        if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
            yield value.pattern, value.flags
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("re"), attr=name), args=[argument, *_]):
                if name != "escape":
                    yield _value(argument, vars(module)), re.VERBOSE if "VERBOSE" in ast.dump(node) else 0


def _value(argument: ast.expr, names: dict[str, Any]) -> str:
    if isinstance(argument, ast.JoinedStr):
        return "".join(_value(part, names) for part in argument.values)
    if isinstance(argument, ast.FormattedValue):
        argument = argument.value
    try:
        return str(eval(compile(ast.Expression(argument), "pattern", "eval"), dict(names)))  # noqa: S307
    except NameError:
        return "x"


@pytest.mark.parametrize("name", _MODULES)
def test_no_expression_repeats_a_group_possessively(name: str) -> None:
    module = importlib.import_module(name)

    assert [text for text, flags in _patterns(module) if _repeats_group_possessively(text, flags)] == []


@pytest.mark.parametrize(
    "pattern", ["(?:ab)++", "(?:a|bc)*+", "(a)?+", "(?>ab)", "x(?:y(?:ab){2}+)*", "(?=(?>ab))"]
)
def test_the_check_finds_a_possessive_group(pattern: str) -> None:
    assert _repeats_group_possessively(pattern)


@pytest.mark.parametrize("pattern", ["a++", "[ab]*+", ".?+", "(?:a++|b)*", r"\s++"])
def test_possessive_repetition_of_a_character_is_allowed(pattern: str) -> None:
    assert not _repeats_group_possessively(pattern)
