"""Progress messages for the stages of a call."""

from collections.abc import Callable
from typing import Final

from pgmcp.pipeline import OnStage, Stage

WORDS_BY_STAGE: Final = {
    Stage.SCHEMA: "reading the schema",
    Stage.PROMPT: "writing the prompt",
    Stage.MODEL: "waiting for {model} to write SQL",
    Stage.VALIDATE: "checking the SQL",
    Stage.PLAN: "planning the SQL",
    Stage.EXECUTE: "running the SQL",
    Stage.CHECK: "comparing the SQL with the data",
}


def report_stages(say: Callable[[str], None], *, model: str) -> OnStage:
    """Return a function that shows each stage; shows immediately that the database is being connected."""
    say("connecting")

    def on_stage(stage: Stage) -> None:
        say(WORDS_BY_STAGE[stage].format(model=model))

    return on_stage
