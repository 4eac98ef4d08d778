"""Large jobs: map the files of a table to as many files of results, or draw many rows, here or on a cluster.

A job is cut into parts, each of which makes one file of results. A part is a function of the run and its own rows, so any
engine may make it, at any time and more than once.
"""

from vaekit.jobs.engines import ENGINES, Engine
from vaekit.jobs.folder import Manifest, read_manifest
from vaekit.jobs.running import map_files, sample_files

__all__ = ["ENGINES", "Engine", "Manifest", "map_files", "read_manifest", "sample_files"]
