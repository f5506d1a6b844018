"""Starts one worker that speaks frames on its standard input and output: `python -P -m worker`."""

import os

from worker.process import be_quiet_worker, protect_stdio
from worker.service import Channel, Service


def main() -> None:
    """Serve the process that started us until it is gone."""
    channel = Channel(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    protect_stdio()
    be_quiet_worker()
    Service(channel).run()


if __name__ == "__main__":
    main()
