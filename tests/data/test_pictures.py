import itertools
import os
import struct
import sys
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from vaekit.data import limits, open_source
from vaekit.data.readers import decoding, picture_cache, pictures
from vaekit.data.readers.containers import Folder, SingleFile
from vaekit.data.readers.pictures import open_pictures
from vaekit.errors import DataError

RNG = np.random.default_rng(0)


def open_folder(path, size=None):
    return open_pictures([Folder(path) if path.is_dir() else SingleFile(path)], size)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache that is empty for each test."""
    monkeypatch.setenv("VAEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "pictures"
    made.mkdir()
    return made


def grey(height=5, width=3):
    return RNG.integers(0, 256, (height, width)).astype(np.uint8)


def colour(height=5, width=3, channels=3):
    return RNG.integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(5, 3), (1, 7), (13, 29)])
def test_grey_pictures_of_any_size(folder, height, width):
    values = [grey(height, width) for _ in range(4)]
    for i, v in enumerate(values):
        Image.fromarray(v).save(folder / f"{i}.png")
    source = open_folder(folder)
    np.testing.assert_array_equal(source.values, np.stack(values)[..., None])
    assert source.values.dtype == np.uint8
    assert (source.picture, source.levels, source.labels) == (True, 256, None)


def test_colours_stay_in_their_channels(folder):
    values = [colour() for _ in range(3)]
    for i, v in enumerate(values):
        Image.fromarray(v).save(folder / f"{i}.bmp")
    np.testing.assert_array_equal(open_folder(folder).values, np.stack(values))


def test_grey_among_colours_is_given_three_equal_channels(folder):
    a, b = grey(), colour()
    Image.fromarray(a).save(folder / "a.png")
    Image.fromarray(b).save(folder / "b.png")
    np.testing.assert_array_equal(open_folder(folder).values, np.stack([np.stack([a] * 3, -1), b]))


def test_palettes_are_looked_up(folder):
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    picture.putdata([0, 1, 2, 1])
    picture.putpalette([10, 20, 30, 200, 0, 5, 7, 255, 9])
    picture.save(folder / "p.png")
    wanted = [[[10, 20, 30], [200, 0, 5]], [[7, 255, 9], [200, 0, 5]]]
    assert open_folder(folder).values[0].tolist() == wanted


def test_transparency_is_laid_on_white(folder):
    values = colour(channels=4)
    Image.fromarray(values).save(folder / "a.png")
    alpha = values[..., 3:] / 255
    wanted = values[..., :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(open_folder(folder).values[0], wanted, atol=1)
    (folder / "a.png").unlink()
    both = colour(channels=2)
    Image.fromarray(both).save(folder / "b.png")
    alpha = both[..., 1:] / 255
    np.testing.assert_allclose(open_folder(folder).values[0], both[..., :1] * alpha + 255 * (1 - alpha), atol=1)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_black_and_white_is_zeros_and_ones_alone_and_grey_among_greys(folder, ending):
    values = grey() > 128
    Image.fromarray(values).save(folder / f"a.{ending}")
    alone = open_folder(folder)
    np.testing.assert_array_equal(alone.values[0, ..., 0], values)
    assert (alone.values.dtype, alone.levels) == (np.uint8, 2)
    Image.fromarray(grey()).save(folder / "b.png")
    among = open_folder(folder)
    np.testing.assert_array_equal(among.values[0, ..., 0], values * 255)
    assert among.levels == 256
    (folder / "b.png").unlink()
    resampled = open_folder(folder, size=(4, 2))
    assert resampled.levels == 256
    assert len(np.unique(resampled.values)) > 2


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
@pytest.mark.parametrize(
    ("greatest", "levels"), [(200, 256), (1000, 1024), (4095, 4096), (4096, 16384), (65535, 65536)]
)
def test_sixteen_bits_stay(folder, ending, greatest, levels):
    values = RNG.integers(0, greatest + 1, (2, 5, 3)).astype(np.uint16)
    values[0, 0] = [0, 1, greatest]
    for i, v in enumerate(values):
        Image.fromarray(v).save(folder / f"{i}.{ending}")
    source = open_folder(folder)
    np.testing.assert_array_equal(source.values[..., 0], values)
    assert (source.values.dtype, source.levels) == (np.uint16, levels)


@pytest.mark.parametrize("plain", [False, True])
def test_a_pgm_of_twelve_bits_has_the_numbers_that_stand_in_it(folder, plain):
    values = np.append(RNG.integers(0, 4096, 14), 4095).astype(np.uint16).reshape(5, 3)
    body = " ".join(map(str, values.flat)).encode() if plain else values.astype(">u2").tobytes()
    (folder / "a.pgm").write_bytes((b"P2" if plain else b"P5") + b" 3 5 4095\n" + body)
    np.testing.assert_array_equal(open_folder(folder).values[0, ..., 0], values)


def test_sixteen_bits_are_resampled_within_their_range(folder):
    values = np.zeros((8, 8), np.uint16)
    values[:, 4:] = 65535
    Image.fromarray(values).save(folder / "a.png")
    small = open_folder(folder, size=(4, 4)).values[0, ..., 0]
    assert small.dtype == np.uint16
    assert (small[:, 0].max(), small[:, 3].min()) == (0, 65535)


def png(values, kind):
    """A PNG of 16 bits for each channel, which Pillow does not write."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("channels", "kind"), [(2, 4), (3, 2), (4, 6)])
def test_sixteen_bits_of_several_channels_are_refused_rather_than_cut(folder, channels, kind):
    (folder / "deep.png").write_bytes(png(RNG.integers(0, 65536, (5, 3, channels)), kind))
    with pytest.raises(DataError, match=r"must have 8 bits for each.*deep\.png' with 16 bits"):
        open_folder(folder)


def test_a_ppm_of_sixteen_bits_is_refused_rather_than_cut(folder):
    (folder / "deep.ppm").write_bytes(b"P6 3 5 65535\n" + RNG.integers(0, 65536, 45).astype(">u2").tobytes())
    with pytest.raises(DataError, match=r"must have 8 bits for each.*deep\.ppm' with 16 bits"):
        open_folder(folder)


def test_eight_and_sixteen_bits_do_not_mix(folder):
    Image.fromarray(grey()).save(folder / "a.png")
    Image.fromarray(grey().astype(np.uint16)).save(folder / "b.png")
    with pytest.raises(
        DataError, match=r"'a\.png' \(8 bits\) and 'b\.png' \(16 bits\).*Save all pictures with the same number of bits"
    ):
        open_folder(folder)


@pytest.mark.parametrize("ending", ["tif", "png", "webp", "gif"])
def test_every_page_is_a_row_with_the_label_of_its_file(folder, ending):
    pages = {"cat": [grey(8, 8) for _ in range(3)], "dog": [grey(8, 8)]}
    for name, values in pages.items():
        (folder / name).mkdir()
        first, *rest = [Image.fromarray(v) for v in values]
        options = {"lossless": True} if ending == "webp" else {}
        first.save(folder / name / f"x.{ending}", save_all=True, append_images=rest, **options)
    source = open_folder(folder)
    np.testing.assert_array_equal(source.values[..., 0], np.stack([*pages["cat"], *pages["dog"]]))
    assert source.labels.tolist() == ["cat"] * 3 + ["dog"]
    assert source.notes == ("One file holds several pictures, 3 in all. Each picture is a row.",)
    again = open_folder(folder / "cat" / f"x.{ending}")
    np.testing.assert_array_equal(again.values, source.values[:3, ..., : again.values.shape[-1]])


def test_pages_of_sixteen_bits_and_of_one(folder):
    deep = RNG.integers(0, 4096, (3, 5, 3)).astype(np.uint16)
    first, *rest = map(Image.fromarray, deep)
    first.save(folder / "a.tif", save_all=True, append_images=rest)
    np.testing.assert_array_equal(open_folder(folder).values[..., 0], deep)
    bits = RNG.random((3, 5, 3)) < 0.5
    first, *rest = map(Image.fromarray, bits)
    first.save(folder / "a.tif", save_all=True, append_images=rest)
    np.testing.assert_array_equal(open_folder(folder).values[..., 0], bits)


def test_a_preview_is_no_row(folder):
    values, preview = grey(8, 8), grey(2, 2)
    second = Image.fromarray(preview)
    second.encoderinfo = {"tiffinfo": {0xFE: 1}}
    Image.fromarray(values).save(folder / "a.tif", save_all=True, append_images=[second])
    with Image.open(folder / "a.tif") as file:
        assert file.n_frames == 2
    np.testing.assert_array_equal(open_folder(folder).values[..., 0], values[None])


def test_further_pictures_in_a_jpeg_are_other_views_of_the_first(folder):
    first, second = (Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (30, 200))
    first.save(folder / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert open_folder(folder).values[..., 0].tolist() == np.full((1, 8, 8), 30).tolist()


def test_pages_of_other_sizes_are_named(folder):
    first, second = Image.fromarray(grey(4, 4)), Image.fromarray(grey(2, 2))
    first.save(folder / "a.tif", save_all=True, append_images=[second])
    with pytest.raises(DataError, match=r"4x4 \('a\.tif'\) and 2x2 \('a\.tif'\)"):
        open_folder(folder)


def test_a_picture_is_measured_before_it_is_decoded(folder, monkeypatch):
    monkeypatch.setattr(pictures, "decode", lambda *_: pytest.fail("decoded"))
    Image.new("L", (9000, 9000)).save(folder / "a.png")
    with pytest.raises(DataError, match=r"at most 16,777,216 numbers.*9000x9000 such as 'a\.png'.*data\.size"):
        open_folder(folder)
    monkeypatch.setenv("VAEKIT_LARGEST", "1e9")
    with pytest.raises(DataError, match=r"at most 20,833,333 pixels.*9000x9000 in .*a\.png.*VAEKIT_LARGEST=4294967296"):
        open_folder(folder, size=(4, 4))


def test_a_billion_frames_that_a_header_promises_are_not_listed(folder):
    control = b"acTL" + struct.pack(">II", 10**9, 0)
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    Image.fromarray(grey()).save(folder / "a.png")
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(content[:33] + chunk + content[33:])
    with pytest.raises(DataError, match=r"in the 100000000\d pictures of .*a\.png'"):
        open_folder(folder)


def test_together_they_must_not_be_too_large(folder, monkeypatch):
    first, *rest = [Image.new("L", (8, 8))] * 300
    first.save(folder / "a.tif", save_all=True, append_images=rest)
    monkeypatch.setattr(limits, "RATIO", 0)
    with monkeypatch.context() as patch:
        patch.setenv("VAEKIT_LARGEST", "17000")
        patch.setattr(decoding, "PAGE", -60)
        with pytest.raises(DataError, match=r"Got 18\.8 KiB in the 300 pictures of"):
            open_folder(folder)
    monkeypatch.setenv("VAEKIT_LARGEST", "1e5")
    assert len(open_folder(folder).values) == 300


def test_a_full_disk_is_a_refusal(folder, cache, monkeypatch):
    fill(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"on disk.*No space left on device"):
        open_folder(folder)
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks")
def test_what_a_killed_process_left_is_removed_but_not_what_another_fills(folder, cache):
    import fcntl

    cache.mkdir()
    dead, held = (cache / f".vaekit-{name}-1-host-abcdefgh.npy" for name in ("dead", "held"))
    for path in (dead, held):
        path.write_bytes(b"half")
    fill(folder)
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        open_folder(folder)
    assert [p.name for p in cache.glob(".vaekit-*")] == [held.name]


def test_pictures_of_reals_do_not_turn_black(folder):
    Image.fromarray(RNG.random((5, 3)).astype(np.float32)).save(folder / "a.tif")
    try:
        told = open_folder(folder).values.std() > 0
    except DataError as error:
        told = "a.tif" in str(error)
    assert told


def test_only_files_with_endings_of_pictures_count_in_the_order_of_their_paths(folder):
    values = {name: grey() for name in ("b.PNG", "a.png", "c.tiff")}
    for name, v in values.items():
        Image.fromarray(v).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"no picture")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "icon.png").write_bytes(b"no picture")
    wanted = [values[name][..., None] for name in ("a.png", "b.PNG", "c.tiff")]
    np.testing.assert_array_equal(open_folder(folder).values, np.stack(wanted))


def test_sub_folders_are_classes(folder):
    for name in ("dog", "cat"):
        for i in range(2):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(np.full((2, 2), len(name) * 10 + (name == "dog"), np.uint8)).save(
                folder / name / f"{i}.png"
            )
    source = open_folder(folder)
    assert source.labels.tolist() == ["cat", "cat", "dog", "dog"]
    assert source.values[:, 0, 0, 0].tolist() == [30, 30, 31, 31]


def test_train_and_test_folders(folder):
    sets = {"train": [grey() for _ in range(3)], "test": [grey() for _ in range(2)]}
    for name, values in sets.items():
        for i, v in enumerate(values):
            place = folder / name / "abc"[i]
            place.mkdir(parents=True)
            Image.fromarray(v).save(place / "x.png")
    source = open_source(str(folder))
    np.testing.assert_array_equal(source.values[..., 0], np.stack(sets["train"]))
    np.testing.assert_array_equal(source.test.values[..., 0], np.stack(sets["test"]))
    assert source.labels.tolist() == ["a", "b", "c"]
    assert source.origin == str(folder)


def test_sizes_that_differ_are_named_and_can_be_mended(folder):
    Image.fromarray(np.full((4, 6), 77, np.uint8)).save(folder / "a.png")
    Image.fromarray(np.full((9, 5), 200, np.uint8)).save(folder / "b.png")
    with pytest.raises(DataError, match=r"4x6 \('a.png'\) and 9x5 \('b.png'\).*data.size=4x6"):
        open_folder(folder)
    source = open_folder(folder, size=(3, 7))
    assert source.values.shape == (2, 3, 7, 1)
    assert np.unique(source.values[0]).tolist() == [77]  # one colour stays one colour
    assert np.unique(source.values[1]).tolist() == [200]


def test_resampling_keeps_left_left_and_top_top(folder):
    values = np.zeros((8, 12), np.uint8)
    values[:4, 6:] = 255
    Image.fromarray(values).save(folder / "a.png")
    small = open_folder(folder, size=(4, 6)).values[0, ..., 0]
    assert small[0, 5] > 250
    assert small[0, 0] < 5
    assert small[3, 5] < 5


@pytest.mark.parametrize("damage", [lambda b: b[:30], lambda b: b[: len(b) // 2], lambda b: b"hello", lambda b: b""])
def test_a_picture_that_cannot_be_read_is_named(folder, cache, damage):
    for name in "abc":
        Image.fromarray(grey(20, 20)).save(folder / f"{name}.png")
    path = folder / "b.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"every picture must be readable.*b\.png.*Repair or remove it"):
        open_folder(folder)
    assert not cache.exists() or not any(cache.iterdir())  # no half-written cache


def test_an_empty_folder_is_refused(folder):
    with pytest.raises(DataError, match="There are no pictures in"):
        open_folder(folder)


def fill(folder, n=3):
    for i in range(n):
        Image.fromarray(grey()).save(folder / f"{i}.png")


def test_pictures_are_decoded_once(folder, cache, monkeypatch):
    fill(folder)
    told = []

    @contextmanager
    def track(total, what):
        yield lambda done: told.append((done, total, what))

    monkeypatch.setattr(pictures, "track", track)
    first = open_folder(folder)
    assert told == [(1, 1, "folders and tars"), *[(1, 3, "files")] * 3, *[(1, 3, "pictures")] * 3]
    assert len(list(cache.glob("*.npy"))) == 1
    monkeypatch.setattr(pictures, "pages_of", lambda *_: pytest.fail("opened again"))
    monkeypatch.setattr(pictures, "decode", lambda *_: pytest.fail("decoded again"))
    again = open_folder(folder)
    assert len(told) == 7  # nothing to tell
    np.testing.assert_array_equal(first.values, again.values)
    assert isinstance(again.values, np.memmap)


@pytest.mark.parametrize("change", ["content", "time", "name", "more", "fewer", "size"])
def test_the_cache_is_not_used_once_anything_changed(folder, cache, change):
    fill(folder)
    open_folder(folder)
    path, size = folder / "1.png", None
    stat = path.stat()
    if change == "content":
        Image.fromarray(np.zeros((5, 3), np.uint8)).save(path)
    elif change == "time":
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    elif change == "name":
        path.rename(folder / "z.png")
    elif change == "more":
        Image.fromarray(grey()).save(folder / "4.png")
    elif change == "fewer":
        path.unlink()
    else:
        size = (4, 4)
    source = open_folder(folder, size)
    assert len(list(cache.glob("*.npy"))) == 2
    wanted = []
    for p in sorted(folder.iterdir()):
        with Image.open(p) as picture:
            wanted.append(np.asarray(picture.resize((4, 4), Image.Resampling.LANCZOS) if size else picture))
    np.testing.assert_array_equal(source.values[..., 0], np.stack(wanted))


def test_two_folders_do_not_share_a_cache(folder, tmp_path):
    values = [np.full((2, 2), i * 50, np.uint8) for i in range(2)]
    other = tmp_path / "other"
    other.mkdir()
    for place, v in ((folder, values[0]), (other, values[1])):
        Image.fromarray(v).save(place / "a.png")
        os.utime(place / "a.png", ns=(10**18, 10**18))
    assert open_folder(folder).values.max() == 0
    assert open_folder(other).values.min() == 50


@pytest.mark.parametrize("ending", ["npy", "npz"])
@pytest.mark.parametrize("damage", [lambda b: b[:40], lambda b: b[:-40], lambda b: b"", lambda b: b"x" * len(b)])
def test_a_damaged_cache_is_made_anew(folder, cache, ending, damage):
    fill(folder)
    values = np.array(open_folder(folder).values)
    (kept,) = cache.glob(f"*.{ending}")
    kept.write_bytes(damage(kept.read_bytes()))
    np.testing.assert_array_equal(open_folder(folder).values, values)


def test_the_cache_keeps_what_else_is_known(folder):
    for name, count in (("cat", 3), ("dog", 1)):
        (folder / name).mkdir()
        first, *rest = [Image.fromarray(RNG.integers(0, 1000, (5, 3)).astype(np.uint16)) for _ in range(count)]
        first.save(folder / name / "x.tif", save_all=True, append_images=rest)
    first, again = open_folder(folder), open_folder(folder)
    assert first.labels.tolist() == again.labels.tolist() == ["cat"] * 3 + ["dog"]
    assert first.levels == again.levels == 1024
    assert first.notes == again.notes == ("One file holds several pictures, 3 in all. Each picture is a row.",)


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("VAEKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert picture_cache.cache_folder() == tmp_path / "x" / "vaekit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert picture_cache.cache_folder() == tmp_path / "home" / ".cache" / "vaekit"


def test_pictures_are_turned_as_the_camera_says(tmp_path):
    from PIL import Image

    upright = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    for i in range(2):
        Image.fromarray(np.rot90(upright)).save(tmp_path / f"{i}.png", exif=exif)
    values = open_folder(tmp_path).values
    np.testing.assert_array_equal(values[0], upright)


@pytest.mark.parametrize("late", [False, True])
def test_how_a_png_is_turned_may_stand_after_its_pixels(folder, late):
    upright = colour(4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright)).save(folder / "a.png", exif=exif)
    content = (folder / "a.png").read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    moved = content[:start] + content[end:-12] + content[start:end] + content[-12:]
    (folder / "a.png").write_bytes(moved if late else content)
    np.testing.assert_array_equal(open_folder(folder).values[0], upright)


def test_pngs_are_not_decoded_to_be_measured(folder, monkeypatch):
    fill(folder)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr(PngImageFile, "load", lambda _: pytest.fail("decoded"), raising=False)
    with (folder / "0.png").open("rb") as file:
        assert [page.size for page in decoding.pages_of(file, "0.png", folder / "0.png")] == [(5, 3)]


def test_broken_links_are_no_pictures_and_folders_without_permission_are_named(folder):
    fill(folder)
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    assert len(open_folder(folder).values) == 3
    if os.geteuid():
        (folder / "closed").mkdir(mode=0)
        with pytest.raises(DataError, match=r"files and folders of pictures must be readable.*closed"):
            open_folder(folder)


def test_deep_folders(folder):
    deep = [str(folder)]
    for _ in range(1200):
        deep.append(f"{deep[-1]}/d")
        os.mkdir(deep[-1])
    Image.fromarray(grey()).save(f"{deep[-1]}/a.png")
    assert open_folder(folder).labels.tolist() == ["d"]
    os.unlink(f"{deep[-1]}/a.png")
    for place in reversed(deep):  # pytest cannot remove so many
        os.rmdir(place)


def test_a_tar_beside_pictures_is_seen_when_it_comes(folder):
    fill(folder)
    assert open_folder(folder).notes == ()
    (folder / "a.tar").write_bytes(b"x")
    assert open_folder(folder).notes[0].startswith("Skipped 1 tar.")


@pytest.mark.parametrize("place", ["a file", "a folder"])
def test_a_cache_that_cannot_be_used_is_named(folder, tmp_path, monkeypatch, place):
    fill(folder)
    if place == "a file":
        (tmp_path / "plain").write_text("x")
        monkeypatch.setenv("VAEKIT_CACHE", str(tmp_path / "plain"))
    else:
        open_folder(folder)
        (kept,) = (tmp_path / "cache").glob("*.npz")
        kept.unlink()
        kept.mkdir()
    with pytest.raises(DataError, match="the cache of decoded pictures must be writable"):
        open_folder(folder)


def test_a_changed_header_of_the_cache_is_found(folder, cache):
    fill(folder)
    values = np.array(open_folder(folder).values)
    (kept,) = cache.glob("*.npy")
    content = kept.read_bytes()
    for place, bit in itertools.product(range(6, 12), range(8)):  # a shorter header would shift all pixels
        kept.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        np.testing.assert_array_equal(open_folder(folder).values, values)
