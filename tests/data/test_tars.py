"""Tars of pictures: the same rows as the pictures themselves, and a clear refusal of every fault."""

import io
import itertools
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from vaekit.data import limits, open_source
from vaekit.data.readers import tars
from vaekit.data.readers.opening import find_source
from vaekit.data.readers.tars import Tar
from vaekit.errors import DataError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 5, 4)).astype(np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEKIT_CACHE", str(tmp_path / "cache"))


def png(pixels):
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


def write_tar(path, members, **options):
    """Write a tar of (name, content), in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def samples(start=0, stop=12, classes="07"):
    """Samples as WebDataset writes them: a picture and its class."""
    for i in range(start, stop):
        yield f"{i:04d}.cls", classes[i % len(classes)].encode()
        yield f"{i:04d}.png", png(PIXELS[i])


def pixels_of(source):
    return np.array(source.values[..., 0])


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_with_classes(tmp_path, form):
    long = "x" * 150 + "/y.png"
    members = [*samples(0, 11), (long, png(PIXELS[11])), (long.replace("png", "cls"), b"7")]
    source = open_source(write_tar(tmp_path / "a.tar", members, format=form))
    np.testing.assert_array_equal(pixels_of(source), PIXELS)
    assert (source.picture, source.levels, source.values.dtype) == (True, 256, np.uint8)
    assert source.labels.tolist() == [0, 7] * 6
    assert source.notes == ()


@pytest.mark.parametrize("cuts", [[0, 12], [0, 5, 12], [0, 1, 2, 7, 7, 12]])
def test_the_rows_do_not_depend_on_the_tars(tmp_path, cuts):
    for i, (start, stop) in enumerate(itertools.pairwise(cuts)):
        write_tar(tmp_path / "shards" / f"{i:03d}.tar", samples(start, stop))
    source = open_source(tmp_path / "shards")
    np.testing.assert_array_equal(pixels_of(source), PIXELS)
    assert source.labels.tolist() == [0, 7] * 6
    assert source.labels.dtype == np.int64
    empty = len(cuts) - 1 - len(set(cuts)) + 1
    assert source.notes == (("Skipped 1 tar without pictures.",) if empty else ())


def test_patterns_and_addresses(tmp_path):
    for i in range(3):
        write_tar(tmp_path / f"part-{i}.tar", samples(4 * i, 4 * i + 4))
    write_tar(tmp_path / "other.tar", samples(0, 1))
    source = open_source(f"{tmp_path}/part-*.tar")
    np.testing.assert_array_equal(pixels_of(source), PIXELS)
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for i in range(3):
        store.pipe(f"/tars/part-{i}.tar", (tmp_path / f"part-{i}.tar").read_bytes())
    try:
        np.testing.assert_array_equal(pixels_of(open_source("memory://tars/part-*.tar")), PIXELS)
        assert open_source("memory://tars").labels.tolist() == source.labels.tolist()
    finally:
        store.rm("/tars", recursive=True)
    with pytest.raises(DataError, match=r"Nothing matches.*Write a pattern with \* or \?, because numbers in braces"):
        open_source("memory://tars/part-{0..2}.tar")


def test_folders_in_a_tar_are_classes(tmp_path):
    members = [(f"./pets/{'cat' if i % 3 else 'dog'}/{i}.png", png(PIXELS[i])) for i in range(6)]
    source = open_source(write_tar(tmp_path / "pets.tar", members))
    assert source.labels.tolist() == ["dog", "cat", "cat", "dog", "cat", "cat"]
    for name in ("cat", "dog"):  # a class in each tar
        write_tar(tmp_path / "both" / f"{name}.tar", [(f"{name}/1.png", png(PIXELS[len(name) % 2]))])
    assert open_source(tmp_path / "both").labels.tolist() == ["cat", "dog"]


@pytest.mark.parametrize(
    ("record", "label"), [({"label": 3}, 3), ({"cls": "cat", "url": "x"}, "cat"), (7, 7), ({"cls": "", "label": 3}, 3)]
)
def test_records_give_classes(tmp_path, record, label):
    members = [
        *(("0.jpeg.png", png(PIXELS[0])), ("0.json", json.dumps(record).encode())),
        *(("1.png", png(PIXELS[1])), ("1.json", b'{"label": 9}'), ("1.txt", b"a caption")),
    ]
    source = open_source(write_tar(tmp_path / "a.tar", members))
    wanted = [label, 9] if isinstance(label, int) else [label, "9"]
    assert source.labels.tolist() == wanted
    assert source.notes == ("Skipped 1 file of no picture or class (.txt).",)


def test_a_class_goes_before_a_record_and_to_every_picture_of_the_sample(tmp_path):
    members = [
        *(("a.left.png", png(PIXELS[0])), ("a.right.png", png(PIXELS[1])), ("a.cls", b" 2\n"), ("a.json", b"5")),
        *(("b.png", png(PIXELS[2])), ("b.cls", b"-1")),
    ]
    source = open_source(write_tar(tmp_path / "a.tar", members))
    assert source.labels.tolist() == [2, 2, -1]


@pytest.mark.parametrize("text", ["007", "1" * 30, "٣", "kitty", "-0"])
def test_classes_that_are_no_plain_numbers_stay_text(tmp_path, text):
    members = [*samples(0, 1), ("1.png", png(PIXELS[1])), ("1.cls", text.encode())]
    assert open_source(write_tar(tmp_path / "a.tar", members)).labels.tolist() == ["0", text]


def test_other_members_are_skipped(tmp_path):
    path = write_tar(tmp_path / "a.tar", [*samples(0, 2), ("0.npy", b"x"), ("._0.png", b"x"), (".git/1.png", b"x")])
    with tarfile.open(path, "a") as tar:
        for name, kind in (("pipe.png", tarfile.FIFOTYPE), ("folder.png", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            tar.addfile(info)
    source = open_source(path)
    np.testing.assert_array_equal(pixels_of(source), PIXELS[:2])
    assert source.notes == ("Skipped 1 file of no picture or class (.npy).",)


def test_paths_that_leave_the_tar_stay_in_it(tmp_path):
    members = [("../cat/0.png", png(PIXELS[0])), ("/dog/./1.png", png(PIXELS[1])), ("a/../dog/2.png", png(PIXELS[2]))]
    source = open_source(write_tar(tmp_path / "a.tar", members))
    np.testing.assert_array_equal(pixels_of(source), PIXELS[:3])
    assert source.labels.tolist() == ["cat", "dog", "dog"]


def test_every_page_is_a_row(tmp_path):
    first, *rest = map(Image.fromarray, PIXELS[:3])
    made = io.BytesIO()
    first.save(made, "TIFF", save_all=True, append_images=rest)
    members = [("a.tif", made.getvalue()), ("a.cls", b"4"), ("b.png", png(PIXELS[3])), ("b.cls", b"5")]
    source = open_source(write_tar(tmp_path / "a.tar", members))
    np.testing.assert_array_equal(pixels_of(source), PIXELS[:4])
    assert source.labels.tolist() == [4, 4, 4, 5]


def test_how_a_png_is_turned_may_stand_after_its_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    made = io.BytesIO()
    Image.fromarray(np.rot90(PIXELS[0])).save(made, "PNG", exif=exif)
    content = made.getvalue()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    late = content[:start] + content[end:-12] + content[start:end] + content[-12:]
    source = open_source(write_tar(tmp_path / "a.tar", [("a.png", late), ("b.png", content)]))
    np.testing.assert_array_equal(pixels_of(source), PIXELS[[0, 0]])


def test_parts_in_sub_folders(tmp_path):
    write_tar(tmp_path / "train" / "0.tar", samples(0, 8))
    write_tar(tmp_path / "val" / "0.tar", samples(8, 10))
    write_tar(tmp_path / "test" / "0.tar", samples(10, 12))
    source = open_source(tmp_path)
    found = [pixels_of(part) for part in (source, source.validation, source.test)]
    np.testing.assert_array_equal(np.concatenate(found), PIXELS)
    assert [len(part) for part in found] == [8, 2, 2]


def test_parts_in_names(tmp_path):
    write_tar(tmp_path / "pets-train-0.tar", samples(0, 5))
    write_tar(tmp_path / "pets-train-1.tar", samples(5, 8))
    write_tar(tmp_path / "pets-val-0.tar", samples(8, 10))
    source = open_source(tmp_path)
    np.testing.assert_array_equal(pixels_of(source), PIXELS[:8])
    np.testing.assert_array_equal(pixels_of(source.validation), PIXELS[8:10])
    assert source.notes == ("The 2 validation pictures are used to choose the best weights.",)
    write_tar(tmp_path / "latest.tar", samples(10, 12))  # in no part
    assert open_source(tmp_path).notes[-1] == f"Skipped 1 file in '{tmp_path}' that is outside of its parts."
    assert len(open_source(f"{tmp_path}/*-val-*.tar").values) == 2


def test_a_changed_tar_is_decoded_again(tmp_path):
    path = write_tar(tmp_path / "a.tar", samples(0, 3))
    assert len(open_source(path).values) == 3
    stat = path.stat()
    write_tar(path, samples(3, 6))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    np.testing.assert_array_equal(pixels_of(open_source(path)), PIXELS[3:6])


def cut(content, size):
    return content[: int(size * len(content))]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda b: b[: 512 + 3 * 512 + 100], "a.tar"),
        (lambda b: b[: b.index(b"0001.png") + 600], "a.tar"),
        (lambda b: b[: b.index(b"0001.png") + 100], "a.tar"),
        (lambda b: b.rstrip(b"\0") + b"\0" * (-len(b.rstrip(b"\0")) % 512), "cut short"),
        (lambda b: b + b, "another tar after its end"),
        (lambda b: b"hello" * 1000, "a.tar"),
        (lambda b: b[:300], "a.tar"),
        (lambda b: b.replace(b"0001.png", b"0001.pnx", 1), "a.tar"),
    ],
)
def test_a_damaged_tar_is_named(tmp_path, damage, told):
    path = write_tar(tmp_path / "a.tar", samples(0, 2))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"a tar must be undamaged.*{told}"):
        open_source(path)


def test_sizes_below_zero_end(tmp_path):
    content = bytearray(write_tar(tmp_path / "a.tar", samples(0, 2)).read_bytes())
    content[124:136] = b"\xff" * 12  # a size of −1, as numbers to the base of 256
    header = bytes(content[:148]) + b" " * 8 + bytes(content[156:512])
    content[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"a tar must be undamaged"):
        open_source(tmp_path / "a.tar")


@pytest.mark.parametrize("ending", ["tar.gz", "tgz", "tar.zst"])
def test_a_compressed_tar_is_refused(tmp_path, ending):
    path = write_tar(tmp_path / f"a.{ending}", samples(0, 2))
    with pytest.raises(DataError, match=r"Unpack it into a \.tar file"):
        open_source(path)
    path.rename(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("0.png"))
    with pytest.raises(DataError, match=r"a tar must not be compressed.*a\.tar'.*as with gunzip"):
        open_source(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([], "There are no pictures in '.*a.tar'"),
        ([("0.png", b"")], r"every picture must be readable.*'0\.png in .*a\.tar'"),
        ([("0.png", png(PIXELS[0])[:60])], r"every picture must be readable.*'0\.png in .*a\.tar'"),
        ([("0.png", png(PIXELS[0]))] * 2, r"it holds '0\.png' twice"),
        ([*samples(0, 1), ("x.png", png(PIXELS[0, :2]))], r"5x4 \('0000\.png'\) and 2x4 \('x\.png'\)"),
        ([("0.png", png(PIXELS[0])), ("0.json", b"{")], r"a file \.json in a tar must be JSON.*0\.json in"),
        (
            [("0.png", png(PIXELS[0])), ("0.json", b'{"label": [1]}')],
            r"the class of a sample must be.*\[1\] in '0\.json in",
        ),
        ([("0.png", png(PIXELS[0])), ("0.cls", b"\xff")], r"a file \.cls in a tar must be UTF-8"),
        (
            [("0.png", png(PIXELS[0])), ("0.cls", b"1" * 1_100_000)],
            r"a file of a class must have at most 800 bytes.*1,100,000 bytes in '0\.cls in",
        ),
        ([("0.png", png(PIXELS[0])), ("0.json", b"[" * 60_000)], r"a file \.json in a tar must be JSON"),
    ],
)
def test_faults_within_a_tar_are_named(tmp_path, members, told):
    path = write_tar(tmp_path / "a.tar", members)
    with pytest.raises(DataError, match=told):
        open_source(path)


def test_a_picture_that_would_fill_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tars, "MOST_IN_MEMORY", 50)
    path = write_tar(tmp_path / "a.tar", samples(0, 1))
    with pytest.raises(DataError, match=r"a picture in a tar must have at most 50 bytes.*'0000\.png in"):
        open_source(path)


def test_together_they_must_not_be_too_large(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", samples())
    monkeypatch.setattr(limits, "RATIO", 0)
    monkeypatch.setenv("VAEKIT_LARGEST", "100")
    with pytest.raises(DataError, match="after unpacking"):
        open_source(path)


def test_tars_and_tables_do_not_mix(tmp_path):
    write_tar(tmp_path / "mixed" / "a.tar", samples())
    (tmp_path / "mixed" / "a.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match=r"one format.*CSV and tar files"):
        open_source(tmp_path / "mixed")


def test_tars_beside_pictures_are_counted(tmp_path):
    write_tar(tmp_path / "a.tar", samples())
    (tmp_path / "preview.png").write_bytes(png(PIXELS[3]))
    source = open_source(tmp_path)
    np.testing.assert_array_equal(pixels_of(source), PIXELS[3:4])
    assert source.notes == ("Skipped 1 tar. To read tars, pass a pattern such as 'folder/*.tar'.",)


def test_a_tar_that_vanishes_is_named(tmp_path):
    path = write_tar(tmp_path / "a.tar", samples())
    found = Tar.local(path)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.tar' has vanished"):
        found.listing()


def link(path, name, target, kind=tarfile.LNKTYPE):
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        tar.addfile(info)


def test_links_are_what_they_lead_to(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("x/0.png", png(PIXELS[0])), ("x/0.cls", b"5"), ("y/2.png", png(PIXELS[2]))])
    link(path, "x/1.png", "x/0.png")
    link(path, "x/1.cls", "x/0.cls")
    link(path, "y/2.cls", "../x/0.cls", tarfile.SYMTYPE)
    link(path, "y/2.again.png", "./2.png", tarfile.SYMTYPE)
    source = open_source(path)
    np.testing.assert_array_equal(pixels_of(source), PIXELS[[0, 2, 0, 2]])
    assert source.labels.tolist() == [5, 5, 5, 5]
    link(path, "z.png", "/etc/passwd", tarfile.SYMTYPE)
    with pytest.raises(DataError, match=r"'z\.png' is a link to '/etc/passwd', which is not before it"):
        open_source(path)


def test_links_do_not_raise_the_limit(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", [("0.png", png(PIXELS[0]) + b"x" * 2000)])
    with tarfile.open(path, "a") as tar:
        for i in range(1, 300):
            info = tarfile.TarInfo(f"{i}.png")
            info.type, info.linkname = tarfile.LNKTYPE, "0.png"
            tar.addfile(info)
    monkeypatch.setattr(limits, "RATIO", 0.02)  # of the tar, 3 kB; of 300 pictures it would be 12 kB
    monkeypatch.setenv("VAEKIT_LARGEST", "5200")
    with pytest.raises(DataError, match="after unpacking"):
        open_source(path)


@pytest.mark.parametrize(
    ("files", "labels"),
    [
        ({"0.cls": "\ufeff7", "1.cls": "7\r\n"}, [7, 7]),
        ({"0.cls": " ", "0.json": '{"cls": null, "label": 3}', "1.cls": "4"}, [3, 4]),
        ({"0.cls": "a" * 200, "1.cls": "b"}, ["a" * 200, "b"]),
        ({"0.CLS": "1", "1.Json": "2"}, [1, 2]),
        ({"0.cls": str(2**63), "1.json": str(2**70)}, [str(2**63), str(2**70)]),
    ],
)
def test_ways_to_write_a_class(tmp_path, files, labels):
    members = [(name, text.encode()) for name, text in files.items()]
    members += [("0.png", png(PIXELS[0])), ("1.png", png(PIXELS[1]))]
    assert open_source(write_tar(tmp_path / "a.tar", members)).labels.tolist() == labels


def test_classes_without_a_picture_are_counted(tmp_path):
    members = [("0.5.png", png(PIXELS[0])), ("0.5.cls", b"1"), ("labels/b.cls", b"2"), ("index.json", b"[1, 2]")]
    members += [("meta.json", b'{"label": 3.5}'), ("README", b"x"), ("README", b"y")]
    source = open_source(write_tar(tmp_path / "a.tar", members))
    assert source.labels.tolist() == [1]
    assert source.notes[-1] == "Skipped 2 files with a class that belongs to no picture."


def test_only_some_classes_are_refused(tmp_path):
    write_tar(tmp_path / "0.tar", samples(0, 2))
    write_tar(tmp_path / "1.tar", [("cat/2.png", png(PIXELS[2]))])
    with pytest.raises(
        DataError, match=r"must have a class, or none. Got 1 of 3 pictures without one, such as '2\.png'"
    ):
        open_source(tmp_path)


def test_one_class_is_a_class(tmp_path):
    """The file of results of one tar needs the classes of its pictures, also if they are equal."""
    assert open_source(write_tar(tmp_path / "a.tar", samples(0, 2, "7"))).labels.tolist() == [7, 7]
    members = [("cat/0.png", png(PIXELS[0])), ("cat/1.png", png(PIXELS[1]))]
    assert open_source(write_tar(tmp_path / "b.tar", members)).labels.tolist() == ["cat", "cat"]
    assert open_source(write_tar(tmp_path / "c.tar", [("0.png", png(PIXELS[0]))])).labels is None


def test_classes_do_not_depend_on_the_part(tmp_path):
    for part, names in {"train": ["pets/cat/0", "pets/dog/1"], "val": ["pets/cat/2"], "test": ["pets/dog/3"]}.items():
        write_tar(tmp_path / part / "0.tar", [(f"{name}.png", png(PIXELS[int(name[-1])])) for name in names])
    for address in (str(tmp_path), f"{tmp_path}/*/*.tar"):
        source = open_source(address)
        found = [part.labels.tolist() for part in (source, source.validation, source.test)]
        assert found == [["cat", "dog"], ["cat"], ["dog"]]
    write_tar(tmp_path / "other" / "0.tar", samples())
    assert f"Skipped 1 file in '{tmp_path.name}' that is outside of its parts." in open_source(tmp_path).notes


def test_compressed_tars_beside_others_are_refused(tmp_path):
    write_tar(tmp_path / "a.tar", samples(0, 3))
    (tmp_path / "b.tar.gz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a tar must not be compressed.*b\.tar\.gz"):
        open_source(tmp_path)
    (tmp_path / "a.tar").unlink()
    with pytest.raises(DataError, match=r"a tar must not be compressed.*b\.tar\.gz"):
        open_source(tmp_path)


@pytest.mark.parametrize("ending", [b"", b"\0" * (3 << 20)])
def test_any_number_of_zeros_ends_a_tar(tmp_path, ending):
    path = write_tar(tmp_path / "a.tar", samples(0, 3))
    path.write_bytes(path.read_bytes() + ending)
    assert len(open_source(path).values) == 3
    path.write_bytes(path.read_bytes() + ending + b"x")
    with pytest.raises(DataError, match="another tar after its end"):
        open_source(path)


def test_headers_without_end_are_refused(tmp_path):
    """Some versions of tarfile read an extended header in a time that grows with the square of its length."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 40_000
    (tmp_path / "a.tar").write_bytes(info.tobuf() + b"1" * 40_448 + b"\0" * 1024)
    with pytest.raises(DataError, match="a header is too long"):
        open_source(tmp_path / "a.tar")
    info.size = 512
    (tmp_path / "a.tar").write_bytes((info.tobuf() + b"12 path=abc\n" + b"\0" * 500) * 2000)
    with pytest.raises(DataError, match="a header is too long"):
        open_source(tmp_path / "a.tar")


def test_a_pipe_is_no_tar(tmp_path):
    write_tar(tmp_path / "a.tar", samples(0, 3))
    os.mkfifo(tmp_path / "b.tar")
    assert len(open_source(tmp_path).values) == 3


def test_a_tar_behind_a_link_is_read_again_when_it_changes(tmp_path):
    real = write_tar(tmp_path / "real" / "a.tar", samples(0, 3))
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "a.tar").symlink_to(real)
    assert len(open_source(tmp_path / "linked").values) == 3
    stat = real.stat()
    write_tar(real, samples(3, 6))
    os.utime(real, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    np.testing.assert_array_equal(pixels_of(open_source(tmp_path / "linked")), PIXELS[3:6])


def test_names_of_other_files_are_shortened(tmp_path):
    members = [*samples(0, 1), ("a." + "x" * 90, b""), ("b.\n\x1b[2J", b""), ("c.npy", b"")]
    source = open_source(write_tar(tmp_path / "a.tar", members))
    assert source.notes == ("Skipped 3 files of no picture or class (others, .npy).",)
    with pytest.raises(DataError, match=r"no pictures in '.*b\.tar', but 1 other file \(\.npy\)"):
        open_source(write_tar(tmp_path / "b.tar", [("0.npy", b"")]))


def test_a_tar_that_changes_while_it_is_read_is_named_and_not_kept(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", samples(0, 3))
    listing = Tar.listing

    def swap(self):
        found = listing(self)
        stat = path.stat()
        write_tar(path, samples(3, 6))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Tar, "listing", swap)
        with pytest.raises(DataError, match=r"Pictures in '.*a\.tar' changed while they were read"):
            open_source(path)
    np.testing.assert_array_equal(pixels_of(open_source(path)), PIXELS[3:6])


def test_a_tar_that_vanishes_before_its_pixels_are_read_is_named(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", samples(0, 3))
    listing = Tar.listing

    def remove(self):
        found = listing(self)
        path.unlink()
        return found

    monkeypatch.setattr(Tar, "listing", remove)
    with pytest.raises(DataError, match=r"a\.tar' has vanished"):
        open_source(path)


def test_data_are_divided_once(tmp_path):
    write_tar(tmp_path / "train" / "pets-train-0.tar", samples(0, 2))
    write_tar(tmp_path / "train" / "pets-val-0.tar", samples(2, 4))
    write_tar(tmp_path / "test" / "train-0.tar", samples(4, 7))
    for address in (str(tmp_path), f"{tmp_path}/*/*.tar"):
        source = open_source(address)
        np.testing.assert_array_equal(pixels_of(source), PIXELS[:4])
        np.testing.assert_array_equal(pixels_of(source.test), PIXELS[4:7])
        assert source.validation is None


def test_tars_without_a_word_are_for_training(tmp_path):
    for i, name in enumerate(("pets-000", "pets-val-000", "pets-test-000")):
        write_tar(tmp_path / f"{name}.tar", samples(i, i + 1))
    source = open_source(tmp_path)
    assert [len(part.values) for part in (source, source.validation, source.test)] == [1, 1, 1]
    np.testing.assert_array_equal(pixels_of(source.test), PIXELS[2:3])
    (tmp_path / "pets-000.tar").unlink()
    assert len(open_source(tmp_path).values) == 2  # to be scored


@pytest.mark.parametrize("name", ["a.tar.md5", "a.tar.idx", "a.tar.parquet.txt"])
def test_what_stands_beside_tars_is_no_compressed_tar(tmp_path, name):
    write_tar(tmp_path / "a.tar", samples(0, 2))
    (tmp_path / name).write_text("x")
    assert len(open_source(tmp_path).values) == 2


@pytest.mark.parametrize("held_out", ["test/cat/0.tar", "test/cat/0.png"])
def test_held_out_data_alone_are_refused(tmp_path, held_out):
    (tmp_path / "cat").mkdir()
    write_tar(tmp_path / held_out, samples(0, 2))
    with pytest.raises(DataError, match=r"no training data|holds no tables, pictures, tars or IDX files"):
        open_source(tmp_path)


def test_a_store_that_fails_while_a_class_is_read_is_named(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", samples(0, 2))

    def fail(*_):
        raise OSError("the network is down")

    monkeypatch.setattr(Tar, "_label", fail)
    with pytest.raises(DataError, match=r"a tar file must be undamaged. Got '.*a\.tar' \(the network is down\)"):
        open_source(path)


def test_several_tars_without_pictures(tmp_path):
    for name in "abc":
        write_tar(tmp_path / f"{name}.tar", [("x.npy", b"x")])
    with pytest.raises(DataError, match=r"no pictures in '.*a\.tar' and 2 other files, but 3 other files \(\.npy\)"):
        open_source(tmp_path)


def test_handles_on_files_in_memory_have_positions_of_their_own():
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/two/a.csv", b"x\n1\n2\n")
    try:
        [file] = find_source("memory://two")
        with file.open() as first, file.open() as second:
            assert (first.read(3), second.read(3), first.read(3)) == (b"x\n1", b"x\n1", b"\n2\n")
    finally:
        fsspec.filesystem("memory").rm("/two", recursive=True)
