import pytest

from pgmcp.lookup.likeness import fold, likeness, nearest


@pytest.mark.parametrize("one", ["New York", "new_york", "NEW  YORK", "newYork", "new-york"])
def test_case_spacing_and_separators_do_not_matter(one: str) -> None:
    assert fold(one) == "new york"
    assert likeness(one, "New York") == 1.0


def test_the_most_similar_comes_first_and_dissimilar_ones_are_left_out() -> None:
    values = ["cancelled", "shipped", "Shipped late", "paid"]

    assert nearest("SHIPED", values, limit=5, spell=str) == ["shipped", "Shipped late"]


def test_a_text_within_another_is_near_it() -> None:
    assert likeness("Ford", "Ford Motor Company of Canada") > 0.5


@pytest.mark.parametrize(("one", "other"), [("", "x"), ("--", "x"), ("abc", "xyz")])
def test_texts_without_common_parts_are_not_similar(one: str, other: str) -> None:
    assert likeness(one, other) == 0.0
