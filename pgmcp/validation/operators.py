"""Operators known to only read: those of PostgreSQL 18, its contrib extensions, pgvector and PostGIS.

An operator is a function call by another name, and databases can define their
own. A symbol on this list can be redefined for types of the database itself;
`pgmcp.validation.functions` sees that where it knows the database's catalog.
"""

# SELECT DISTINCT oprname FROM pg_operator WHERE oid < 16384, of 13 to 18.
_BUILT_IN = """
    !! != !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / <
    <-> << <<= <<| <= <> <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&>
    |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~ ~~ ~~*
"""
# The same WHERE oid >= 16384, with every contrib extension and pgvector installed.
_CONTRIB_AND_PGVECTOR = """
    #<# #<=# #= #># #>=# %# %% %> %>> <#> <% <%> <+> <->> <->>> <<% <<-> <<<-> <=> <@> <~> ?<@ ?@
    ?@> ?~ ^<@ ^? ^@> ^~ ~>
"""
# PostGIS manual, chapter "Operators".
_POSTGIS = "&&& &/& @@ @>> <<@ <<->> <<#>> |=| ~== ~~="

_BUILT_IN_SYMBOLS = frozenset(_BUILT_IN.split())
_KNOWN = frozenset(f"{_BUILT_IN} {_CONTRIB_AND_PGVECTOR} {_POSTGIS}".split())


def is_known_operator(symbol: str) -> bool:
    """Return whether a symbol, in pg_catalog or without a schema, stands for an operator that only reads."""
    return symbol in _KNOWN or symbol[0].isupper()  # BETWEEN and its kin stand in the tree as words


def is_built_in_operator(symbol: str) -> bool:
    """Return whether PostgreSQL has an operator of its own by this symbol, whatever extensions add to it."""
    return symbol in _BUILT_IN_SYMBOLS or symbol[0].isupper()
