"""Takes over what people have written down elsewhere into the context file.

    files ─▶ dbt, Apache Ossie, Cube ┐
    comments of the database        ├─▶ entries ─▶ checked by EXPLAIN ─▶ changes of the context file ─▶ a diff
    drafts of the model             ┘      └─▶ what was left out, and why

The readers are pure functions of parsed data and of a catalog. They render no template and run no code: what
needs either is left out. All text of a file is untrusted; it is written on one line, without invisible
characters and within bounds, and a person accepts it.
"""
