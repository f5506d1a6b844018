import pytest

from pgmcp.plural import count_of


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")])
def test_a_count_of_one_has_a_singular_noun(number: int, text: str) -> None:
    assert count_of(number, "row") == text
