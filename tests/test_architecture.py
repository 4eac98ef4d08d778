"""The order of the rooms, and what no room may do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mutants
import vaekit
from vaekit.data import RowStream, SeedStream

ROOT = Path(vaekit.__file__).parent
ROOMS = (
    "errors",
    "processes",
    "options",
    "parts",
    "files",
    "reporters",
    "pictures",
    "html",
    "row_noise",
    "data",
    "distributions",
    "networks",
    "models",
    "objectives",
    "evaluation",
    "export",
    "auditing",
    "folder",
    "training",
    "recipe",
    "plots",
    "runs",
    "jobs",
    "estimator",
    "report",
    "explorer",
    "cli",
    "testing",
    "__main__",
)
"""Each may import those before it."""

DOORS = {("runs/doors.py", "vaekit.report"), ("runs/doors.py", "vaekit.explorer")}
"""The only imports of later rooms: a run writes its report, and opens its explorer."""

DATA = (
    *("noise", "batch_noise", "limits", "damage", "steps"),
    "tables",
    *("source", "part", "options"),
    "readers",
    *("blanks", "disguise", "schema", "description", "encoding"),
    *("split", "transforms", "order", "batches", "known_rows"),
)
"""The chapters of the data, in the order in which rows meet them; each may import those before it, and its own files."""

FILES = sorted(p for p in ROOT.rglob("*.py"))
TREES = {str(p.relative_to(ROOT)): ast.parse(p.read_text(encoding="utf-8")) for p in FILES}


def room(path):
    return path.split("/")[0].removesuffix(".py")


def imports(tree):
    """Names of all modules that are imported, at the top or within functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node, node.module
            if node.module == "vaekit":
                yield from ((node, f"vaekit.{alias.name}") for alias in node.names)


def test_every_file_is_in_a_room():
    assert {room(path) for path in TREES} - {"__init__"} <= set(ROOMS)


@pytest.mark.parametrize("path", [p for p in TREES if p != "__init__.py"])
def test_a_room_imports_only_earlier_ones(path):
    own = ROOMS.index(room(path))
    for node, name in imports(TREES[path]):
        parts = name.split(".")
        if parts[0] == "vaekit" and len(parts) > 1 and parts[1] != "__version__" and (path, name) not in DOORS:
            assert ROOMS.index(parts[1]) <= own, f"{path}:{node.lineno} imports {name}"


@pytest.mark.parametrize("path", [p for p in TREES if p.startswith("data/") and p != "data/__init__.py"])
def test_a_chapter_of_the_data_imports_only_earlier_ones(path):
    own = DATA.index(room(path.removeprefix("data/")))
    for node, name in imports(TREES[path]):
        if name.startswith("vaekit.data"):
            chapter = name.split(".")[2]  # never the room itself, which imports all of its chapters
            assert DATA.index(chapter) <= own, f"{path}:{node.lineno} imports {name}"


@pytest.mark.parametrize("path", list(TREES))
def test_what_no_file_does(path):
    for node, name in imports(TREES[path]):
        top = name.split(".")[0]
        assert top not in {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}, f"{path}:{node.lineno}"
    for node in ast.walk(TREES[path]):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where}: a check that -O removes"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{where}: a bare except"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "torch.load", "torch.save", "os.system"}, f"{where}: {called}"
            if room(path) != "cli":
                assert called not in {"print", "typer.echo"}, f"{where}: {called}"
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle":
                    assert ast.unparse(keyword.value) == "False", where
                assert keyword.arg != "weights_only", where


def test_streams_of_noise_have_their_numbers_in_one_place():
    """Elsewhere they have names: a number that is written twice may get two meanings."""
    for path, tree in TREES.items():
        if path == "data/noise.py":
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called, where = ast.unparse(node.func), f"{path}:{node.lineno}"
            if called.endswith("default_rng"):
                assert not isinstance(node.args[0], ast.List | ast.Tuple), where
            if called.endswith(("noise.normal", "noise.uniform")):
                stream = ast.unparse(node.args[1])  # a name, or a parameter whose type is RowStream
                assert "Stream." in stream or "self.streams" in stream or stream == "stream", where


DRAWN = {
    "RowStream.TRANSFORM": {"Rows._fixed", "ExportedPart.rows"},
    "RowStream.POSTERIOR": {
        "_measure_block",
        "TablePosterior.draw_weighted",
        "_estimate",
        "_positions",
        "ExportedPart.posterior_noise",
    },
    "RowStream.FILL": {"Impute.inputs", "TableModel._expected", "TableModel._values", "_measure_block"},
    "RowStream.CHOICE": {"TableModel.draw", "TableModel._surprise"},
    "RowStream.RARE": {"TableModel._values"},
    "RowStream.AGGREGATE": {"decompose_rate"},
    "RowStream.TUNE_MOVES": {"TUNE"},
    "RowStream.TUNE_ACCEPTANCE": {"TUNE"},
    "RowStream.FORWARD_MOVES": {"FORWARD"},
    "RowStream.FORWARD_ACCEPTANCE": {"FORWARD"},
    "RowStream.BACKWARD_MOVES": {"BACKWARD"},
    "RowStream.BACKWARD_ACCEPTANCE": {"BACKWARD"},
    "RowStream.GAP_FIT": {"_pairs"},
    "RowStream.GAP_MEASURE": {"measure_posterior"},
    "SeedStream.SPLIT": {"split_source"},
    "SeedStream.BATCHES": {"BatchOrder.index"},
    "SeedStream.BUFFER": {"BlockOrder._mix"},
    "SeedStream.SUBSET": {"Part.subset"},
    "SeedStream.BASELINE": {"_matrix"},
    "RowStream.SAMPLE_RARE": {"TableRun.sample"},
    "SeedStream.SAMPLE_CODES": {"ModelRun.sample_at"},
    "SeedStream.HIDE": {"measure_hidden"},
    "SeedStream.FACTOR_ROWS": {"halves"},
    "SeedStream.FACTOR_VOTES": {"disentanglement"},
    "SeedStream.GIVEN_CODES": {"TableModel.propose"},
    "RowStream.GIVEN_CHOICE": {"Proposals.draw"},
    "RowStream.GIVEN_CELLS": {"Proposals.draw"},
    "RowStream.GIVEN_RARE": {"Proposals.draw"},
    "RowStream.RULE_CELLS": {"draw_new"},
    "RowStream.RULE_RARE": {"draw_new"},
    "RowStream.RULE_MEND": {"_mend_noise"},
    "SeedStream.RULE_CODES": {"_draw_codes"},
    "SeedStream.RULE_AGAIN": {"_seed_again"},
    "RowStream.BLUR": {"Rows._fixed"},
    "RowStream.REPLACE": {"Rows._fixed"},
    "SeedStream.PRIVACY_RARE": {"measure_privacy"},
    "RowStream.SAMPLE_MISSING": {"TableRun._blank"},
    "SeedStream.CALIBRATION_HIDE": {"hide_at_random"},
    "SeedStream.CALIBRATION_MISSING": {"hide_as_missing"},
    "SeedStream.CALIBRATION_BORDER": {"score_hidden"},
    "SeedStream.CALIBRATION_OUTCOME": {"measure_reliability"},
    "SeedStream.CALIBRATION_ROWS": {"measure_errors"},
    "SeedStream.CALIBRATION_CODES": {"simulate"},
    "SeedStream.AUDIT_ROWS": {
        "Subject.few",
        "Precision.judge",
        "Batches._replace",
        "_arranged",
        "Total.judge",
        "Units._spread",
    },
    "SeedStream.AUDIT_PROPOSAL": {"Total._sample"},
    "SeedStream.AUDIT_REFIT": {"Refit.judge"},
}
"""Where each stream is drawn from: a stream drawn for two things would tie the one to the other."""


def test_each_stream_is_drawn_for_what_it_is_meant():
    found = {}
    for path, tree in TREES.items():
        if path == "data/noise.py":
            continue
        for node in tree.body:
            inner = node.body if isinstance(node, ast.ClassDef) else [node]
            for part in inner:
                names = [node.name] if isinstance(node, ast.ClassDef) else []
                if isinstance(part, ast.FunctionDef):
                    names.append(part.name)
                elif isinstance(part, ast.Assign):
                    names.append(ast.unparse(part.targets[0]))
                for use in ast.walk(part):
                    if isinstance(use, ast.Attribute) and ast.unparse(use.value) in ("RowStream", "SeedStream"):
                        found.setdefault(ast.unparse(use), set()).add(".".join(names))
    assert found == DRAWN
    assert {name.partition(".")[2] for name in DRAWN} == {*RowStream.__members__, *SeedStream.__members__}


def test_numpy_never_loads_without_refusing_pickles():
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"np.load", "numpy.load"}:
                assert "allow_pickle" in {k.arg for k in node.keywords}, f"{path}:{node.lineno}"


def public(tree):
    """Public functions and classes of a module, and public methods of these."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                        yield f"{node.name}.{inner.name}", inner


@pytest.mark.parametrize("path", list(TREES))
def test_what_is_public_is_documented_and_typed(path):
    assert ast.get_docstring(TREES[path]), f"{path} has no docstring"
    for name, node in public(TREES[path]):
        assert ast.get_docstring(node), f"{path}: {name} has no docstring"
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, f"{path}: {name} does not say what it returns"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            assert not bare, f"{path}: {name} has arguments without a type: {bare}"


def test_the_command_line_and_the_package_import_no_heavy_libraries():
    code = (
        "import sys, vaekit, vaekit.cli, vaekit.cli.app, vaekit.errors;"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'pyarrow', 'accelerate', 'matplotlib', 'pydantic', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_imports_no_torch_and_works():
    code = (
        "import sys; sys.argv = ['vaekit', '--help']\n"
        "from vaekit.cli import main\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Train a model" in done.stdout
    assert done.stdout.endswith("False\n")


def test_every_mutant_finds_its_line_and_its_test():
    for mutant in mutants.MUTANTS:
        assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1, mutant.meaning
        path, _, name = mutant.test.partition("::")
        assert (
            f"def {name}" in (mutants.ROOT / path).read_text(encoding="utf-8")
            if name
            else (mutants.ROOT / path).exists()
        )
