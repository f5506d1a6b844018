"""The chart that fits a result: its choice, description, Vega-Lite specification and picture.

chart            from rows to a chart: the way through the modules below
columns          what a column can be, and its cells as numbers, moments, labels
question         which measures the question asks for, by its words
shape            which kind of chart fits, and its points
specification    the chart as Vega-Lite JSON
theme            its colours, light and dark
labels           numbers and moments as text, and the ticks of an axis of time
description      the chart in words
draw             the JSON as a PNG, from a child process
drawing_process  that process
illustration     the picture of an answer, and what the text says of it
feature          the argument `chart`
command_line     the option `--chart`

All but the last five are pure and deterministic: the same question and result give the same chart in every
place that draws it.
"""
