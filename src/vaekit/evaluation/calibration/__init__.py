"""Calibration: do intervals hold their share, is the posterior that of the model, and do standard errors hold?"""
