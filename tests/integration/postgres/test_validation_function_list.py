from collections.abc import Callable
from importlib.resources import files

from scripts.generate_function_list import ListedFunction, judge, read_server


def test_the_shipped_list_of_built_ins_judges_no_function_of_this_server_more_mildly(
    new_database: Callable[[], str],
) -> None:
    shipped = _shipped()
    read = [function for function in judge([read_server(new_database())]) if not function.extension]

    assert {function.name for function in read} == {
        name for name, (_, majors) in shipped.items() if majors.endswith("18")
    }
    assert [function.name for function in read if _is_milder(shipped[function.name][0], function)] == []


def _shipped() -> dict[str, tuple[str, str]]:
    """Return verdict and majors by name."""
    text = files("pgmcp.validation").joinpath("builtin_functions.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines()[2:])
    return {name: (verdict, majors) for name, verdict, majors in rows}


def _is_milder(shipped_verdict: str, function: ListedFunction) -> bool:
    return shipped_verdict == "allowed" and function.refusal is not None
