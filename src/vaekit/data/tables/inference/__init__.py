"""What the columns of a table are, told from their cells in one pass of bounded memory."""

from vaekit.data.tables.inference.infer import infer_columns

__all__ = ["infer_columns"]
