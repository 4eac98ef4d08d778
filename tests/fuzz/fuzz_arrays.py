"""Damaged and hostile .npy, .npz and IDX files: they are read and described, or refused, and nothing else."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import damaged, fuzz

from vaekit.data import make_notes, make_schema, open_both, split_source
from vaekit.recipe import load_recipe

os.environ["VAEKIT_LARGEST"] = "2e8"
RECIPE = load_recipe("auto")
DTYPES = ("<f8", "<f4", "<f2", ">f8", "u1", "<u2", ">i4", "<i8", "?", "<c8", "<U3", "S2", "<M8[D]", "<m8[s]", "V3")
SHAPES = ((12, 3), (9, 4, 4), (9, 2, 5, 5), (9, 5, 5, 3), (20,), (), (0, 3), (3, 0), (2, 1, 1, 1, 1), (6, 1))
HEADERS = (
    *("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000000), }", "{" * 3000, "(" * 5000, "[]", ""),
    *("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }", "{'descr': '<f8', 'fortran_order': 2, 'shape': (4, 3)}"),
    *("{'descr': '<f8', 'fortran_order': False, 'shape': (12, 3.5), }", "{'descr': '|O', 'fortran_order': False, 'shape': (4,)}"),
    *("{'descr': [('a', '<f8'), ('b', '<U3')], 'fortran_order': False, 'shape': (4,)}", "{'descr': '<f8', 'shape': (4, 3)}"),
    *("{'descr': [('a', '<f8', (2,))], 'fortran_order': False, 'shape': (4,)}", "{'descr': 7, 'fortran_order': True, 'shape': ()}"),
    *("{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 2), }", "\x00\xff", "import os", "'" * 99),
    *("{'descr': '<U0', 'fortran_order': False, 'shape': (4, 3)}", "{'descr': '<f8', 'fortran_order': True, 'shape': (" + "1," * 70 + ")}"),
)  # fmt: skip


def array(rng: np.random.Generator) -> np.ndarray:
    """An array of any type and shape, most of them such as people have; odd numbers among its cells now and then."""
    shape = SHAPES[rng.integers(4 if rng.random() < 0.7 else len(SHAPES))]
    dtype = np.dtype(DTYPES[rng.integers(len(DTYPES))])
    values = np.frombuffer(rng.bytes(max(1, int(np.prod(shape))) * dtype.itemsize), dtype)[: int(np.prod(shape))]
    if dtype.kind == "U":
        values = np.array([str(i % 7) for i in range(len(values))], dtype)
    elif dtype.kind == "f" and rng.random() < 0.7:
        values = rng.normal(size=len(values)).astype(dtype)
    elif dtype.kind in "iu" and rng.random() < 0.7:
        values = rng.integers(0, 100, len(values)).astype(dtype)
    return values.reshape(shape)


def npy(rng: np.random.Generator) -> bytes:
    """A .npy file, sometimes with a header of another's making."""
    made = io.BytesIO()
    if rng.random() < 0.2:
        header = HEADERS[rng.integers(len(HEADERS))].encode("latin-1")
        made.write(
            b"\x93NUMPY"
            + bytes([1 + int(rng.integers(3)), 0])
            + struct.pack("<H", len(header))
            + header
            + rng.bytes(96)
        )
    elif rng.random() < 0.15:
        fields = [("a", "<f8"), ("b", "S3"), ("c", "<i4"), ("d", DTYPES[rng.integers(len(DTYPES))])]
        np.save(made, np.frombuffer(rng.bytes(30 * np.dtype(fields).itemsize), fields), allow_pickle=False)
    else:
        np.save(made, array(rng), allow_pickle=False)
    return made.getvalue()


def npz(rng: np.random.Generator) -> bytes:
    """A .npz file; one of its members may be damaged, or a bomb."""
    made = io.BytesIO()
    names = [
        str(name) for name in rng.permutation(["X", "y", "x_train", "x_val", "x_test", "y_test", "arr_0", "a" * 999])
    ]
    with zipfile.ZipFile(
        made, "w", (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2)[rng.integers(3)]
    ) as file:
        for name in names[: int(rng.integers(1, 5))]:
            content = npy(rng)
            if rng.random() < 0.1:
                content = content[:10] + bytes(int(rng.integers(1, 40)) << 20)
            file.writestr(f"{name}.npy", damaged(content, rng) if rng.random() < 0.3 else content)
    return made.getvalue()


def idx(rng: np.random.Generator) -> bytes:
    """An IDX file, of which any byte of the header may be anything."""
    values = rng.integers(0, 256, SHAPES[rng.integers(3)]).astype(np.uint8)
    dimensions = int(rng.integers(256)) if rng.random() < 0.2 else values.ndim
    sizes = [*values.shape, *rng.integers(0, 3, 255)][:dimensions]
    code = int(rng.choice([8, 8, 8, 9, 11, 12, 13, 14, 0, 255]))
    return bytes([0, 0, code, dimensions]) + struct.pack(f">{dimensions}I", *sizes) + values.tobytes()


def gzipped(rng: np.random.Generator) -> bytes:
    """The same, gzipped; sometimes a bomb."""
    content = idx(rng)
    if rng.random() < 0.1:
        count = int(rng.integers(1, 60)) << 20
        content = bytes([0, 0, 8, 2]) + struct.pack(">2I", 1 << 20, count >> 20) + bytes(count)
    return gzip.compress(content, 1)


FORMS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "x.npy": npy,
    "x.npz": npz,
    "train-images-idx3-ubyte": idx,
    "train-images-idx3-ubyte.gz": gzipped,
}


def check(rng: np.random.Generator, folder: Path) -> str:
    """Read and describe one file."""
    name = list(FORMS)[rng.integers(len(FORMS))]
    content = FORMS[name](rng)
    content = damaged(content, rng) if rng.random() < 0.6 else content
    (folder / name).write_bytes(content)
    if name == "x.npy" and rng.random() < 0.1:  # a hole behind a header that promises as much
        with (folder / name).open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": (5 << 20, 1000)}
            )
            file.truncate(file.tell() + (20000 << 20))
    opened, _ = open_both(folder if "idx" in name else folder / name, None, RECIPE.data, RECIPE.mixed)
    schema = make_schema(opened, split_source(opened, None, RECIPE.seed, RECIPE.data).train, RECIPE.data.kind)
    make_notes(opened, schema)
    return f"{Path(name).suffix or 'idx'} described as {schema.kind}"


if __name__ == "__main__":
    fuzz(check)
