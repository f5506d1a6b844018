"""Starts pgmcp from an unpacked bundle; a host runs it with uv, which created the environment next to it."""

from pgmcp.__main__ import main

if __name__ == "__main__":
    main()
