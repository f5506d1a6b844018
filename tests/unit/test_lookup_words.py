import pytest

from pgmcp.lookup.similarity import fold, nearest, similarity
from pgmcp.lookup.words import Vocabulary, is_abbreviation, stem


@pytest.mark.parametrize(
    ("short", "word"),
    [
        ("emp", "employee"),
        ("dept", "department"),
        ("qty", "quantity"),
        ("inv", "invoice"),
        ("acct", "account"),
    ],
)
def test_abbreviations_are_beginnings_of_words_or_words_without_vowels(short: str, word: str) -> None:
    assert is_abbreviation(short, word)


@pytest.mark.parametrize(
    ("short", "word"),
    [
        ("contact", "contract"),
        ("order", "orders"),
        ("em", "employee"),
        ("ate", "date"),
        ("tdp", "department"),
    ],
)
def test_unrelated_words_are_not_taken_for_abbreviations(short: str, word: str) -> None:
    assert not is_abbreviation(short, word)


def test_forms_of_a_word_share_a_stem() -> None:
    assert stem("orders") == stem("ordered") == stem("ordering") == stem("order")
    assert stem("categories") == stem("category")
    assert stem("sales") != stem("sample")


def test_a_word_is_found_in_other_forms_parts_abbreviations_and_other_words() -> None:
    vocabulary = Vocabulary(["customers", "sbcustomer", "cust", "clients", "cat"])

    weights = vocabulary.matches(["customer"])

    assert weights.keys() == {"customer", "customers", "sbcustomer", "cust", "clients"}
    assert weights["customers"] > weights["cust"] > weights["sbcustomer"]


def test_a_repeated_word_counts_as_its_best_match() -> None:
    weights = Vocabulary(["vendors"]).matches(["supplier", "vendor"])

    assert weights["vendors"] == weights["vendor"] == 1.0


@pytest.mark.parametrize("one", ["New York", "new_york", "NEW  YORK", "newYork", "new-york"])
def test_similarity_ignores_case_spacing_and_separators(one: str) -> None:
    assert fold(one) == "new york"
    assert similarity(one, "New York") == 1.0


def test_the_most_similar_text_comes_first_and_dissimilar_ones_are_left_out() -> None:
    values = ["cancelled", "shipped", "Shipped late", "paid"]

    assert nearest("SHIPED", values, limit=5, text_of=str) == ["shipped", "Shipped late"]


def test_a_text_within_another_is_similar_to_it() -> None:
    assert similarity("Ford", "Ford Motor Company of Canada") > 0.5


@pytest.mark.parametrize(("one", "other"), [("", "x"), ("--", "x"), ("abc", "xyz")])
def test_texts_without_common_parts_are_not_similar(one: str, other: str) -> None:
    assert similarity(one, other) == 0.0
