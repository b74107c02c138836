import io
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from fastapi import UploadFile
from PIL import EpsImagePlugin, Image, ImageCms

from hashtagger.errors import ImageError
from hashtagger.images import MAX_PIXELS, find_photos, load_image


def pixels(image):
    return np.asarray(image).astype(int)


def saved(image, format_, **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def flower(sample_photos):
    with Image.open(sample_photos["flower"]) as image:
        return image.convert("RGB").resize((96, 64))


def test_every_kind_of_input_gives_the_same_pixels(flower, tmp_path):
    path = tmp_path / "꽃 사진.png"
    flower.save(path)
    array = np.asarray(flower)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    with path.open("rb") as file:
        same = [load_image(file)]
    same += [
        load_image(image)
        for image in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), io.BytesIO(path.read_bytes()))
    ]
    every_second = np.repeat(np.frombuffer(path.read_bytes(), np.uint8), 2)[::2]
    same += [load_image(memoryview(path.read_bytes())), load_image(memoryview(every_second))]
    same += [
        load_image(image) for image in (flower, array, tensor, tensor.float() / 255, array.astype("float64") / 255)
    ]
    for image in same:
        assert image.mode == "RGB"
        assert np.array_equal(pixels(image), array)
    for type_, most in ((torch.float16, 0), (torch.bfloat16, 1)):
        assert np.abs(pixels(load_image((tensor / 255).to(type_))) - array).max() <= most


def test_result_shares_nothing_with_the_input(flower):
    loaded = load_image(flower)
    before = flower.getpixel((0, 0))
    loaded.putpixel((0, 0), (1, 2, 3))
    assert flower.getpixel((0, 0)) == before


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(flower, orientation):
    turned = {
        1: [], 2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM], 5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE], 8: [Image.Transpose.ROTATE_270],
    }[orientation]  # fmt: skip
    stored = flower
    for step in turned:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(saved(stored, "PNG", exif=exif))
    assert np.array_equal(pixels(loaded), pixels(flower))
    assert np.array_equal(pixels(load_image(loaded)), pixels(flower))


def test_malformed_exif_does_not_lose_the_photo(flower):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 8
    # Make's tag ID becomes Compression's, which has another type; without the TIFF magic there is no orientation.
    for place, byte, expected in ((17, 3, flower), (9, 0, flower.transpose(Image.Transpose.ROTATE_270))):
        odd = bytearray(exif.tobytes())
        odd[place] = byte
        content = saved(flower.transpose(Image.Transpose.ROTATE_270), "PNG", exif=bytes(odd))
        assert np.array_equal(pixels(load_image(content)), pixels(expected))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"])
def test_modes_become_rgb(flower, mode):
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(flower, *profiles, outputMode="LAB")
    else:
        before = {"PA": "P", "La": "LA", "RGBa": "RGBA"}.get(mode, "RGB")
        image = flower.convert(before).convert(mode)
    loaded = load_image(image)
    assert loaded.mode == "RGB"
    assert loaded.size == flower.size


def test_transparency_is_composited_on_white(flower):
    clear = flower.convert("RGBA")
    clear.putalpha(0)
    assert pixels(load_image(clear)).min() == 255
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([255, 0, 0] * 256)
    assert pixels(load_image(saved(palette, "PNG", transparency=0))).min() == 255


def test_16_bit_and_float_samples_are_scaled(flower):
    grey = pixels(flower.convert("L"))
    deep = Image.fromarray((grey * 257).astype(np.uint16))
    floats = [Image.fromarray((grey * scale).astype(np.float32)) for scale in (1 / 255, 1, 257)]
    for image in (deep, saved(deep, "PNG"), saved(deep, "TIFF"), *floats):
        assert np.abs(pixels(load_image(image))[:, :, 0] - grey).max() <= 1


def swapped_profile():
    """sRGB with its red and blue primaries swapped, under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"rXYZ", b"_XYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"_XYZ", b"bXYZ", 1)
    return profile.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_embedded_profile_is_converted_to_srgb(flower, mode):
    swapped = Image.merge("RGB", flower.split()[::-1]).convert(mode)
    converted = load_image(saved(swapped, "PNG", icc_profile=swapped_profile()))
    assert np.abs(pixels(converted) - pixels(flower)).max() <= 2
    assert not converted.info
    assert np.array_equal(pixels(load_image(converted)), pixels(converted))


@pytest.mark.parametrize("profile", [b"", b"damaged", swapped_profile()[:200]])
def test_a_damaged_profile_does_not_lose_the_photo(flower, profile):
    assert np.array_equal(pixels(load_image(saved(flower, "PNG", icc_profile=profile))), pixels(flower))


def test_a_dark_16_bit_photo_stays_dark():
    dark = Image.fromarray(np.full((8, 8), 200, np.uint16))
    for image in (dark, saved(dark, "PNG")):
        assert pixels(load_image(image)).max() == 1


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_pixels_without_a_value_do_not_darken_the_others(flower, nothing):
    grey = np.asarray(flower.convert("L"))
    samples = grey.astype(np.float32) / 255
    samples[0, 0] = nothing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pixels(load_image(saved(Image.fromarray(samples), "TIFF")))[..., 0]
    assert found[0, 0] == 0
    assert np.array_equal(found.ravel()[1:], grey.ravel()[1:])


def test_first_frame_of_an_animation_and_first_picture_of_an_mpo(flower):
    dark = Image.new("RGB", flower.size)
    for format_ in ("GIF", "WEBP", "PNG", "TIFF", "MPO"):
        content = saved(flower, format_, save_all=True, append_images=[dark])
        assert np.abs(pixels(load_image(content)) - pixels(flower)).mean() < 12, format_


def test_heic(flower):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    content = saved(flower, "HEIF", quality=90)
    assert np.abs(pixels(load_image(content)) - pixels(flower)).mean() < 8


def test_heic_in_threads_at_once(flower, tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    flower.save(tmp_path / "phone.heic", format="HEIF")
    code = (
        "import sys, PIL.Image; PIL.Image.init()\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from hashtagger.images import load_image\n"
        "with ThreadPoolExecutor(4) as pool: list(pool.map(load_image, [sys.argv[1]] * 8))\n"
    )
    # The race exists only in a process that has not read a HEIC file yet.
    subprocess.run([sys.executable, "-c", code, tmp_path / "phone.heic"], check=True)


def test_hint_shrinks_a_large_jpeg_to_no_less_than_twice(sample_photos):
    assert load_image(sample_photos["palace"]).size == (640, 427)
    assert load_image(sample_photos["palace"], shorter_side=96).size == (320, 214)
    assert load_image(sample_photos["palace"], shorter_side=400).size == (640, 427)


def test_damaged_files_name_themselves_and_the_cause(sample_photos, tmp_path):
    whole = sample_photos["flower"].read_bytes()
    cases = {
        "empty.jpg": (b"", "empty"),
        "note.jpg": (b"hello, not a photo", "not a photo"),
        "cut.jpg": (whole[: len(whole) // 2], "damaged photo"),
        "head.jpg": (whole[:30], "not a photo|damaged photo"),
        "photo.heic": (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC|damaged|not a photo"),
    }
    for name, (content, cause) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ImageError, match=f"{name}: .*({cause})") as raised:
            load_image(path)
        assert "\n" not in str(raised.value)
        with pytest.raises(ImageError, match=f"({cause})"):
            load_image(content)
    with pytest.raises(ImageError, match="absent.jpg: no such file"):
        load_image(tmp_path / "absent.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)


def test_postscript_is_never_run(flower, tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\n: > '{mark}'\nexit 1\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow keeps what it once looked for
    (tmp_path / "flower.jpg").write_bytes(saved(flower, "EPS"))
    for photo in (saved(flower, "EPS"), tmp_path / "flower.jpg"):
        with pytest.raises(ImageError, match="not a photo"):
            load_image(photo)
    assert not mark.exists()


def test_pil_images_and_streams_that_fail_late(flower, tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(saved(flower, "JPEG")[:700])
    closed = Image.open(path)
    closed.close()
    for image in (Image.open(path), closed):
        with pytest.raises(ImageError, match=r"PIL\.Image: damaged photo"):
            load_image(image)
    reading, writing = os.pipe()
    os.write(writing, b"hello, not a photo")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(ImageError, match="not a photo"):
        load_image(pipe)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path):
    path = tmp_path / "locked.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(ImageError, match=r"locked\.jpg: permission denied"):
        load_image(path)


def test_an_operating_system_error_is_not_called_damage():
    name = "a" * 300 + ".jpg"
    # Windows reports a missing file instead.
    with pytest.raises(ImageError, match=rf"^{name}: (the name is too long|no such file or folder)$"):
        load_image(name)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_damage_anywhere_is_an_image_error_or_an_image(flower, format_):
    content = saved(flower, format_)
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content[: random.integers(1, len(content) + 1)])
        for position in random.integers(0, len(damaged), 5):
            damaged[position] = random.integers(256)
        try:
            assert load_image(bytes(damaged)).mode == "RGB"
        except ImageError as error:
            assert "\n" not in str(error)


def test_whatever_a_decoder_raises_is_an_image_error(flower):
    pytest.importorskip("PIL._avif")
    with pytest.raises(ImageError, match="damaged photo"):
        load_image(saved(flower, "AVIF").replace(b"iloc", b"none"))


def test_reading_leaves_the_warning_filters_of_all_threads_alone(flower):
    class Photo(io.BytesIO):
        def read(self, *size):
            assert warnings.filters == before
            return super().read(*size)

    before = list(warnings.filters)
    assert load_image(Photo(saved(flower, "PNG"))).size == flower.size


def test_a_jpeg_of_a_phone_with_200_megapixels_is_decoded_at_a_fraction(tmp_path):
    path = tmp_path / "phone.jpg"
    Image.new("L", (16320, 12240), 128).save(path, quality=30)
    for photo in (path, path.read_bytes()):
        loaded = load_image(photo, shorter_side=128)
        assert loaded.size == (2040, 1530)
        assert loaded.getpixel((7, 7)) == (128, 128, 128)
    with pytest.raises(ImageError, match="phone.jpg: more than 178,956,970 pixels"):
        load_image(path)
    beyond = bytearray(path.read_bytes())
    header = beyond.index(b"\xff\xc0")  # start of frame: marker, length, precision, height, width
    beyond[header + 5 : header + 9] = (60000).to_bytes(2, "big") * 2
    with pytest.raises(ImageError, match="more than 178,956,970 pixels"):
        load_image(bytes(beyond), shorter_side=128)


def test_decompression_bombs_are_refused_unread():
    def png_header(width, height):
        import struct
        import zlib

        chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        end = struct.pack(">I", zlib.crc32(chunk))
        return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + end + b"\0\0\0\0IDAT" + bytes(4)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for side in (14_000, 20_000, 60_000):
            assert side * side > MAX_PIXELS
            with pytest.raises(ImageError, match=f"more than {MAX_PIXELS:,} pixels"):
                load_image(png_header(side, side))


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (np.zeros((3, 8, 8), np.uint8), "expected shape"),
        (np.zeros((2, 8, 8, 3), np.uint8), "expected shape"),
        (np.zeros((8,), np.uint8), "expected shape"),
        (np.zeros((0, 8, 3), np.uint8), "empty"),
        (np.zeros((8, 8, 3), np.int64), "expected uint8 or float, not int64"),
        (np.full((8, 8, 3), 1.5), r"0\.\.1"),
        (np.full((8, 8, 3), -0.5), r"0\.\.1"),
        (np.full((8, 8, 3), np.nan), r"0\.\.1"),
        (torch.zeros(8, 8, 3), "expected shape"),
        (torch.zeros(1, 3, 8, 8), "expected shape"),
        (torch.zeros(3, 8, 8).to_sparse(), r"^tensor \(3, 8, 8\): "),
        (torch.zeros(3, 8, 8, device="meta"), r"^tensor \(3, 8, 8\): "),
        (io.StringIO("text"), "^file object: not a binary file"),
        (UploadFile(io.BytesIO(b"x")), "^file object: not a binary file; .* the .file of an UploadFile"),
        ("", "the path of the photo is empty"),
        (None, "NoneType: not a photo"),
        (42, "int: not a photo"),
    ],
)
def test_wrong_arrays_and_objects(bad, cause):
    with pytest.raises(ImageError, match=cause):
        load_image(bad)


def test_floats_that_overshoot_after_resizing_are_clipped(flower):
    edges = torch.zeros(3, 16, 16)
    edges[:, :, 8:] = 1
    resized = torch.nn.functional.interpolate(edges[None], size=(20, 20), mode="bicubic", antialias=True)[0]
    assert resized.min() < -0.01
    assert resized.max() > 1.01
    cut = (resized.clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(pixels(load_image(resized)), cut)


def test_grey_and_rgba_arrays(flower):
    grey = np.asarray(flower.convert("L"))
    for array in (grey, grey[:, :, None], torch.from_numpy(grey.copy())[None]):
        assert np.array_equal(pixels(load_image(array))[:, :, 1], grey)
    assert load_image(np.asarray(flower.convert("RGBA"))).size == flower.size


def test_find_photos_skips_hidden_and_other_files(tmp_path):
    for name in ["b.JPG", "a/c.webp", "a/note.txt", ".hidden.jpg", "._b.JPG", ".git/x.png", "d.heic"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [p.relative_to(tmp_path).as_posix() for p in find_photos(tmp_path)] == ["a/c.webp", "b.JPG", "d.heic"]


def test_find_photos_says_which_links_it_does_not_follow(tmp_path, caplog):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").touch()
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    assert find_photos(tmp_path) == [tmp_path / "a" / "1.jpg"]
    assert caplog.messages == [f"links to folders are not followed: {tmp_path / 'a' / 'circle'}"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"absent: no such file or folder"):
        find_photos(tmp_path / "absent")
