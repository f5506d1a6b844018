"""Starts pgmcp from an unpacked bundle; a host runs it with uv, which made the environment beside it."""

from pgmcp.__main__ import main

if __name__ == "__main__":
    main()
