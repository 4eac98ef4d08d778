"""Single files, opened as the tables of one shard that they are."""

from vaekit.data.readers import csv, union
from vaekit.data.readers.parquet import ParquetShard
from vaekit.data.tables.written import MISSING


def open_csv(path, header=None, marks=MISSING):
    return csv.open_csv([csv.CsvShard.local(path)], header, marks)


def open_written(path, known, header, marks):
    return csv.open_written([csv.CsvShard.local(path)], known, header, marks)


def open_parquet(path):
    return union.open_typed([ParquetShard.local(path)])
