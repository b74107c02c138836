"""The house style of figures: colours that are safe for colour-blind readers, and a font that has Korean glyphs.

Draw and save figures inside :func:`house_style` (a context manager and decorator): matplotlib lays out some text only
when a figure is saved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hashtagger.errors import MissingExtraError
from hashtagger.i18n import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT = "inferno"
"""Colour map of heat maps: perceptually uniform, also in greyscale."""
ACCENT = "#d55e00"
"""The colour of whatever a figure highlights."""

_SETTINGS = Path(__file__).with_suffix(".mplstyle")
_PACKAGE = "koreanize_matplotlib"
_KNOWN = (
    "Pretendard",
    "Noto Sans KR",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "NanumGothic",
    "NanumBarunGothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "Malgun Gothic",
    "Source Han Sans KR",
    "Baekmuk Gulim",
    "UnDotum",
)


@lru_cache(maxsize=1)
def korean_font() -> str:
    """Return a font family with which matplotlib can draw Korean.

    It is NanumGothic if the package that ships it is installed, so that figures look the same everywhere, else the
    first well-known Korean font of the system.

    Raises:
        MissingExtraError: There is no Korean font, so Korean would be drawn as boxes.
    """
    from matplotlib.font_manager import fontManager

    package = find_spec(_PACKAGE)
    if package is not None and package.origin is not None:
        # Importing the package would change the settings of the caller's own figures.
        fontManager.addfont(Path(package.origin).parent / "fonts" / "NanumGothic.ttf")
        return "NanumGothic"
    installed = {font.name for font in fontManager.ttflist}
    for name in _KNOWN:
        if name in installed:
            return name
    raise MissingExtraError(
        _("no Korean font on this system; get one: pip install '.[explain]' in a clone of hashtagger")
    )


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the house style within the context, then restore matplotlib's settings.

    Raises:
        MissingExtraError: matplotlib or a Korean font is missing.
    """
    try:
        import matplotlib.style
    except ImportError as error:
        raise MissingExtraError(
            _("figures require matplotlib: pip install '.[explain]' in a clone of hashtagger")
        ) from error
    with matplotlib.style.context([_SETTINGS, {"font.family": [korean_font(), "DejaVu Sans"]}]):
        yield


def panels(columns: int, rows: int = 1, width: float = 4.5, height: float = 4.0) -> "tuple[Figure, list[Axes]]":
    """Make a figure of equal panels.

    Args:
        columns: Number of columns.
        rows: Number of rows.
        width: Width of one panel, in inches.
        height: Height of one panel, in inches.

    Returns:
        The figure, and its axes row by row.
    """
    # Not through pyplot, which would select a GUI backend and keep every figure alive.
    from matplotlib.figure import Figure

    figure = Figure((width * columns, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())
