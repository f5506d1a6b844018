"""Chooses the chart that fits a result; describes it in words and as Vega-Lite, and draws it.

chart            chooses the chart of a result, by the modules below
columns          the role of each column, and its cells as numbers, moments, labels
shape            which kind of chart fits, which measures the question names, and the points
specification    the chart as Vega-Lite JSON, and its colours, light and dark
labels           numbers and moments as text, and the ticks of an axis of time
description      the chart in words
draw             the picture of an answer, from a child process, and the note about it in the answer's text
drawing_process  the program of that process
feature          the argument `chart`
command_line     the option `--chart`

All but the last four are pure and deterministic: the same question and result give the same chart in every
place that draws it.
"""
