"""Translates dbt's metrics to SQL; describes metrics in words if they need a calendar or a conversion.

Values are the same as in MetricFlow: a ratio is computed in double precision, a derived metric by its own
expression. Inputs from the same rows share one FROM; other inputs become scalar subqueries.
"""

# ruff: noqa: S608 - the statements made here pass the guards like any other

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.errors import SqlRejectedError
from pgmcp.knowledge.dbt_filters import templates_of, translate
from pgmcp.knowledge.dbt_models import FromClause, Models, SemanticModel, expression_of
from pgmcp.knowledge.entries import NotImportableError, in_words, items_of, mapping_of, name_of, text_of
from pgmcp.validation.expressions import read_expression

_MAX_DEPTH: Final = 20
_CALENDAR: Final = "needs a calendar, so it is not given as SQL"
_FORM_BY_AGGREGATE: Final = {
    "sum": "sum({})",
    "min": "min({})",
    "max": "max({})",
    "average": "avg({})",
    "avg": "avg({})",
    "count_distinct": "count(DISTINCT {})",
    # As in MetricFlow, the result without rows is NULL, not 0.
    "count": "sum(CASE WHEN {} IS NOT NULL THEN 1 ELSE 0 END)",
    "sum_boolean": "sum(CASE WHEN {} THEN 1 ELSE 0 END)",
    "median": "percentile_cont(0.5) WITHIN GROUP (ORDER BY {})",
}


class NeedsWordsError(NotImportableError):
    """A metric cannot be one SQL expression; the message defines the metric in words."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a metric.

    Attributes:
        expression: SQL.
        source: the text after FROM; "" if the expression contains its own subqueries.
        time: the column with the time, as table.column; "" if none is known.
    """

    expression: str
    source: str
    time: str = ""

    @property
    def scalar(self) -> str:
        """The value as an expression that needs no FROM."""
        return f"(SELECT {self.expression} FROM {self.source})" if self.source else f"({self.expression})"


@dataclass(frozen=True, slots=True)
class _Measure:
    """The measure of a simple metric."""

    model: SemanticModel
    aggregate: str
    expression: str
    parameters: Mapping[str, Any]
    time: str


class Metrics:
    """Computes the values of the metrics of one manifest."""

    def __init__(self, data: Mapping[str, Any], models: Models) -> None:
        self._models = models
        self._metrics = {name_of(metric): metric for metric in items_of(data.get("metrics"))}
        self._measures = {
            name_of(measure): (model, measure)
            for model in models.by_name.values()
            for measure in items_of(model.data.get("measures"))
        }

    def value(self, name: str, filters: Sequence[str] = (), depth: int = 0) -> Value:
        """Return the value of a metric under its own and additional filters.

        Raises:
            NeedsWordsError: the metric cannot be one SQL expression.
            NotImportableError: a part of the metric is unknown.
        """
        metric = self._metrics.get(name)
        if metric is None:
            raise NotImportableError(f"it uses the metric {name}, which the file lacks")
        if depth > _MAX_DEPTH:
            raise NotImportableError("its metrics use each other, or nest too deeply")
        parameters = mapping_of(metric.get("type_params"))
        filters = (*filters, *templates_of(metric.get("filter")))
        match text_of(metric.get("type")).lower():
            case "simple":
                return self._simple(metric, parameters, filters)
            case "ratio":
                return self._ratio(parameters, filters, depth)
            case "derived":
                return self._derived(parameters, filters, depth)
            case "cumulative":
                raise NeedsWordsError(_cumulative(parameters))
            case "conversion":
                raise NeedsWordsError(_conversion(parameters))
            case other:
                raise NotImportableError(f"its type {other!r} is unknown")

    def _simple(
        self, metric: Mapping[str, Any], parameters: Mapping[str, Any], filters: Sequence[str]
    ) -> Value:
        given = parameters.get("measure")
        measure_input = {"name": given} if isinstance(given, str) else mapping_of(given)
        for holder in (measure_input, parameters):
            if holder.get("join_to_timespine") is True or holder.get("fill_nulls_with") is not None:
                raise NeedsWordsError(f"it has a value for periods without rows, which {_CALENDAR}")
        measure = self._measure(metric, parameters, measure_input)
        if measure.parameters.get("non_additive_dimension"):
            raise NeedsWordsError(
                "it takes only the first or last rows of a period, so it is not given as SQL"
            )
        joined = FromClause(self._models, measure.model)
        templates = (*filters, *templates_of(measure_input.get("filter")))
        # Translated twice, because columns need a qualifier if any filter adds a join.
        for _ in range(2):
            conditions = [
                f"({translate(each, lambda element: joined.sql_of(element, measure.time))})"
                for each in templates
            ]
        expression = self._aggregate(measure, joined.write(measure.expression))
        if conditions:
            expression += f" FILTER (WHERE {' AND '.join(conditions)})"
        time = measure.model.dimension(measure.time)
        spelled = expression_of(time) if time else ""
        return Value(
            expression,
            joined.source,
            f"{self._models.tables.display_name(measure.model.table)}.{spelled}" if spelled else "",
        )

    def _measure(
        self, metric: Mapping[str, Any], parameters: Mapping[str, Any], measure_input: Mapping[str, Any]
    ) -> _Measure:
        if new := mapping_of(parameters.get("metric_aggregation_params")):
            model = self._models.get(text_of(new.get("semantic_model")))
            expression = text_of(new.get("expr")) or text_of(parameters.get("expr")) or name_of(metric)
            aggregate, holder = text_of(new.get("agg")), new
        else:
            name = text_of(measure_input.get("name"))
            if name not in self._measures:
                raise NotImportableError(
                    f"its measure {name or 'without a name'} is in no semantic model that was read"
                )
            model, holder = self._measures[name]
            aggregate, expression = text_of(holder.get("agg")), expression_of(holder)
        time = text_of(holder.get("agg_time_dimension")) or model.default_time
        return _Measure(model, aggregate.lower(), expression, holder, time)

    def _aggregate(self, measure: _Measure, expression: str) -> str:
        if measure.aggregate == "percentile":
            details = mapping_of(measure.parameters.get("agg_params"))
            share = text_of(details.get("percentile"))
            try:
                is_share = 0 <= float(share) <= 1
            except ValueError:
                is_share = False
            if not is_share:
                raise NotImportableError("its percentile is not between 0 and 1")
            kind = "disc" if details.get("use_discrete_percentile") is True else "cont"
            return f"percentile_{kind}({share}) WITHIN GROUP (ORDER BY {expression})"
        form = _FORM_BY_AGGREGATE.get(measure.aggregate)
        if form is None:
            raise NotImportableError(f"its aggregation {measure.aggregate!r} is unknown")
        return form.format(expression)

    def _ratio(self, parameters: Mapping[str, Any], filters: Sequence[str], depth: int) -> Value:
        top, bottom = (
            self._input(parameters.get(part), filters, depth) for part in ("numerator", "denominator")
        )
        form = "CAST({} AS double precision) / CAST(NULLIF({}, 0) AS double precision)"
        return _combine([top, bottom], lambda texts: form.format(*texts))

    def _derived(self, parameters: Mapping[str, Any], filters: Sequence[str], depth: int) -> Value:
        inputs = items_of(parameters.get("metrics"))
        names = [text_of(each.get("alias")) or name_of(each) for each in inputs]
        try:
            read = read_expression(text_of(parameters.get("expr")))
        except SqlRejectedError as error:
            raise NotImportableError(f"its expression is not a PostgreSQL expression: {error}") from error
        values = [self._input(each, filters, depth) for each in inputs]

        def write(texts: Sequence[str]) -> str:
            by_name = {name.lower(): text for name, text in zip(names, texts, strict=True)}

            def sql_of(parts: tuple[str, ...]) -> str:
                if len(parts) != 1 or parts[0].lower() not in by_name:
                    raise NotImportableError(
                        f"its expression names {'.'.join(parts)}, which is not one of its inputs"
                    )
                return by_name[parts[0].lower()]

            return read.replace(sql_of)

        return _combine(values, write)

    def _input(self, given: Any, filters: Sequence[str], depth: int) -> Value:
        data = {"name": given} if isinstance(given, str) else mapping_of(given)
        shift = data.get("offset_window") or data.get("offset_to_grain")
        if shift:
            raise NeedsWordsError(
                f"it compares {in_words(name_of(data))} of another period ({_window(shift)}), "
                f"which {_CALENDAR}"
            )
        return self.value(name_of(data), (*filters, *templates_of(data.get("filter"))), depth + 1)


def _combine(values: Sequence[Value], write: "Any") -> Value:
    """Return an expression of several values."""
    sources = {value.source for value in values}
    time = values[0].time if values and len({value.time for value in values}) == 1 else ""
    if len(sources) == 1 and "" not in sources:
        texts = [
            value.expression if _is_call(value.expression) else f"({value.expression})" for value in values
        ]
        return Value(write(texts), values[0].source, time)
    return Value(write([value.scalar for value in values]), "", time)


def _is_call(expression: str) -> bool:
    return expression.endswith(")") and expression.count("(") == 1 and expression[0].isalpha()


def _window(given: Any) -> str:
    if isinstance(given, dict):
        return f"{text_of(given.get('count'))} {text_of(given.get('granularity'))}".strip()
    return text_of(given)


def _cumulative(parameters: Mapping[str, Any]) -> str:
    details = mapping_of(parameters.get("cumulative_type_params"))
    given = details.get("metric") or parameters.get("measure")
    base = in_words(given if isinstance(given, str) else name_of(mapping_of(given)))
    total = f"running total of {base}" if base else "running total"
    if window := details.get("window") or parameters.get("window"):
        total += f" over the last {_window(window)}"
    elif grain := details.get("grain_to_date") or parameters.get("grain_to_date"):
        total += f" since the beginning of the {text_of(grain)}"
    return f"{total}; {_CALENDAR}"


def _conversion(parameters: Mapping[str, Any]) -> str:
    details = mapping_of(parameters.get("conversion_type_params"))

    def named(kind: str) -> str:
        given = details.get(f"{kind}_metric") or details.get(f"{kind}_measure")
        return in_words(given if isinstance(given, str) else name_of(mapping_of(given)))

    calculation = text_of(details.get("calculation")) or "conversion rate"
    words = f"{calculation} from {named('base')} to {named('conversion')}"
    if entity := text_of(details.get("entity")):
        words += f" of the same {entity}"
    if details.get("window"):
        words += f" within {_window(details.get('window'))}"
    return f"{words}; a conversion is not given as SQL"
