"""Computes the figures of an evaluation, as JSON values."""

import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from math import comb, sqrt
from typing import Any, Final, TypeVar

from pgmcp.errors import ErrorCode
from pgmcp.evaluation.contestants import UNANSWERABLE, PgmcpContestant, PlainPrompt
from pgmcp.evaluation.run import JudgedAttempt, Outcome, Result, Verdict

_Z_95: Final = 1.96

_CAUSED_BY_SQL: Final = frozenset(
    {
        ErrorCode.REJECTED,
        ErrorCode.UNANSWERABLE,
        ErrorCode.MODEL_REPLY,
        ErrorCode.STATEMENT_FAILED,
        ErrorCode.TOO_EXPENSIVE,
        ErrorCode.RESULT_TOO_LARGE,
        ErrorCode.INVALID_ARGUMENT,
    }
)
"""Errors that the SQL, the model's reply or the question causes."""

Key = TypeVar("Key", bound=Hashable)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the whole report."""
    results = outcome.results
    names = names_of(results)
    return {
        "contestants": {name: summary(attempts_of(results, name)) for name in names},
        "categories": {
            category: {name: summary(attempts_of(of_category, name)) for name in names}
            for category, of_category in group(results, lambda result: result.question.category).items()
        },
        "paired": paired(results),
        "plausible_but_wrong": {
            name: [result.question.id for result in plausible_but_wrong(results, name)] for name in names
        },
        "questions": [_question(result) for result in results],
        "skipped": [{"id": each.question.id, "why": each.why} for each in outcome.skipped],
    }


def share_right(outcome: Outcome) -> float:
    """Return the share of questions that pgmcp answered right; skipped ones count as not right."""
    count = len(outcome.results) + len(outcome.skipped)
    right = sum(each.verdict is Verdict.RIGHT for each in attempts_of(outcome.results, PgmcpContestant.name))
    return right / count if count else 0.0


def without_answer(outcome: Outcome) -> list[str]:
    """Return the ids of questions to which the model or the database gave no answer.

    Their result says nothing about the SQL. An error that the SQL or the model's reply caused is a result.
    """
    failed = [
        result.question.id
        for result in outcome.results
        if any(_is_outage(judged.attempt.error) for judged in result.attempts.values())
    ]
    return failed + [each.question.id for each in outcome.skipped if _is_outage(each.error)]


def _is_outage(error: str) -> bool:
    return error != "" and error not in _CAUSED_BY_SQL


def plausible_but_wrong(results: Iterable[Result], name: str) -> list[Result]:
    """Return the results in which a contestant gave wrong rows and no note that warns a reader."""
    return [
        result
        for result in results
        if (judged := result.attempts[name]).verdict is Verdict.WRONG and not judged.attempt.notes
    ]


def names_of(results: Sequence[Result]) -> list[str]:
    """Return the names of the contestants."""
    return list(results[0].attempts) if results else []


def attempts_of(results: Iterable[Result], name: str) -> list[JudgedAttempt]:
    """Return the attempts of a contestant."""
    return [result.attempts[name] for result in results]


def group(results: Sequence[Result], key: Callable[[Result], Key]) -> dict[Key, list[Result]]:
    """Return the results by a key, in order of appearance."""
    groups: dict[Key, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def summary(attempts: Sequence[JudgedAttempt]) -> dict[str, Any]:
    """Return the figures of one contestant."""
    usages = [judged.attempt.usage for judged in attempts]
    verdicts = {str(verdict): sum(each.verdict is verdict for each in attempts) for verdict in Verdict}
    low, high = _interval(verdicts["right"], len(attempts))
    return {
        "questions": len(attempts),
        **verdicts,
        "rightly_refused": sum(
            each.verdict is Verdict.RIGHT and each.attempt.error == UNANSWERABLE for each in attempts
        ),
        "wrong_without_note": sum(
            each.verdict is Verdict.WRONG and not each.attempt.notes for each in attempts
        ),
        "accuracy": round(verdicts["right"] / len(attempts), 4),
        "accuracy_95": [round(low, 3), round(high, 3)],
        "verified": sum(each.attempt.source == "verified" for each in attempts),
        "repaired": sum(each.attempt.source == "repaired" for each in attempts),
        "noted": sum(bool(each.attempt.notes) for each in attempts),
        "calls": sum(usage.calls for usage in usages),
        "most_calls": max(usage.calls for usage in usages),
        "tokens_in": sum(usage.tokens_in for usage in usages),
        "tokens_cached": sum(usage.tokens_cached for usage in usages),
        "tokens_out": sum(usage.tokens_out for usage in usages),
        "median_tokens_in": statistics.median(usage.tokens_in for usage in usages),
        "p50_ms": round(statistics.median(each.attempt.elapsed_ms for each in attempts), 1),
        "most_ms": round(max(each.attempt.elapsed_ms for each in attempts), 1),
    }


def paired(results: Sequence[Result]) -> dict[str, Any]:
    """Return how many questions were answered right by both contestants, by one of them and by neither.

    {} if there is only one contestant.
    """
    if set(names_of(results)) != {PgmcpContestant.name, PlainPrompt.name}:
        return {}
    counts = {"both right": 0, "only pgmcp": 0, "only the plain prompt": 0, "neither": 0}
    what = {(True, True): "both right", (True, False): "only pgmcp", (False, True): "only the plain prompt"}
    for result in results:
        right = tuple(
            result.attempts[name].verdict is Verdict.RIGHT
            for name in (PgmcpContestant.name, PlainPrompt.name)
        )
        counts[what.get((right[0], right[1]), "neither")] += 1
    return {**counts, "p": round(_sign_test(counts["only pgmcp"], counts["only the plain prompt"]), 4)}


def _sign_test(only_one: int, only_other: int) -> float:
    """Return how likely a difference at least this large is by chance (McNemar's test, exact, two-sided)."""
    count, fewer = only_one + only_other, min(only_one, only_other)
    tail = sum(comb(count, number) for number in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**count))


def _interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson)."""
    share, spread = right / count, _Z_95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z_95 * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _question(result: Result) -> dict[str, Any]:
    question = result.question
    return {
        "id": question.id,
        "database": question.database,
        "question": question.text,
        "category": question.category,
        **{name: _judged(judged) for name, judged in result.attempts.items()},
    }


def _judged(judged: JudgedAttempt) -> dict[str, Any]:
    attempt = judged.attempt
    return {
        "verdict": str(judged.verdict),
        "why": judged.why,
        "code": attempt.error,
        "source": attempt.source,
        "sql": attempt.sql,
        "notes": list(attempt.notes),
        "calls": attempt.usage.calls,
        "tokens_in": attempt.usage.tokens_in,
        "tokens_cached": attempt.usage.tokens_cached,
        "tokens_out": attempt.usage.tokens_out,
        "elapsed_ms": round(attempt.elapsed_ms, 1),
    }
