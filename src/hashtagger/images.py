"""Load photos from any supported input as upright RGB images."""

import contextlib
import errno
import functools
import glob
import inspect
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, TypeVar

from hashtagger.arrays import Array
from hashtagger.errors import ImageError, cause_of
from hashtagger.i18n import _

if TYPE_CHECKING:
    from PIL import ImageCms
    from PIL.Image import Image
    from torch import Tensor
else:
    Image = Tensor = Any  # so that ImageLike can be defined at run time without importing Pillow and torch

T = TypeVar("T")
ImageLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image | Array | Tensor

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .gif .bmp .tif .tiff .mpo .avif .heic .heif".split()  # noqa: SIM905
)
"""File name suffixes (lower case) that :func:`find_photos` looks for."""

MAX_PIXELS = 178_956_970
"""Photos that decode to more pixels are refused: Pillow's limit against decompression bombs (half a gigabyte as RGB).

A JPEG that is decoded at a fraction of its size may have twice as many, as those of phones with 200 megapixels do.
"""

_OVERSHOOT = 0.1  # how far outside 0..1 floats may lie, as bicubic resizing overshoots
_ORIENTATION = 0x0112  # the EXIF tag


def load_image(image: ImageLike, *, shorter_side: int | None = None) -> "Image":
    """Load a photo from any supported input as an upright RGB image.

    EXIF orientation is applied, an embedded colour profile is converted to sRGB, transparency is composited on white,
    16-bit samples are scaled to 8 bits, and only the first picture of an animation or multi-picture file is used.

    Args:
        image: A path, bytes, a binary file object, a PIL image, an ndarray (h, w), (h, w, 1), (h, w, 3) or
            (h, w, 4) of uint8 or of float in 0..1, or a tensor (1 or 3 or 4, h, w) of the same types. Floats
            that lie outside 0..1 by up to 0.1, as after bicubic resizing, are clipped.
        shorter_side: A hint that no more than this many pixels are needed; a large JPEG is then decoded
            at a half, a quarter or an eighth of its size (never below twice the hint).

    Returns:
        A PIL image in mode RGB that shares nothing with the input.

    Raises:
        ImageError: The input cannot be read, is empty, truncated, not a photo, of the wrong shape or type, or has more
            than :data:`MAX_PIXELS` pixels.
    """
    from PIL import Image

    if isinstance(image, Image.Image):
        return _decode(image, "PIL.Image", None)
    if isinstance(image, str | os.PathLike):
        if not os.fspath(image):
            raise ImageError(_("the path of the photo is empty"))
        return _decode(Path(image), str(image), shorter_side)
    if isinstance(image, bytes | bytearray | memoryview):
        content = bytes(image)  # a view may skip bytes, or have items of several
        return _decode(io.BytesIO(content), _("{n} bytes").format(n=len(content)), shorter_side)
    if hasattr(image, "read"):
        name = str(getattr(image, "name", "") or _("file object"))
        if isinstance(image, io.TextIOBase) or inspect.iscoroutinefunction(image.read):
            raise ImageError(
                _('{name}: not a binary file; open it with "rb", or give the .file of an UploadFile').format(name=name)
            )
        return _decode(image, name, shorter_side)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(image, torch.Tensor):
        return _from_tensor(image)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(image, numpy.ndarray):
        return _from_array(image, f"ndarray {image.shape}")
    raise ImageError(
        _("{name}: not a photo; give a path, bytes, a file, a PIL image, an ndarray or a tensor").format(
            name=type(image).__name__
        )
    )


def is_one(photos: object) -> "TypeGuard[ImageLike]":
    """Whether ``photos`` is a single photo, not several; a four-dimensional array is several."""
    return (
        isinstance(photos, str | os.PathLike | bytes | bytearray | memoryview)
        or hasattr(photos, "read")
        or not isinstance(photos, Iterable)
        or getattr(photos, "ndim", 4) < 4
    )


def as_photos(photos: "ImageLike | Iterable[T]") -> "Iterable[T]":
    """Wrap a single photo in a list; return several unchanged."""
    return [photos] if is_one(photos) else photos  # type: ignore[list-item, return-value]


def matches(place: str) -> list[str]:
    """Expand a glob pattern, sorted; a name that exists or contains no wildcard is returned as is."""
    if os.path.exists(place) or not glob.has_magic(place):  # noqa: PTH110  (Path raises at too long a name)
        return [place]
    return sorted(glob.glob(place, recursive=True))  # noqa: PTH207  (Path.glob takes no absolute pattern)


def find_photos(folder: Path) -> list[Path]:
    """List the photos below a folder, sorted by path; hidden files and folders are skipped.

    Symbolic links to folders are not followed, because they may form a cycle; a warning names them.

    Raises:
        ImageError: A folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise ImageError(f"{error.filename}: {cause_of(error)}") from error

    found, links = [], []
    for root, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += [str(path) for name in folders if (path := Path(root, name)).is_symlink()]
        found += [
            Path(root, name) for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    warn_of_links(links)
    return sorted(found)


def warn_of_links(folders: list[str]) -> None:
    """Log a warning that these symbolic links to folders, if any, are not followed."""
    if folders:
        import logging

        message = _("links to folders are not followed: {names}").format(names=", ".join(sorted(folders)))
        logging.getLogger(__name__).warning(message)


def _decode(file: Path | Any, name: str, shorter_side: int | None) -> "Image":
    from PIL import Image, UnidentifiedImageError

    register_heic()
    try:
        if isinstance(file, Image.Image):
            return _to_rgb(file, name)
        with open_photo(file, name) as opened:
            if opened.format == "EPS":  # a program, not pixels: decoding it runs Ghostscript
                raise UnidentifiedImageError
            if shorter_side is not None:
                opened.draft("RGB", (2 * shorter_side, 2 * shorter_side))
            return _to_rgb(opened, name)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: {_why_unidentified(file)}") from error
    # Decoders raise almost anything on damaged files; EINVAL comes from an invalid offset.
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise ImageError(f"{name}: {cause_of(error)}") from error
        raise ImageError(_("{name}: damaged photo ({cause})").format(name=name, cause=_one_line(error))) from error


def open_photo(file: Path | Any, name: str) -> "Image":
    """Open a photo without decoding it, as ``PIL.Image.open`` does, even a JPEG above Pillow's limit of pixels.

    Args:
        file: A path or a binary file object.
        name: What the error message calls it.

    Raises:
        ImageError: It has more pixels than can be decoded, even at a fraction.
        OSError: It cannot be read, or is not a photo.
    """
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        return Image.open(file)
    except Image.DecompressionBombError as error:
        # Pillow goes by the size in the header; the plugin itself has no limit.
        try:
            if not isinstance(file, Path):
                file.seek(0)
            opened = JpegImageFile(file)
        except (SyntaxError, AttributeError, OSError):  # of another format, or from a pipe, which cannot be read twice
            raise _too_large(name) from error
        # libjpeg holds the whole of a progressive file in memory, whatever fraction is decoded.
        if opened.width * opened.height > 2 * MAX_PIXELS:
            raise _too_large(name) from error
        return opened


def _why_unidentified(file: Path | Any) -> str:
    if isinstance(file, Path):
        with file.open("rb") as opened:
            head = opened.read(12)
    else:
        try:
            file.seek(0)
            head = file.read(12)
        except (AttributeError, OSError):  # a pipe cannot be read twice
            return _("not a photo")
    if not head:
        return _("empty")
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return _("a HEIC photo; reading it requires: pip install '.[heic]' in a clone of hashtagger")
    return _("not a photo")


@functools.cache
def register_heic() -> None:
    """Let Pillow read HEIC if the ``heic`` extra is installed; safe to call from several threads at once."""
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()


def _check_size(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise _too_large(name)
    if 0 in size:
        raise ImageError(_("{name}: empty").format(name=name))


def _too_large(name: str) -> ImageError:
    return ImageError(_("{name}: more than {limit} pixels").format(name=name, limit=f"{MAX_PIXELS:,}"))


def _to_rgb(image: "Image", name: str) -> "Image":
    from PIL import Image

    _check_size(image.size, name)
    upright = _upright(image)
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        upright = _to_8_bit(upright)
    if upright.mode == "La":
        upright = upright.convert("LA")
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        rgb = Image.new("RGB", layer.size, "white")
        rgb.paste(layer, mask=layer.getchannel("A"))
    else:
        rgb = upright.convert("RGB") if upright is image or upright.mode != "RGB" else upright
    if profile := image.info.get("icc_profile"):
        _to_srgb(rgb, profile)
    rgb.info.clear()  # The EXIF here would rotate the photo again if this image were passed to load_image.
    return rgb


def _upright(image: "Image") -> "Image":
    """Apply EXIF orientation; Pillow's ``exif_transpose`` also rewrites the EXIF, which fails on malformed entries."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    image.load()
    try:
        turn = turns[image.getexif()[_ORIENTATION]]
    # Damaged EXIF can raise anything, but the photo itself is intact.
    except Exception:
        return image
    return image.transpose(turn)


def _to_srgb(rgb: "Image", profile: bytes) -> None:
    """Convert an image from an embedded profile in place; one whose profile cannot be used stays as it is."""
    # A damaged profile, or one of grey or CMYK samples, can raise anything, but the pixels are intact.
    with contextlib.suppress(Exception):
        from PIL import ImageCms

        if transform := _srgb_transform(profile):
            ImageCms.applyTransform(rgb, transform, inPlace=True)


@functools.lru_cache(maxsize=16)
def _srgb_transform(profile: bytes) -> "ImageCms.ImageCmsTransform | None":
    """Return the transform from an ICC profile (Display P3 in iPhone photos) to sRGB; None if it is sRGB already."""
    from PIL import ImageCms

    opened = ImageCms.getOpenProfile(io.BytesIO(profile))
    if "sRGB" in ImageCms.getProfileDescription(opened):
        return None
    return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), "RGB", "RGB")


def _to_8_bit(image: "Image") -> "Image":
    """Scale 16-bit, 32-bit and float samples to 8 bits, by the range of their type if known, else by their maximum."""
    import numpy as np
    from PIL import Image

    samples = np.asarray(image, dtype=np.float32)
    # Pixels without a value (NaN, infinity) must not darken the others.
    samples = np.where(np.isfinite(samples), samples, 0)
    top = float(samples.max(initial=0.0))
    ranges = (65535.0,) if image.mode.startswith("I;16") else (255.0, 65535.0)
    if image.mode == "F":
        ranges = (1.0, *ranges)
    scale = next((end for end in ranges if top <= end), top)
    return Image.fromarray((np.clip(samples / scale, 0, 1) * 255).round().astype(np.uint8))


def _from_tensor(tensor: "Tensor") -> "Image":
    name = f"tensor {tuple(tensor.shape)}"
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise ImageError(
            _("{name}: expected shape (channels, height, width) with 1, 3 or 4 channels").format(name=name)
        )
    # To float32 first, because NumPy has no bfloat16.
    samples = tensor.float() if tensor.is_floating_point() else tensor
    try:
        array = samples.detach().cpu().permute(1, 2, 0).numpy()
    # Sparse tensors, tensors without data (meta), and others that NumPy cannot hold.
    except (TypeError, ValueError, RuntimeError) as error:
        raise ImageError(f"{name}: {_one_line(error)}") from error
    return _from_array(array, name)


def _from_array(array: Array, name: str) -> "Image":
    import numpy as np
    from PIL import Image

    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(_("{name}: expected shape (height, width) or (height, width, 1, 3 or 4)").format(name=name))
    _check_size((array.shape[1], array.shape[0]), name)
    if array.dtype.kind == "f":
        # Negated so that NaN is rejected too.
        if not (array.min() >= -_OVERSHOOT and array.max() <= 1 + _OVERSHOOT):
            raise ImageError(_("{name}: floats must lie in 0..1").format(name=name))
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(_("{name}: expected uint8 or float, not {dtype}").format(name=name, dtype=array.dtype))
    return _to_rgb(Image.fromarray(np.ascontiguousarray(array)), name)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
