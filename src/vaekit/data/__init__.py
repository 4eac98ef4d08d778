"""Data on the way to a model: readers, schema, split, transforms and batches of tensors."""

from vaekit.data.batch_noise import BatchNoise, BatchStream, batch_keys
from vaekit.data.batches import Rows, tile_positions
from vaekit.data.description import add_rules, infer_schema, make_notes, make_schema, table_schema
from vaekit.data.encoding import encode_rows, find_columns, open_both
from vaekit.data.known_rows import KnownRows
from vaekit.data.noise import RowNoise, RowStream, SeedStream, seeded
from vaekit.data.order import BatchOrder
from vaekit.data.part import Part, all_rows
from vaekit.data.readers.opening import open_source
from vaekit.data.schema import Schema
from vaekit.data.source import Source
from vaekit.data.split import Split, split_source
from vaekit.data.tables.cells import Cells, Layout
from vaekit.data.tables.columns import Column
from vaekit.data.tables.frame import Frame
from vaekit.data.transforms import Transform, choose_transforms

__all__ = [
    "BatchNoise",
    "BatchOrder",
    "BatchStream",
    "Cells",
    "Column",
    "Frame",
    "KnownRows",
    "Layout",
    "Part",
    "RowNoise",
    "RowStream",
    "Rows",
    "Schema",
    "SeedStream",
    "Source",
    "Split",
    "Transform",
    "add_rules",
    "all_rows",
    "batch_keys",
    "choose_transforms",
    "encode_rows",
    "find_columns",
    "infer_schema",
    "make_notes",
    "make_schema",
    "open_both",
    "open_source",
    "seeded",
    "split_source",
    "table_schema",
    "tile_positions",
]
