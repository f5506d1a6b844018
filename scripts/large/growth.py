"""Generates tables like those of a twenty-year-old schema. The same seed gives the same schema.

The tables that questions are about are written by hand in `core.txt` and do not change. The generated
tables are details, copies, staging tables, reports and logs of machines. They use the same words and the same
naming styles as those in `core.txt`, as in a real schema. They do not depend on how pgmcp searches.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from pgmcp.catalog.identifiers import split_words
from scripts.large.company import ColumnSpec, Company, TableSpec, type_of

# Details that large systems store about nearly every subject: the name of the detail, and its columns.
_DETAILS: Final = """
status history: old_status; new_status; changed_at; changed_by
note: note_text; written_by; written_at; is_internal
attachment: file_name; mime_type; size_bytes:bigint; uploaded_at
approval: approver; step_no:integer; decided_at; decision; remark
approval rule: min_amount; max_amount; approver_role; valid_from
line tax: tax_code; tax_base_amount; tax_amount; jurisdiction
adjustment: reason_code; adjusted_amount; adjusted_at; posted
allocation: share_pct:numeric(5,2); allocated_amount; allocated_at
type: type_code; type_name; sort_no:integer; is_active
category: category_code; category_name; parent_code
group: group_code; group_name; owner
group member: group_code; joined_at; left_at
tag: tag; tagged_at; tagged_by
translation: language_code; field_name; translated_text
import batch: file_name; started_at; finished_at; row_count; error_count
import error: batch_no; line_no; error_text; raw_line
export queue: target_system; queued_at; sent_at; attempts:integer
interface log: direction; message_id:text; logged_at; payload
change log: field_name; old_value; new_value; changed_at; changed_by
lock: locked_by; locked_at; session_key
subscription: subscriber; channel; since_date
notification: recipient; sent_at; read_at; subject
reminder: remind_at; sent_at; text
schedule: planned_at; repeat_rule; next_run_at
calendar: calendar_day:date; is_working_day; note_text
exception: exception_code; raised_at; resolved_at; severity
dispute: opened_at; closed_at; reason_code; disputed_amount
contact: contact_name; phone; email; role
address: street; postal_code; city; country_code; valid_from
bank detail: iban; bic; holder; valid_from
document: document_no:text; document_type; issued_at; storage_key
signature: signed_by; signed_at; method
permission: role_name; may_read:boolean; may_write:boolean
setting: setting_key; setting_value; updated_at
template: template_name; body; language_code
sequence: prefix; last_number:bigint
forecast: period_start:date; forecast_quantity; forecast_amount; model_version
plan version: version_no:integer; approved_at; comment_text
target: period_start:date; target_amount; owner
cost estimate: estimated_cost; actual_cost; currency_code
price history: old_price; new_price; changed_at
discount: discount_code; discount_pct:numeric(5,2); valid_from; valid_to
fee: fee_code; fee_amount; charged_at
commission: beneficiary; commission_amount; paid_at
penalty: penalty_code; penalty_amount; waived_at
limit: limit_type; limit_amount; valid_from
checklist: item_text; checked_at; checked_by
inspection: inspected_at; inspector; result
measurement: measured_at; measure; value:numeric(14,4); unit
sample: sample_no:text; taken_at; lab_result
certificate: certificate_no:text; issued_on; expires_on
warranty: starts_on; ends_on; terms_text
recall: announced_on; scope_text; closed_on
survey: sent_at; answered_at; score:integer
feedback: given_at; rating:integer; remark
relation: related_key:bigint; relation_type; since_date
merge log: kept_key:bigint; dropped_key:bigint; merged_at
duplicate candidate: other_key:bigint; similarity:numeric(4,3); decided_at
quality score: score:numeric(5,2); computed_at; rule_set
daily summary: summary_day:date; row_count; total_amount
monthly summary: summary_month:date; row_count; total_amount; average_amount
snapshot: taken_at; payload
correction: corrected_at; corrected_by; reason_text
cancellation: cancelled_at; cancelled_by; reason_code
request: requested_at; requested_by; state
delegation: delegate; from_date; to_date
"""
_DETAIL_COMMENTS: Final = (
    "{detail} of {subject}",
    "{subject}: {detail}, one row each",
    "keeps each {detail} of a {subject} record",
    "see the manual, chapter {subject}",
)
_COLUMN_COMMENTS: Final = {
    "changed_at": "when it was changed, in UTC",
    "reason_code": "code from the reason catalogue",
    "currency_code": "ISO 4217",
    "country_code": "ISO 3166-1 alpha-2",
    "valid_from": "first day it holds",
    "valid_to": "last day it holds, empty while it does",
    "state": "see the state model",
    "posted": "1 when it is in the general ledger",
    "decision": "A approved, R rejected, P pending",
    "payload": "as received",
    "score": "higher is better",
    "severity": "1 worst to 5",
    "tax_code": "code of the tax authority",
    "external_ref": "key in the system it came from",
    "org_unit_id": "organisational unit that owns the record",
    "source_system": "system the record came from",
    "is_active": "false once it is no longer in use",
    "priority": "1 highest to 5 lowest",
    "language_code": "ISO 639-1",
    "legal_entity_code": "company of the group",
    "batch_no": "number of the nightly batch that wrote it",
    "checksum": "MD5 over the business columns",
    "responsible_person": "login name",
    "unit_code": "unit of measure, UN/ECE recommendation 20",
    "created_at": "set by the application, in UTC",
    "created_by": "login name of who made the record",
    "created_by_id": "user who made the record",
    "crt_dt": "creation date",
    "crt_usr": "creation user",
    "upd_dt": "date of last change",
    "upd_usr": "user of last change",
    "src_sys_cd": "source system",
    "row_version": "counts up with every change",
}
_ABBREVIATIONS: Final = {
    "account": "acct", "address": "addr", "adjustment": "adj", "allocation": "alloc", "amount": "amt",
    "approval": "appr", "attachment": "att", "average": "avg", "cancellation": "cancl", "category": "cat",
    "certificate": "cert", "change": "chg", "code": "cd", "commission": "comm", "correction": "corr",
    "currency": "curr", "customer": "cust", "date": "dt", "department": "dept", "description": "desc",
    "discount": "disc", "document": "doc", "employee": "emp", "exception": "exc", "forecast": "fcst",
    "group": "grp", "history": "hist", "inspection": "insp", "interface": "intf", "invoice": "inv",
    "limit": "lmt", "line": "ln", "measurement": "meas", "message": "msg", "notification": "notif",
    "number": "no", "order": "ord", "payment": "pmt", "permission": "perm", "quality": "qual",
    "quantity": "qty", "reminder": "rmd", "request": "req", "schedule": "sched", "sequence": "seq",
    "status": "sts", "subscription": "subs", "summary": "sum", "template": "tmpl", "type": "typ",
    "version": "ver", "warranty": "wrty",
}  # fmt: skip
_COPY_ENDINGS: Final = (
    "_archive", "_arch", "_old", "_bak", "_backup", "_copy", "_tmp", "_hist", "_aud", "_log", "_v1", "_v2",
    "_2016", "_2017", "_2018", "_2019", "_2020", "_2021", "_2022", "_2023", "_20190312", "_bak_20210704",
    "_2022_q3", "_2023_01", "_2023_02", "_migr", "_test", "_delta", "_new", "_ext",
)  # fmt: skip
_COPY_BEGINNINGS: Final = ("old_", "tmp_", "bak_", "x_", "zz_", "del_")
_SOURCES: Final = ("sap", "salesforce", "shopify", "datev", "workday", "navision", "as400", "jira")
_SANDBOXES: Final = ("sandbox_anna", "sandbox_bi", "sandbox_mkt", "tmp_migration")
_MEASURES: Final = ("temperature", "pressure", "vibration", "current", "speed", "humidity", "flow", "torque")

_SHARES: Final = {"details": 0.47, "copies": 0.20, "elsewhere": 0.20, "warehouse": 0.05, "machines": 0.08}
_COMMENTED_TABLES, _COMMENTED_COLUMNS = 0.45, 0.6

# The last columns of every table of a department.
_HOUSEKEEPING: Final = {
    "plural": "created_at; updated_at",
    "singular": "created_at; created_by; changed_at; changed_by; row_version:integer",
    "abbreviated": "crt_dt; crt_usr; upd_dt; upd_usr; src_sys_cd",
    "camel": "CreatedAt; CreatedById; LastModifiedAt; LastModifiedById; IsDeleted:boolean",
    "cryptic": "chgusr; chgdat:date",
}
# Further columns, which only some details have.
_EXTRAS: Final = (
    "external_ref", "org_unit_id", "remark", "source_system", "is_active", "valid_from", "valid_to", "url",
    "language_code", "currency_code", "legal_entity_code", "batch_no", "sort_no:integer", "checksum", "state",
    "responsible_person", "approved_at", "quantity", "amount", "unit_code", "description", "version_no",
    "priority",
)  # fmt: skip
_DECLARED_BY_NAMING: Final = {
    "plural": 0.8,
    "singular": 0.9,
    "abbreviated": 0.4,
    "camel": 0.95,
    "cryptic": 0.0,
}


def grow(company: Company, table_count: int, *, seed: int = 1) -> list[TableSpec]:
    """Return `table_count` tables, those of `core.txt` first; partitions are not counted."""
    random = Random(seed)  # noqa: S311 - the same tables every time, not secrets
    tables = {
        (table.schema, table.name): _with_housekeeping(table, company, random) for table in company.tables
    }
    missing = table_count - len(tables)
    details = [table for table in _details(company, random) if (table.schema, table.name) not in tables]
    random.shuffle(details)
    _add(tables, details, int(missing * _SHARES["details"]))
    originals = list(tables.values())
    growths: tuple[tuple[str, Callable[[Sequence[TableSpec], Random], Iterator[TableSpec]]], ...] = (
        ("copies", _copies),
        ("elsewhere", _copies_elsewhere),
        ("warehouse", _reports),
        ("machines", _machines),
    )
    for name, growth in growths:
        _add(tables, growth(originals, random), int(missing * _SHARES[name]))
    _add(tables, _copies(originals, random), table_count - len(tables))
    return list(tables.values())[:table_count]


def _add(tables: dict[tuple[str, str], TableSpec], new: Iterable[TableSpec], count: int) -> None:
    """Add a number of new tables whose names are not used yet."""
    end = len(tables) + count
    for table in new:
        if len(tables) >= end:
            return
        tables.setdefault((table.schema, table.name), table)


def _details(company: Company, random: Random) -> Iterator[TableSpec]:
    details = [line.split(": ") for line in _DETAILS.strip().splitlines()]
    for subject, (words, columns) in itertools.product(company.tables, details):
        yield _detail(subject, words, columns, company.naming_by_schema[subject.schema], random)


def _detail(subject: TableSpec, words: str, columns: str, naming: str, random: Random) -> TableSpec:
    singular = [*_singular_words(subject.name), *words.split()]
    reference = ColumnSpec(
        subject.columns[0].name,
        "bigint",
        target=(subject.schema, subject.name),
        is_declared=random.random() < _DECLARED_BY_NAMING[naming],
    )
    key = ColumnSpec(_spell_key(singular, naming), "bigint")
    own = [*columns.split("; "), *random.sample(_EXTRAS, random.randint(0, 4))]
    is_commented = random.random() < _COMMENTED_TABLES
    written = [_column(text, naming, is_commented, random) for text in own]
    house = [_column(text, "", is_commented, random) for text in _HOUSEKEEPING[naming].split("; ")]
    comment = random.choice(_DETAIL_COMMENTS).format(detail=words, subject=" ".join(singular))
    unique = {column.name: column for column in (key, reference, *written, *house)}
    name = _SPELLERS[naming](singular)
    return TableSpec(subject.schema, name, tuple(unique.values()), comment if is_commented else "")


def _with_housekeeping(table: TableSpec, company: Company, random: Random) -> TableSpec:
    texts = _HOUSEKEEPING[company.naming_by_schema[table.schema]].split("; ")
    names = {column.name for column in table.columns}
    house = [_column(text, "", bool(table.comment), random) for text in texts]
    return replace(table, columns=(*table.columns, *(column for column in house if column.name not in names)))


def _column(text: str, naming: str, is_commented: bool, random: Random) -> ColumnSpec:
    """Return the column for the text "name:type", spelled in a naming style; "" keeps the name."""
    name, _, type_ = text.partition(":")
    comment = _COLUMN_COMMENTS.get(name, "") if is_commented and random.random() < _COMMENTED_COLUMNS else ""
    spelled = _SPELLERS["singular" if naming == "plural" else naming](name.split("_")) if naming else name
    return ColumnSpec(spelled, type_ or type_of(name), comment)


def _singular_words(name: str) -> list[str]:
    words = split_words(name)
    return [
        *words[:-1],
        re.sub(r"ies$", "y", words[-1]) if words[-1].endswith("ies") else _without_plural_s(words[-1]),
    ]


def _without_plural_s(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _spell_key(words: list[str], naming: str) -> str:
    key = "no" if naming == "cryptic" else "id"
    return _SPELLERS["singular" if naming == "plural" else naming]([*words, key])


def _spell_plural(words: list[str]) -> str:
    last = words[-1]
    plural = f"{last[:-1]}ies" if last.endswith("y") else last if last.endswith("s") else f"{last}s"
    return "_".join([*words[:-1], plural])


def _spell_singular(words: list[str]) -> str:
    return "_".join(words)


def _spell_abbreviated(words: list[str]) -> str:
    return "_".join(_ABBREVIATIONS.get(word, word) for word in words)


def _spell_camel(words: list[str]) -> str:
    return "".join(word.capitalize() for word in words)


def _spell_cryptic(words: list[str]) -> str:
    """Abbreviate each word to three letters, as in systems that limited the length of names."""
    return "".join(word[0] + re.sub("[aeiou]", "", word[1:])[:2] for word in words)


_SPELLERS: Final[dict[str, Callable[[list[str]], str]]] = {
    "plural": _spell_plural,
    "singular": _spell_singular,
    "abbreviated": _spell_abbreviated,
    "camel": _spell_camel,
    "cryptic": _spell_cryptic,
}


def _copies(originals: Sequence[TableSpec], random: Random) -> Iterator[TableSpec]:
    """Yield copies of tables in the same schema, without end."""
    while True:
        original = random.choice(originals)
        if random.random() < 0.9:
            name = original.name + random.choice(_COPY_ENDINGS)
        else:
            name = random.choice(_COPY_BEGINNINGS) + original.name
        yield _copy(original, original.schema, name, random)


def _copies_elsewhere(originals: Sequence[TableSpec], random: Random) -> Iterator[TableSpec]:
    """Yield copies in schemas for archives, loading and experiments, without end."""
    while True:
        original = random.choice(originals)
        place = random.random()
        if place < 0.4:
            yield _copy(original, "archive", original.name, random)
        elif place < 0.8:
            source = random.choice(_SOURCES)
            yield _copy(original, "staging", f"{source}_{original.name}", random)
        else:
            yield _copy(original, random.choice(_SANDBOXES), original.name, random)


def _copy(original: TableSpec, schema: str, name: str, random: Random) -> TableSpec:
    columns = tuple(
        replace(
            column, target=None, is_declared=False, values=(), comment=column.comment * random.randint(0, 1)
        )
        for column in original.columns
    )
    comment = original.comment if random.random() < 0.3 else ""
    return TableSpec(schema, name, columns, comment, has_key=random.random() < 0.5)


def _reports(originals: Sequence[TableSpec], random: Random) -> Iterator[TableSpec]:
    """Yield tables of a data warehouse, without end."""
    while True:
        subject = random.choice(originals)
        kind = random.choice(("dim", "fact", "agg", "rpt", "kpi"))
        grain = random.choice(("", "_daily", "_weekly", "_monthly", "_by_region", "_by_dept", "_ytd"))
        measures = [ColumnSpec("row_count", "bigint"), ColumnSpec("total_amount", "numeric(18,2)")]
        keys = [replace(column, target=None, is_declared=False, values=()) for column in subject.columns[:5]]
        day = ColumnSpec("load_date", "date", "when the nightly load wrote it")
        unique = {column.name: column for column in (*keys, *measures, day)}
        name = f"{kind}_{subject.schema}_{subject.name.lower()}{grain}"
        yield TableSpec("dwh", name, tuple(unique.values()), has_key=False)


def _machines(originals: Sequence[TableSpec], random: Random) -> Iterator[TableSpec]:
    """Yield tables to which machines write; a few of them are partitioned by month."""
    columns = (
        ColumnSpec("reading_id", "bigint"),
        ColumnSpec("read_at", "timestamptz"),
        ColumnSpec("value", "double precision"),
        ColumnSpec("quality_flag", "smallint"),
    )
    for line, machine, measure in itertools.product(range(1, 13), range(101, 125), _MEASURES):
        partitions = 12 if measure == "torque" and machine == 101 else 0
        yield TableSpec(
            "iot", f"plc_l{line:02}_m{machine}_{measure}", columns, has_key=False, partitions=partitions
        )
