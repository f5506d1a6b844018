"""Renders answers: compact text within a token budget, and structured content.

    answer ─▶ fitted ─▶ text
              budget └▶ structured

answer        what the pipeline returns
fitted        fits an answer to the token budget, once for all forms
budget        shortens wide cells, then drops rows
text          the answer as text for a model
structured    the answer as JSON, and the schema of that JSON
failure       an error as text
result_store  keeps the rows that did not fit, and writes pages of them as text
csv           rows as CSV
"""
