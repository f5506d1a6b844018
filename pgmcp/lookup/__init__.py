"""Search, similar names and values over a catalog.

For a prompt or a search:

search            finds tables by words
words             maps words of a question to words of a schema
joins             joins between tables
archived_tables   tables that are copies of others
prompt_tables     the tables that a prompt shows; wide ones with the columns that the question needs
value_hints       words of a question among the values of columns

For a statement:

value_check       texts that a query compares with and that its columns do not contain
default_filters   default filters of the context file that a query lacks
fan_out           aggregates over rows that a join repeats
advice            hints for a statement that PostgreSQL refused

For both:

likeness          similarity of names and values

For the operator:

scope_check       patterns in the settings that match nothing
"""
