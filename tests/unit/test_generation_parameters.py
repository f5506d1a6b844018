import pytest

from pgmcp.errors import InvalidArgumentError, SettingsError
from pgmcp.generation.parameters import Parameter, ParameterKind

DATE = Parameter(ParameterKind.DATE, minimum="2020-01-01", maximum="2030-12-31")
INTEGER = Parameter(ParameterKind.INTEGER, minimum="1", maximum="100", default="10")
NUMBER = Parameter(ParameterKind.NUMBER, minimum="-0.5")
TEXT = Parameter(ParameterKind.TEXT, max_length=8)
STATUS = Parameter(ParameterKind.TEXT, choices=("paid", "shipped"), description="Of the order")
VALUE = Parameter(ParameterKind.VALUE, "customers.full_name")


@pytest.mark.parametrize(
    ("parameter", "value", "argument", "literal"),
    [
        (DATE, "2026-11-22", "2026-11-22", "date '2026-11-22'"),
        (INTEGER, 5, "5", "5"),
        (INTEGER, "5", "5", "5"),
        (INTEGER, 5.0, "5", "5"),
        (Parameter(ParameterKind.INTEGER), -3, "-3", "(-3)"),
        (NUMBER, 1e-7, "0.0000001", "0.0000001"),
        (NUMBER, "2.50", "2.50", "2.50"),
        (NUMBER, -0.5, "-0.5", "(-0.5)"),
        (TEXT, "O'Brien", "O'Brien", "'O''Brien'"),
        (TEXT, "\\' or 1", "\\' or 1", "E'\\\\'' or 1'"),
        (TEXT, 42, "42", "'42'"),
        (STATUS, "Paid", "paid", "'paid'"),
        (VALUE, "Ann Lee", "Ann Lee", "'Ann Lee'"),
    ],
)
def test_a_value_becomes_one_literal(
    parameter: Parameter, value: object, argument: str, literal: str
) -> None:
    assert parameter.read("p", value) == argument
    assert parameter.literal(argument) == literal


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        (DATE, "2026-02-30", 'p: expected a date such as 2026-01-31, got "2026-02-30"'),
        (DATE, "22.11.2026", "expected a date"),
        (DATE, None, "expected a date such as 2026-01-31, got null"),
        (DATE, 20260101, "expected a date"),
        (DATE, "2019-12-31", "2019-12-31 is less than 2020-01-01"),
        (DATE, "2031-01-01", "2031-01-01 is greater than 2030-12-31"),
        (INTEGER, 0, "0 is less than 1"),
        (INTEGER, 101, "101 is greater than 100"),
        (INTEGER, 1.5, "expected an integer"),
        (INTEGER, True, "expected an integer, got true"),
        (INTEGER, 2**63, "expected an integer"),
        (INTEGER, "1; drop table t", "expected an integer"),
        (NUMBER, float("nan"), "expected a number"),
        (NUMBER, float("inf"), "expected a number"),
        (NUMBER, "1e400", "expected a number"),
        (NUMBER, [], "expected a number, got []"),
        (TEXT, "nine char", "it has 9 characters; at most 8 are allowed"),
        (TEXT, "a\nb", "expected text"),
        (TEXT, "a\0b", r'expected text, got "a\u0000b"'),
        (TEXT, "a\u202eb", "expected text"),
        (TEXT, {}, "expected text"),
        (STATUS, "lost", "lost is not one of paid, shipped"),
    ],
)
def test_a_value_of_another_type_or_out_of_bounds_is_refused(
    parameter: Parameter, value: object, words: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parameter.read("p", value)

    assert words in str(caught.value)


def test_the_schema_has_type_bounds_and_description() -> None:
    assert DATE.schema() == {
        "type": "string", "format": "date", "description": "from 2020-01-01 until 2030-12-31",
    }  # fmt: skip
    assert INTEGER.schema() == {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
    assert NUMBER.schema() == {"type": "number", "minimum": -0.5}
    assert TEXT.schema() == {"type": "string", "maxLength": 8}
    assert STATUS.schema() == {"type": "string", "description": "Of the order", "enum": ["paid", "shipped"]}
    assert VALUE.schema() == {
        "type": "string", "description": "a value of customers.full_name", "maxLength": 100,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (Parameter(ParameterKind.TEXT, minimum="1"), "min and max are bounds of a date or a number"),
        (Parameter(ParameterKind.INTEGER, minimum="9", maximum="1"), "min 9 is greater than max 1"),
        (Parameter(ParameterKind.INTEGER, minimum="one"), 'min is "one", expected an integer'),
        (Parameter(ParameterKind.DATE, maximum="soon"), 'max is "soon", expected a date'),
        (Parameter(ParameterKind.INTEGER, maximum="5", default="6"), "default: 6 is greater than 5"),
        (Parameter(ParameterKind.TEXT, choices=("a",), default="b"), "default: b is not one of a"),
        (Parameter(ParameterKind.DATE, choices=("2026-01-01",)), "enum is not for dates"),
        (Parameter(ParameterKind.TEXT, choices=("a",) * 51), "enum has 51 entries"),
        (Parameter(ParameterKind.TEXT, max_length=0), "max_length is not between"),
        (Parameter(ParameterKind.TEXT, description="x" * 201), "the description has 201 characters"),
    ],
)
def test_contradictory_bounds_are_refused(parameter: Parameter, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parameter.check()

    assert words in str(caught.value)


@pytest.mark.parametrize("parameter", [DATE, INTEGER, NUMBER, TEXT, STATUS, VALUE])
def test_the_sample_of_a_parameter_is_an_allowed_argument(parameter: Parameter) -> None:
    assert parameter.read("p", parameter.sample) == parameter.sample
