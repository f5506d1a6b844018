from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from pgmcp.errors import InvalidArgumentError
from pgmcp.surface.arguments import ArgumentReader


class Example(Struct, kw_only=True, frozen=True):
    """One argument of every kind."""

    sql: Annotated[str, Meta(description="a statement")]
    count: Annotated[int | None, Meta(description="how many")] = None
    is_drawn: bool = False
    order: Literal["up", "down", "as_it_is"] = "up"
    names: list[str] | None = None
    export: str | None = None


@pytest.fixture
def reader() -> ArgumentReader[Example]:
    return ArgumentReader(Example, {"export": "name a folder"})


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"count": "7"}, Example(sql="x", count=7)),
        ({"count": " 7 "}, Example(sql="x", count=7)),
        ({"count": 7.0}, Example(sql="x", count=7)),
        ({"count": ""}, Example(sql="x")),
        ({"count": "null"}, Example(sql="x")),
        ({"is_drawn": "True"}, Example(sql="x", is_drawn=True)),
        ({"is_drawn": 1}, Example(sql="x", is_drawn=True)),
        ({"is_drawn": None}, Example(sql="x")),
        ({"order": "DOWN"}, Example(sql="x", order="down")),
        ({"order": ""}, Example(sql="x")),
        ({"names": "a"}, Example(sql="x", names=["a"])),
        ({"names": "a, b"}, Example(sql="x", names=["a", "b"])),
        ({"names": '"a, b"'}, Example(sql="x", names=['"a, b"'])),
        ({"names": '["a, b", 7]'}, Example(sql="x", names=["a, b", "7"])),
        ({"names": []}, Example(sql="x")),
        ({"export": None}, Example(sql="x")),
        ({"sql": ""}, Example(sql="")),
    ],
)
def test_values_of_a_similar_type_are_converted(
    given: dict[str, Any], read: Example, reader: ArgumentReader[Example]
) -> None:
    assert reader.read({"sql": "x", **given}) == (read, ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"count": "many"}, 'count: expected an integer, got "many"'),
        ({"count": True}, "count: expected an integer, got true"),
        ({"count": "1e400"}, "count: expected an integer"),
        ({"count": "9" * 5_000}, "count: expected an integer"),
        ({"count": 2**63}, "count: expected an integer of 64 bits"),
        ({"count": -1e308}, "count: expected an integer of 64 bits"),
        ({"is_drawn": "perhaps"}, 'is_drawn: expected true or false, got "perhaps"'),
        ({"order": "sideways"}, 'order: expected "up", "down" or "as_it_is", got "sideways"'),
        ({"order": ["up"]}, 'order: expected "up", "down" or "as_it_is"'),
        ({"names": {"a": 1}}, "names: expected a list of strings"),
        ({"names": [["a"]]}, "names: expected a list of strings"),
        ({"names": "[" * 100_000}, "names: expected a list of strings"),
        ({"sql": 5}, "sql: expected a string, got 5"),
        ({"sql": None}, "sql: expected a string, got null"),
        ({"export": "csv"}, "export is not offered here"),
        ({"cuont": 5}, "unknown argument 'cuont'"),
        ({"isDrawn": True}, "unknown argument 'isDrawn'"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_with_the_expected_one(
    given: dict[str, Any], expected: str, reader: ArgumentReader[Example]
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        reader.read({"sql": "x", **given})

    assert expected in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_missing_required_argument_is_refused(reader: ArgumentReader[Example]) -> None:
    with pytest.raises(InvalidArgumentError, match="sql: field required"):
        reader.read({})


def test_a_missing_required_argument_names_the_unknown_ones(reader: ArgumentReader[Example]) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        reader.read({"query": "select 1"})

    assert "'query': this tool takes sql" in refused.value.hint


def test_an_unknown_argument_is_noted(reader: ArgumentReader[Example]) -> None:
    read, notes = reader.read({"sql": "x", "wait_for_previous": True, "task": {}})

    assert read == Example(sql="x")
    assert notes == (
        "ignored the unknown arguments 'wait_for_previous', 'task': "
        "this tool takes sql, count, is_drawn, order, names",
    )


def test_the_schema_says_what_is_offered_in_few_words(reader: ArgumentReader[Example]) -> None:
    assert reader.schema({"count": {"minimum": 1}}) == {
        "type": "object",
        "properties": {
            "sql": {"type": "string", "description": "a statement"},
            "count": {"type": "integer", "description": "how many", "minimum": 1},
            "is_drawn": {"type": "boolean", "default": False},
            "order": {"type": "string", "enum": ["up", "down", "as_it_is"], "default": "up"},
            "names": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["sql"],
    }
