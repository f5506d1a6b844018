"""Starts pgmcp from an unpacked bundle. A host runs this file with uv, which creates the environment."""

from pgmcp.__main__ import main

if __name__ == "__main__":
    main()
