"""A question with two readings, and the ways in which a client can answer which reading it means.

This file uses only the standard library, because the drivers in this folder run it in separate environments.
"""

from typing import Any

QUESTION = "How many customers are active?"
USUAL, OTHER = "ordered at all", "ordered this year"

ANSWERS: dict[str, dict[str, Any] | None] = {
    "chosen": {"action": "accept", "content": {"reading": OTHER}},
    "empty": {"action": "accept", "content": {}},
    "foreign": {"action": "accept", "content": {"reading": "no such reading"}},
    "declined": {"action": "decline"},
    "cancelled": {"action": "cancel"},
    "error": None,
}
"""The results with which a client answers `elicitation/create`; None means an error."""

Heard = dict[str, dict[str, Any]]
"""The offered titles and the structured content of the call, by kind of answer."""


def check_heard(heard: Heard, *, kinds: tuple[str, ...] = tuple(ANSWERS)) -> None:
    """Fail unless a choice gives the rows of the chosen reading, and any other answer those of the usual one.

    With the rows of the usual reading, the follow-up must be the title of the other reading.
    """
    assert set(heard) == set(kinds)
    for kind, found in heard.items():
        answer = found["answer"]
        assert found.get("offered") == [USUAL, OTHER, "None of these"], (kind, answer)
        if kind == "chosen":
            assert (answer["rows"], answer["assumptions"]) == ([[2]], [f"you chose: {OTHER}"])
        else:
            assert (answer["rows"], answer["assumptions"]) == ([[1]], [USUAL]), kind
            assert answer["follow_up"] == [OTHER], kind
