import pytest

from pgmcp.validation.plpgsql import read_plpgsql


@pytest.mark.parametrize(
    "body",
    [
        "BEGIN x :",
        "BEGIN FOR i IN",
        "BEGIN FOR i IN a.",
        "BEGIN " + "IF a THEN " * 400 + "NULL; " + "END IF; " * 400 + "END",
    ],
    ids=["assignment", "loop", "range", "deep"],
)
def test_a_body_that_ends_early_or_nests_too_deep_has_no_clear_structure(body: str) -> None:
    assert read_plpgsql(body) is None


def test_a_loop_may_begin_with_another_loop() -> None:
    found = read_plpgsql("BEGIN LOOP LOOP EXIT WHEN done(); END LOOP; EXIT; END LOOP; END")

    assert found is not None
    assert [len(found.roots), found.rest] == [1, []]
