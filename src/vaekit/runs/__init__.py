"""Runs: train a model into a run folder, load it, and use it to encode, score, sample and evaluate."""
