"""The stages of a call in words, for a person who waits."""

from collections.abc import Callable
from typing import Final

from pgmcp.pipeline import OnStage, Stage

WORDS_BY_STAGE: Final = {
    Stage.SCHEMA: "reading the schema",
    Stage.PROMPT: "choosing what to tell the model",
    Stage.MODEL: "having {model} write SQL",
    Stage.VALIDATE: "checking the SQL",
    Stage.PLAN: "planning the SQL",
    Stage.EXECUTE: "running the SQL",
    Stage.CHECK: "comparing the SQL with the data",
}


def report_stages(say: Callable[[str], None], *, model: str) -> OnStage:
    """Return what the pipeline calls at each stage; says at once that the database is being reached."""
    say("connecting")

    def on_stage(stage: Stage) -> None:
        say(WORDS_BY_STAGE[stage].format(model=model))

    return on_stage
