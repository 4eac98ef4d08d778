"""The inference of the kinds of columns from their cells, in one pass and bounded memory."""

from vaekit.data.tables.inference.infer import infer_columns

__all__ = ["infer_columns"]
