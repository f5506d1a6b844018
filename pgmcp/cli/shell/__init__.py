"""`pgmcp shell`: SQL and questions at a prompt, with the same pipeline and guards as hosts.

inputs        splits text into SQL, questions and commands; pure
completion    tables, columns, keywords and commands at the cursor; pure
sources       the tables that a statement reads, their columns, and values to compare with; pure
history       the file of earlier inputs
prompt        reads a person's input; the only user of prompt_toolkit
conversation  runs inputs one after another
start         opens the pipeline; reads from a person or from standard input
"""
