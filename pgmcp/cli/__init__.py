"""The command line: what a person types, and how a host starts the server."""
