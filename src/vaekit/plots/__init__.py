"""Figures of runs as matplotlib axes; the report and `run.plot` draw with the same functions."""
