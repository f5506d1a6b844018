import pytest

from pgmcp.execution.cheap_shapes import CheapShapes

LOOKUP = b"select name from orders where id = 17 and status = 'paid'"


@pytest.mark.parametrize(
    ("sql", "is_known"),
    [
        (LOOKUP, True),
        (b"select name from orders where id = 8 and status = 'due, or not'", True),
        (b"select name from orders where id = 17", False),
        (b"select name from orders2 where id = 17 and status = 'paid'", False),
        (LOOKUP + b" " * 20_000, False),
    ],
)
def test_statements_that_differ_in_literals_have_one_shape(sql: bytes, is_known: bool) -> None:
    shapes = CheapShapes()
    shapes.add(LOOKUP)
    shapes.add(b"select 1" + b" " * 20_000)

    assert shapes.knows(sql) is is_known


def test_a_shape_can_be_forgotten() -> None:
    shapes = CheapShapes()
    shapes.add(LOOKUP)

    shapes.forget(LOOKUP)

    assert not shapes.knows(LOOKUP)


def test_the_shapes_used_last_are_kept() -> None:
    shapes = CheapShapes()
    shapes.add(LOOKUP)
    for number in range(600):
        shapes.add(b"select a%d" % number)
        assert shapes.knows(LOOKUP)

    assert not shapes.knows(b"select a0")
