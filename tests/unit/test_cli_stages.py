"""Progress messages in a terminal."""

from pgmcp.cli.stages import WORDS_BY_STAGE, report_stages
from pgmcp.pipeline import Stage


def test_every_stage_has_words_and_the_model_its_name() -> None:
    said: list[str] = []
    on_stage = report_stages(said.append, model="a{b}c")

    for stage in Stage:
        on_stage(stage)

    assert said[0] == "connecting"
    assert len(set(said)) == len(Stage) + 1
    assert "waiting for a{b}c to write SQL" in said


def test_no_stage_is_without_words() -> None:
    assert set(WORDS_BY_STAGE) == set(Stage)
