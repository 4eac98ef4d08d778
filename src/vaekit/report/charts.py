"""The figures of runs and tables as charts of a page.

Charts never contain names from the data, because the charts' font lacks many letters.
"""

from __future__ import annotations

from vaekit.plots import calibration, runs, tables
from vaekit.report.canvas import chart

curves = chart(height=2.9, gaps=True)(runs.curves)
ladder = chart(height=2.4)(runs.ladder)
kl_bars = chart(height=2.9)(runs.kl_bars)
rate_parts = chart(height=2.4)(runs.rate_parts)
latent_map = chart(height=4.2)(runs.latent_map)
code_histogram = chart(height=2.4)(runs.code_histogram)
column = chart(height=2.3, columns=2)(runs.column)
histogram = chart(height=1.75, width=3.3)(tables.histogram)
matrix = chart(height=3.5, width=4.2, gaps=True)(tables.matrix)
coverage = chart(height=2.6)(calibration.coverage)
positions = chart(height=2.6)(calibration.positions)
column_positions = chart(height=2.1, width=3.3)(calibration.positions)
reliability = chart(height=2.9)(calibration.reliability)
