"""Runs on tables in many files: the same bytes from any cut, exact resumption, every verb, and a stand-in for S3."""

import io
import itertools
import re
import shlex
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import vaekit
from test_save import StopAt
from vaekit.data import batches, limits
from vaekit.data.order import BlockOrder
from vaekit.errors import DataError, Interrupted

ROWS = 600
SETTINGS = {
    "training.epochs": 3,
    "training.batch_size": 50,
    "training.validations": 2,
    "latent_dim": 2,
    "encoder.hidden": [8],
    "decoder.hidden": [8],
    "objective.samples": 1,
    "evaluation.samples": 5,
    "data.hide": 0.0,
}


def made(rows=ROWS):
    rng = np.random.default_rng(0)
    z = rng.normal(size=rows)
    return pa.table({"x": z, "y": z + rng.normal(size=rows), "town": np.where(z > 0, "Bonn", "Ulm")})


TABLE = made()


def cut(folder, count, table=TABLE):
    folder.mkdir(parents=True)
    ends = np.linspace(0, len(table), count + 1).astype(int)
    for i, (start, end) in enumerate(itertools.pairwise(ends)):
        pq.write_table(table.slice(start, end - start), folder / f"part-{i:03d}.parquet")
    return folder


@pytest.fixture
def on_disk(monkeypatch):
    """Keep codes in a temporary file and shuffle it in blocks, as if the table were large."""
    monkeypatch.setattr(limits, "MOST_IN_MEMORY", 1 << 12)
    monkeypatch.setattr(batches, "MOST_IN_MEMORY", 1 << 12)
    monkeypatch.setattr(batches, "BLOCK", 1 << 9)
    monkeypatch.setattr(batches, "MOST_RESIDENT", 0)


def train(source, out, **options):
    return vaekit.train(source, settings=SETTINGS, out=out, **options)


def assert_same_weights(a, b):
    for name, tensor in a.model.state_dict().items():
        assert (tensor == b.model.state_dict()[name]).all(), name


@pytest.mark.usefixtures("on_disk")
def test_weights_do_not_depend_on_the_cut_and_an_interrupted_run_resumes_with_the_same_bytes(tmp_path):
    whole = train(TABLE, tmp_path / "whole")
    assert isinstance(batches.Rows(whole.split().train, whole.transform).order(50, 0), BlockOrder)
    for count in (1, 7, 64):
        run = train(cut(tmp_path / f"cut{count}", count), tmp_path / f"run{count}")
        assert_same_weights(run, whole)
        assert run.provenance["fingerprint"] == whole.provenance["fingerprint"]
    pattern = str(tmp_path / "cut7" / "*.parquet")
    with pytest.raises(Interrupted):
        train(pattern, tmp_path / "stopped", reporter=StopAt(14))
    resumed = vaekit.train(resume=tmp_path / "stopped")
    assert_same_weights(resumed, whole)
    assert str(resumed.evaluate().log_likelihood) == str(whole.evaluate().log_likelihood)


def test_the_commands_of_the_page_run(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    cut(tmp_path / "trips" / "year=2023", 2)
    cut(tmp_path / "trips" / "year=2024", 3)
    page = (Path(__file__).parents[1] / "docs" / "shards.md").read_text()
    commands = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 4
    small = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    for command in commands:
        words = shlex.split(command)[1:]
        assert call(*words, *(small if words[0] == "train" else [])).code == 0
    scores = pq.read_table("scores.parquet").column(0).to_numpy()
    run = vaekit.load("runs/trips")
    assert len(scores) == 2 * ROWS
    np.testing.assert_allclose(scores[:ROWS], run.score_samples(TABLE), rtol=1e-5)
    np.testing.assert_array_equal(scores[:ROWS], scores[ROWS:])


def test_a_run_of_a_pattern_is_named_after_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cut(tmp_path / "trips", 2)
    assert vaekit.train("trips/*.parquet", settings=SETTINGS).path.name == "trips"


@pytest.fixture
def bucket(monkeypatch):
    server = pytest.importorskip("moto.server", reason="needs moto[server], a stand-in for S3")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("bucket")
    yield store
    store.rm("bucket", recursive=True)  # the next server of this process would have it, too
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_table_in_a_store_of_objects(tmp_path, bucket):
    local = cut(tmp_path / "parts", 4)
    for path in local.iterdir():
        bucket.put(str(path), f"bucket/parts/{path.name}")
    whole = train(TABLE, tmp_path / "whole")
    for i, address in enumerate(("s3://bucket/parts", "s3://bucket/parts/part-*.parquet")):
        run = train(address, tmp_path / f"run{i}")
        assert_same_weights(run, whole)
        assert run.provenance["source"] == address
    loaded = vaekit.load(tmp_path / "run0")
    assert str(loaded.evaluate().log_likelihood) == str(whole.evaluate().log_likelihood)
    np.testing.assert_array_equal(loaded.score_samples("s3://bucket/parts"), loaded.score_samples(TABLE))
    with pytest.raises(DataError, match="Nothing matches 's3://bucket/none/"):
        train("s3://bucket/none/*.parquet", tmp_path / "none")
    bucket.pipe("bucket/parts/part-001.parquet", (local / "part-001.parquet").read_bytes()[:500])
    with pytest.raises(DataError, match=r"must be undamaged. Got 's3://bucket/parts/part-001.parquet'"):
        train("s3://bucket/parts", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_tars_of_pictures_in_a_store_of_objects(tmp_path, bucket, monkeypatch):
    monkeypatch.setenv("VAEKIT_CACHE", str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 256, (600, 4, 4)).astype(np.uint8)
    for start in (0, 500):
        with tarfile.open(tmp_path / "made.tar", "w") as tar:
            for i in range(start, min(start + 500, 600)):
                content = io.BytesIO()
                Image.fromarray(pixels[i]).save(content, "PNG")
                for name, body in ((f"{i}.png", content.getvalue()), (f"{i}.cls", str(i % 3).encode())):
                    info = tarfile.TarInfo(name)
                    info.size = len(body)
                    tar.addfile(info, io.BytesIO(body))
        bucket.put(str(tmp_path / "made.tar"), f"bucket/tars/{start:03d}.tar")
    source = vaekit.data.open_source("s3://bucket/tars/*.tar")
    np.testing.assert_array_equal(source.values[..., 0], pixels)
    assert source.labels.tolist() == [i % 3 for i in range(600)]
    bucket.pipe("bucket/tars/500.tar", (tmp_path / "made.tar").read_bytes()[:700])
    with pytest.raises(DataError, match=r"a tar must be undamaged.*s3://bucket/tars/500\.tar"):
        vaekit.data.open_source("s3://bucket/tars/*.tar")
