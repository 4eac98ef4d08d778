"""Readers: one for each form of file, of value in memory and of database."""
