"""Measures for `pgmcp evaluate` how often answers are right; compares pgmcp with a plain prompt.

questions      questions and expected answers, from a file in the form of the context file
contestants    the pipeline, and the plain prompt with its schema
comparison     whether two results are equal
run            asks, compares, and gives verdicts
report         figures of the verdicts
"""
