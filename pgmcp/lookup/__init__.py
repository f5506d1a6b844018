"""Finds tables, names and values in a catalog, for prompts and for errors of statements.

For a prompt or a search:

search            finds tables by words
words             maps words of a question to words of a schema
joins             joins between tables
archived_tables   tables that are copies of others
prompt_tables     the tables that a prompt shows; wide ones with the columns that the question needs
value_hints       finds words of a question among the values of columns

For a statement:

value_check       finds texts in a query that the compared columns do not contain
default_filters   finds default filters of the context file that a query lacks
fan_out           finds aggregates over rows that a join repeats
block_columns     traces columns of a query to columns of tables
statement_hints   writes hints for a statement that PostgreSQL refused

For both:

similarity        measures the similarity of names and values

For the operator:

scope_check       finds patterns in the settings that match nothing
"""
