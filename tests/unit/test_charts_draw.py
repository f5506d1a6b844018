import sys

from pgmcp.charts.draw import drawing_command


def test_the_drawing_process_does_not_look_for_modules_in_its_folder() -> None:
    assert drawing_command()[:2] == [sys.executable, "-P"]
