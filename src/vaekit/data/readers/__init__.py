"""Readers of files, of values in memory, and of databases."""
