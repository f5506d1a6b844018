"""Searches for texts that crash the validator, make it slow, or pass it although they must be refused.

    uv run python -m scripts.fuzz_validator --seconds 600

Child processes validate the texts, because a crash ends the process. There are five kinds of text:

- attacks and honest statements with parts removed, doubled, swapped or wrapped;
- random sequences of the grammar's words;
- statements built from a grammar, with one forbidden call at a random place, which must be refused;
- known statements with other literals. There is a hole if two texts have the same template in
  `pgmcp.validation.memo`, and the validator remembers one as accepted and refuses the other;
- known statements with other names. There is a hole if two texts have the same outline in
  `pgmcp.validation.outline`, and sqlglot accepts only one of them.

For each text, the quick estimate in `pgmcp.validation.bounds` must accept nothing that the lexer refuses, and
the quick tokenizer for the second grammar must return the same tokens as sqlglot's tokenizer.

The seed is printed; the same seed gives the same texts.
"""

import argparse
import json
import multiprocessing
import secrets
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection
from typing import Final

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import FunctionPolicy, StatementKind, bounds, prepare_outlines, validate
from pgmcp.validation.memo import SPACES, template_of
from scripts.fuzz_texts import texts

MAX_CPU_S: Final = 0.2
"""The time limit for any text of up to 64 KB."""

_MAX_TEMPLATES: Final = 200_000


def judge(text: str, *, must_be_refused: bool) -> str:
    """Validate one text and return the outcome: "accepted", "refused", or what is wrong."""
    started_s = time.process_time()
    is_remembered = False
    try:
        statement = validate(text, functions=FunctionPolicy())
        outcome = "SLIPPED THROUGH" if must_be_refused else "accepted"
        is_remembered = statement.kind is StatementKind.QUERY and not statement.depends_on_literals
    except SqlRejectedError as error:
        # If the syntax is refused, the refusal does not show whether the validator finds the call.
        outcome = (
            "refused" if "pg_read_file" in str(error) or not must_be_refused else "refused for its syntax"
        )
    except Exception as error:
        outcome = f"RAISED {type(error).__name__}"
    if time.process_time() - started_s > MAX_CPU_S:
        return "TOOK TOO LONG"
    if not (_estimate_agrees(text) and _tokenizers_agree(text) and _outlines_agree(text)):
        return "SHORT CUT DISAGREES"
    return outcome if _agrees_with_siblings(text, outcome, is_remembered=is_remembered) else "MEMO DISAGREES"


def _estimate_agrees(text: str) -> bool:
    """Return whether the lexer and the quick estimate agree; true if the estimate has no result."""
    try:
        bounds._check_characters(text)
    except SqlRejectedError:
        return True
    quick = bounds._trim_shallow(text)
    try:
        return quick is None or bounds._trim_exactly(text)[0] == quick[0]
    except SqlRejectedError:
        return False


def _tokenizers_agree(text: str) -> bool:
    """Return whether both tokenizers give the same tokens; true if the quick one cannot read the text."""
    from pgmcp.validation import sqlglot_parser

    quick = None if sqlglot_parser._UNUSUAL_SYNTAX.search(text) else sqlglot_parser._tokenize_plain(text)
    if quick is None:
        return True
    tokens = sqlglot_parser._DIALECT.tokenize(text)
    return [(each.token_type, each.text, each.start, each.end) for each in quick] == [
        (each.token_type, each.text, each.start, each.end) for each in tokens
    ]


_readings: dict[str, bool] = {}


def _outlines_agree(text: str) -> bool:
    """Return whether sqlglot judges this text like the earlier texts with the same outline."""
    from pgmcp.validation import outline, second_opinion

    outlined = outline.outline_of(text.strip(SPACES))
    if outlined is None:
        return True
    try:
        is_read = not second_opinion._other_than_one_read(second_opinion._parse(text.strip(SPACES)))
    except Exception:  # cannot be compared
        return True
    if len(_readings) > _MAX_TEMPLATES:
        _readings.clear()
    return _readings.setdefault(outlined, is_read) == is_read


_verdicts: dict[str, set[str]] = {}


def _agrees_with_siblings(text: str, outcome: str, *, is_remembered: bool) -> bool:
    """Return False if one text of a template was remembered as accepted, and another one was refused."""
    template = template_of(text.strip(SPACES))  # other spaces are letters to PostgreSQL
    if template is None or outcome not in ("accepted", "refused"):
        return True
    if len(_verdicts) > _MAX_TEMPLATES:
        _verdicts.clear()
    verdicts = _verdicts.setdefault(template, set())
    verdicts.add("remembered" if is_remembered else outcome)
    return not {"remembered", "refused"} <= verdicts


def _judge_all(pipe: Connection) -> None:
    prepare_outlines()
    while True:
        text, must_be_refused = pipe.recv()
        pipe.send(judge(text, must_be_refused=must_be_refused))


class Child:
    """A process that validates texts. If it dies, a new one takes its place."""

    def __init__(self) -> None:
        self._start()

    def judge(self, text: str, must_be_refused: bool) -> str:
        """Return the outcome of a text."""
        try:
            self._pipe.send((text, must_be_refused))
            if self._pipe.poll(10):
                return str(self._pipe.recv())
            outcome = "HUNG"
        except (EOFError, OSError):
            outcome = "DIED"
        self.close()
        self._start()
        return outcome

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_judge_all, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._pipe.send(("select 1", False))  # loads the grammars before a text is timed
        self._pipe.recv()


def main() -> int:
    """Fuzz for a given time; return 1 if anything was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the run")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="repeat an earlier run")
    arguments = parser.parse_args()
    child = Child()
    counts: Counter[str] = Counter()
    until_s = time.monotonic() + arguments.seconds
    for text, must_be_refused in texts(arguments.seed):
        outcome = child.judge(text, must_be_refused)
        counts[outcome] += 1
        if outcome[:2].isupper():
            sys.stdout.write(f"{outcome}: {json.dumps(text)}\n")
        if time.monotonic() > until_s:
            break
    child.close()
    sys.stdout.write(f"seed {arguments.seed}: {dict(counts)}\n")
    return int(any(outcome[:2].isupper() for outcome in counts))


if __name__ == "__main__":
    sys.exit(main())
