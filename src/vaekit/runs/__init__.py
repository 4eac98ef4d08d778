"""Runs: a model is trained into a run folder, loaded from it, and asked for codes, scores, samples and figures."""
