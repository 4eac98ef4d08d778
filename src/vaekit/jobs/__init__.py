"""Large jobs: map the files of a table to as many files of results, or draw many rows, here or on a cluster.

A job is cut into parts, each of which makes one file of results. A part is a function of the run and its own rows, so any
engine may make it, at any time and more than once.
"""

from vaekit.jobs.engines import Engine, Local, Ray
from vaekit.jobs.folder import Manifest, read_manifest
from vaekit.jobs.running import map_files, sample_files

__all__ = ["Engine", "Local", "Manifest", "Ray", "map_files", "read_manifest", "sample_files"]
