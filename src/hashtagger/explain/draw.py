"""Draw the pictures of ``explain``, ``features`` and ``detect``.

The file extension selects the format: PNG, WebP, JPEG, PDF, SVG or any other that Matplotlib supports. An unsupported
extension, or a path that cannot be written, raises HashtaggerError.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hashtagger.arrays import Array
from hashtagger.errors import HashtaggerError, cause_of
from hashtagger.explain.detect import Detection
from hashtagger.explain.features import Channel
from hashtagger.i18n import _
from hashtagger.style import ACCENT, HEAT, house_style, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

_PANEL = 3.4
"""Longer side in inches of a panel that shows a photo."""
_LONGEST = 8
"""Maximum aspect ratio of a panel; a longer photo does not fill it."""
_SHOWN = 1200
"""Maximum side in pixels of a drawn photo."""


@house_style()
def draw_heat(image: "Image", maps: Sequence[tuple[str, Array]], path: Path) -> None:
    """Draw a photo and, beside it, the same photo under each heat map.

    Args:
        image: Upright, in mode RGB.
        maps: Pairs of a title and a heat map, float32 (height, width) in 0..1.
        path: Output file.
    """
    import matplotlib
    import numpy as np

    figure, axes = _photo_panels(image, 1 + len(maps))
    photo = _shown(image)
    axes[0].imshow(photo)
    grey = np.asarray(photo.convert("L"), np.float32)[..., None] / 255
    colours = matplotlib.colormaps[HEAT]
    for cell, (title, heat) in zip(axes[1:], maps, strict=True):
        small = _resized(heat, photo.size)
        # The hotter a location, the more the colour map covers the dimmed photo.
        cover = 0.75 * small[..., None]
        cell.imshow(np.clip((1 - cover) * 0.6 * grey + cover * colours(small)[..., :3], 0, 1))
        cell.set_title(title)
    shade = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), HEAT)
    bar = figure.colorbar(shade, ax=axes, fraction=0.03, pad=0.01, aspect=30, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.set_label(_("how much each place looks like the tag"))
    _save(figure, path)


@house_style()
def draw_detections(image: "Image", title: str, found: Sequence[Detection], path: Path) -> None:
    """Draw a photo with boxes and their scores.

    Args:
        image: Upright, in mode RGB.
        title: Written over the photo.
        found: Detections, best first; the best is drawn on top.
        path: Output file.
    """
    from matplotlib.patches import Rectangle

    figure, (axes,) = _photo_panels(image, 1, scale=1.5)
    axes.imshow(_shown(image), extent=(0, image.width, image.height, 0))
    for rank, one in reversed(list(enumerate(found))):
        left, top, right, bottom = one.box
        for colour, line in (("white", 3.4), (ACCENT, 2 if rank == 0 else 1.2)):
            frame = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=line)
            axes.add_patch(frame)
        axes.annotate(
            f"{one.score:.0%}",
            (left, top),
            xytext=(4, -4),
            textcoords="offset points",
            va="top",
            color="white",
            bbox={"boxstyle": "square,pad=0.25", "facecolor": ACCENT, "edgecolor": "none"},
        )
    axes.set(xlim=(0, image.width), ylim=(image.height, 0), title=title)
    _save(figure, path)


@house_style()
def draw_filters(filters: Array, title: str, path: Path) -> None:
    """Draw first-layer filters, (n, rows, columns, 3) in 0..1, as a numbered grid."""
    columns = _columns(len(filters))
    figure, axes = _bare_panels(columns, -(-len(filters) // columns), 0.8, 0.92)
    for number, (cell, weights) in enumerate(zip(axes, filters, strict=False)):
        cell.imshow(weights, interpolation="nearest")
        cell.set_title(f"{number}", fontsize=7, pad=2)
    figure.suptitle(title)
    _save(figure, path)


@house_style()
def draw_channels(image: "Image", channels: Sequence[Channel], title: str, path: Path) -> None:
    """Draw a photo and a level's channels as a grid; each channel has its own scale, from 0 to its maximum."""
    columns = _columns(len(channels) + 1)
    width = 1.3
    height = width * min(max(image.height / image.width, 1 / _LONGEST), _LONGEST)
    figure, axes = _bare_panels(columns, -(-(len(channels) + 1) // columns), width, height + 0.2)
    axes[0].imshow(_shown(image))
    for cell, channel in zip(axes[1:], channels, strict=False):
        # Stretched to the photo's aspect ratio, whatever the channel's resolution.
        cell.imshow(channel.values, cmap=HEAT, vmin=min(0.0, float(channel.values.min())), aspect="auto")
        cell.set_title(f"{channel.number}", fontsize=7, pad=2)
    figure.suptitle(title)
    _save(figure, path)


def _photo_panels(image: "Image", columns: int, scale: float = 1.0) -> "tuple[Figure, list[Axes]]":
    longer = max(image.size)
    width, height = (scale * _PANEL * max(side / longer, 1 / _LONGEST) for side in image.size)
    return _bare_panels(columns, 1, width + 0.1, height + 0.3)


def _bare_panels(columns: int, rows: int, width: float, height: float) -> "tuple[Figure, list[Axes]]":
    figure, axes = panels(columns, rows, width, height)
    for cell in axes:
        cell.axis("off")
    return figure, axes


def _save(figure: "Figure", path: Path) -> None:
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        raise HashtaggerError(
            _("{path}: unsupported image format; there are: {known}").format(path=path, known=", ".join(sorted(known)))
        )
    try:
        figure.savefig(path)
    except (OSError, RuntimeError) as error:  # a RuntimeError where the format takes a TeX that is not installed
        raise HashtaggerError(f"{path}: {cause_of(error)}") from error


def _shown(image: "Image") -> "Image":
    from PIL.Image import Resampling

    shrink = min(1.0, _SHOWN / max(image.size))
    size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
    return image.resize(size, Resampling.LANCZOS, reducing_gap=3.0)


def _resized(heat: Array, size: tuple[int, int]) -> Array:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))


def _columns(cells: int) -> int:
    return next(columns for columns in (4, 5, 6, 8, 10, 12, 16) if columns * columns >= cells or columns == 16)
