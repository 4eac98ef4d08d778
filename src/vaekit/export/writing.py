"""Write an exported part to a file, with a description of the data in its metadata."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch

from vaekit import __version__
from vaekit.errors import VaekitError, did_you_mean
from vaekit.export.graph import trace
from vaekit.export.parts import ExportedPart, Port
from vaekit.export.ranks import raise_ranks
from vaekit.export.units import constants
from vaekit.files import atomic_path

Format = Literal["onnx", "torch"]
FORMATS: dict[str, str] = {"onnx": ".onnx", "torch": ".pt2"}
"""The formats, and the usual ending of their files."""
ENTRY = "vaekit"
"""The name of the description in the metadata."""


def write_part(part: ExportedPart, path: str | Path, to: str = "onnx") -> Path:
    """Write a part to a file.

    Args:
        part: the part.
        path: the file; an earlier one is replaced.
        to: `onnx`, or `torch` for a program that `torch.export.load` reads.

    Returns:
        Path of the file.

    Raises:
        VaekitError: for another format, a part that cannot be exported, or if the packages for ONNX are not installed.
        RunError: if the file cannot be written.
    """
    if to not in FORMATS:
        raise VaekitError("`to` must be a format of exported files", f"'{to}'", did_you_mean(to, FORMATS))
    path, described = Path(path), json.dumps(describe_part(part), ensure_ascii=False)
    if to == "onnx":
        _require_onnx()
    with atomic_path(path) as temporary, _quiet():
        program = trace(part)
        if to == "onnx":
            _write_onnx(part, program, temporary, described)
        else:
            _write_program(program, temporary, described)
    return path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporters say about themselves: deprecated calls, and graphs that they could have made smaller."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        fault = f"The package {error.name}, which writes ONNX files, is not installed"
        raise VaekitError(fault, mend="Run: pip install 'vaekit[onnx]'") from error


def _write_onnx(part: ExportedPart, program: Any, path: Path, described: str) -> None:
    try:
        found = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[port.name for port in part.inputs],
            output_names=[port.name for port in part.outputs],
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        told = f"The part '{part.name}' of this model has operations that ONNX lacks"
        raise VaekitError(told, mend=f"Use `to='torch'`, or run.{part.verb} in Python") from error
    if found is None:
        raise TypeError("torch.onnx.export returned no program")
    raise_ranks(found.model.graph)
    found.model.metadata_props[ENTRY] = described
    for node in found.model.graph.all_nodes():
        node.metadata_props.clear()  # traces of the exporter, with paths of this machine
    found.save(path)


def _write_program(program: Any, path: Path, described: str) -> None:
    """Write a program without the places in source files that its operations come from, which are paths of this machine."""
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            node.meta.pop("stack_trace", None)
    content = io.BytesIO()  # a file would give its name, and that of this machine, to every entry
    torch.export.save(program, content, extra_files={f"{ENTRY}.json": described})
    path.write_bytes(content.getvalue())


def describe_part(part: ExportedPart) -> dict[str, Any]:
    """Describe a part: its inputs and outputs, the columns of its rows, and how noise belongs to a row."""
    subject, units = part.subject, part.units
    schema = subject.schema
    return {
        "format": 1,
        "versions": {"vaekit": __version__, "torch": torch.__version__},
        "part": part.name,
        "verb": f"run.{part.verb}",
        "model": subject.model.title,
        "samples": subject.samples if part.draws else None,
        "inputs": [_describe(port) for port in part.inputs],
        "outputs": [_describe(port) for port in part.outputs],
        "schema": {
            "kind": schema.kind,
            "shape": list(schema.shape),
            "levels": schema.levels,
            "dtype": schema.dtype,
            "picture": schema.picture,
            "names": list(schema.columns),
        },
        "columns": units.describe(schema.modelled),
        "context": units.describe(schema.context),
        "constants": constants(schema),
        "row": {"dtype": "float64" if units.table else schema.dtype, "units": units.units, "seed": subject.seed},
    }


def _describe(port: Port) -> dict[str, Any]:
    noise = None if port.stream is None else {"stream": int(port.stream), "distribution": port.distribution}
    dtype = str(port.dtype).removeprefix("torch.")
    return {
        "name": port.name,
        "dtype": dtype,
        "shape": ["batch", *port.shape],
        "meaning": port.meaning,
        "noise": noise,
    }
