"""Starts one worker that exchanges frames over its standard input and output: `python -P -m worker`."""

import os
import sys
from io import FileIO, RawIOBase

from worker.channel import Channel, read_through_socket
from worker.process import protect_stdio, set_up_logging_and_signals
from worker.service import Service


def main() -> None:
    """Serve the process that started this one until that process ends."""
    requests: RawIOBase = FileIO(os.dup(0))
    if sys.platform == "win32":
        requests = read_through_socket(requests)
    channel = Channel(requests, os.fdopen(os.dup(1), "wb"))
    protect_stdio()
    set_up_logging_and_signals()
    Service(channel).run()


if __name__ == "__main__":
    main()
