"""`pgmcp install`: writes an entry for this server into a host's configuration.

hosts    configuration file and entry format of each host
entry    command and settings of the entry
jsonc    positions of values in a JSON text with comments
edit     adds or removes the entry and preserves the rest of the text
show     the change as a diff, without secrets and values of other entries
file     reads and replaces the file, with a backup
command  finds the file, shows the change and writes it once it is confirmed
choices  hosts and scopes
"""
