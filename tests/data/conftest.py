"""What tests of readers share."""

import gzip

import pytest


@pytest.fixture
def write(tmp_path):
    """Write a file of text or bytes, packed where its name ends in `.gz`; its path."""

    def make(content, name="x.csv"):
        path = tmp_path / name
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return make
