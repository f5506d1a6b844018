"""`pgmcp install`: writes the entry of this server into a host's configuration.

hosts    which file, and what an entry looks like there
entry    the command that starts this installation, and the settings it gets
jsonc    where things stand in a JSON text
edit     the text with the entry, or without it; all else stays to the letter
show     the difference, with no secret and nothing of other entries in it
file     reads and replaces the file, after a backup
command  the story of one call
"""
