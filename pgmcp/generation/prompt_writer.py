"""Chooses what fits into one prompt: parts of the schema, and of the operator's notes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from heapq import nlargest
from typing import Final

from pgmcp.catalog.catalog import Catalog
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.prompt import Attempt, Message, PromptFacts, build_messages
from pgmcp.generation.verified import word_similarity
from pgmcp.lookup.prompt_tables import Selection, select_for_prompt, select_whole
from pgmcp.lookup.value_hints import hint_values

MAX_EXAMPLES: Final = 3

MIN_SCHEMA_TOKENS: Final = 500
"""Tokens that are always reserved for the schema; without a schema, the model cannot answer."""

# The schema may not use these shares of the budget. The first is for the operator's notes, and is smaller if
# they are short. The second is for lines about values.
_CONTEXT_SHARE = 0.25
_VALUE_HINTS_SHARE = 0.05
_HINTS_FENCE_TOKENS = 30


class PromptWriter:
    """Writes prompts for one model.

    Args:
        max_tokens: limit of one prompt.
        count_tokens: counts tokens as the model does.
    """

    def __init__(self, *, max_tokens: int, count_tokens: Callable[[str], int]) -> None:
        self._max_tokens = max_tokens
        self._count_tokens = count_tokens

    def write(
        self,
        question: str,
        catalog: Catalog,
        context: DatabaseContext,
        *,
        today: date,
        max_rows: int,
        attempts: Sequence[Attempt] = (),
        found_values: Sequence[str] = (),
        reading: str = "",
    ) -> list[Message]:
        """Return the conversation for a question, within `max_tokens` if possible.

        The first call for a schema of thousands of tables takes a second: do not call it on the event loop.

        Args:
            today: in the database's time zone.
            max_rows: the maximum number of rows that the caller sees.
            attempts: earlier attempts for this question, oldest first.
            found_values: lines about values found in the data; they follow the lines from the catalog.
            reading: how the question should be read; "" leaves it to the model.
        """
        facts = PromptFacts(
            question=question,
            schema_text="",
            server_version=catalog.server_version,
            today=today,
            time_zone=catalog.time_zone,
            max_rows=max_rows,
            attempts=tuple(attempts),
            reading=reading,
        )
        facts, schema = self._with_schema(facts, catalog, context)
        hinted = [*hint_values(catalog, question, shown=schema.tables), *found_values]
        left_tokens = self._left(facts) - _HINTS_FENCE_TOKENS
        hints = self._fit(list(dict.fromkeys(hinted)), left_tokens)
        return self._build(replace(facts, value_hints=tuple(hints)))

    def count(self, messages: Sequence[Message]) -> int:
        """Return the number of tokens of a conversation."""
        return sum(self._count_tokens(message["content"]) for message in messages)

    def _build(self, facts: PromptFacts) -> list[Message]:
        return build_messages(facts)

    def _left(self, facts: PromptFacts) -> int:
        return self._max_tokens - self.count(self._build(facts))

    def _with_schema(
        self, facts: PromptFacts, catalog: Catalog, context: DatabaseContext
    ) -> tuple[PromptFacts, Selection]:
        """Add the schema and the operator's notes.

        If the whole schema fits, its text does not depend on the question, so that the prompt begins with the
        same text for all questions. Otherwise, the question decides which tables are shown.
        """
        hints_tokens = int(self._max_tokens * _VALUE_HINTS_SHARE)
        context_tokens = int(self._max_tokens * _CONTEXT_SHARE)
        reserved_tokens = hints_tokens + min(context_tokens, self._count_context(context))
        unasked = replace(facts, question="", attempts=(), reading="")
        whole = select_whole(
            catalog, token_budget=self._left(unasked) - reserved_tokens, count_tokens=self._count_tokens
        )
        if whole is not None:
            with_schema = replace(facts, schema_text=whole.text)
            if (left_tokens := self._left(with_schema) - hints_tokens) >= 0:
                return self._with_context(with_schema, context, left_tokens), whole
        # The schema is too large, or the question and the earlier attempts are too long.
        facts = self._with_context(facts, context, context_tokens)
        schema = select_for_prompt(
            catalog,
            facts.question,
            token_budget=max(self._left(facts) - hints_tokens, MIN_SCHEMA_TOKENS),
            count_tokens=self._count_tokens,
        )
        return replace(facts, schema_text=schema.text), schema

    def _count_context(self, context: DatabaseContext) -> int:
        """Return the maximum tokens of the operator's notes in a prompt."""
        lines = [
            f"- {name}: {text}\n"
            for texts in (context.terms, context.filters, context.notes, dict.fromkeys(context.joins, ""))
            for name, text in texts.items()
        ]
        examples = nlargest(
            MAX_EXAMPLES, (f"{each.question}\n{each.sql}\n" for each in context.verified), len
        )
        return self._count_tokens("".join([*lines, *examples])) if lines or examples else 0

    def _with_context(self, facts: PromptFacts, context: DatabaseContext, left_tokens: int) -> PromptFacts:
        """Add the operator's notes within `left_tokens`, most relevant first."""
        question = facts.question
        examples = []
        for verified in context.nearest(question, MAX_EXAMPLES):
            cost_tokens = self._count_tokens(f"Question: {verified.question}\nSQL: {verified.sql}\n\n")
            if cost_tokens <= left_tokens:
                left_tokens -= cost_tokens
                examples.append(verified)
        kept: list[dict[str, str]] = []
        for texts in (context.terms, context.filters, context.notes, dict.fromkeys(context.joins, "")):
            kept.append(self._nearest(question, texts, left_tokens))
            left_tokens -= sum(self._count_tokens(f"- {name}: {text}\n") for name, text in kept[-1].items())
        terms, filters, notes, joins = kept
        return replace(
            facts,
            examples=tuple(examples),
            terms=terms,
            filters=filters,
            notes=notes,
            joins=tuple(joins),
        )

    def _nearest(self, question: str, texts: Mapping[str, str], budget_tokens: int) -> dict[str, str]:
        """Return the texts that fit, in their original order; relevant ones are chosen first."""
        by_nearness = sorted(
            texts, key=lambda name: word_similarity(question, f"{name} {texts[name]}"), reverse=True
        )
        lines = {f"- {name}: {texts[name]}\n": name for name in by_nearness}
        fitting = {lines[line] for line in self._fit(lines, budget_tokens)}
        return {name: text for name, text in texts.items() if name in fitting}

    def _fit(self, lines: "Sequence[str] | Mapping[str, str]", budget_tokens: int) -> list[str]:
        """Return the lines that fit, in order."""
        fitting = []
        for line in lines:
            cost_tokens = self._count_tokens(line) + 1
            if cost_tokens <= budget_tokens:
                budget_tokens -= cost_tokens
                fitting.append(line)
        return fitting
