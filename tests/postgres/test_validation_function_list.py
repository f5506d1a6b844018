from collections.abc import Callable
from importlib.resources import files

from scripts.generate_function_list import read_functions


def test_the_shipped_list_of_built_ins_is_what_this_server_has(new_database: Callable[[], str]) -> None:
    shipped = (
        files("pgmcp.validation").joinpath("builtin_functions.tsv").read_text(encoding="utf-8").splitlines()
    )
    read = {function.row().strip() for function in read_functions([new_database()]) if not function.extension}

    assert read == {line for line in shipped[1:] if "18" in line.split("\t")[2].split(",")}
