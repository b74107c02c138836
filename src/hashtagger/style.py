"""The house style of pictures: colours that colour-blind people tell apart, Korean text without boxes.

Draw inside :func:`house_style` (a context manager, also a decorator), saving included: matplotlib makes
some of its text only when a figure is saved.
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
"""Colour map of heat: perceptually even, so that twice as hot looks twice as hot, in grey too."""
ACCENT = "#d55e00"
"""The one colour for what a picture points at."""

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
    """Name a font family that matplotlib can draw Korean with.

    It is NanumGothic where the package that carries it is installed, so that pictures look alike everywhere,
    else the first well-known one of the system.

    Raises:
        MissingExtraError: There is none, and Korean would come out as boxes.
    """
    from matplotlib.font_manager import fontManager

    carrier = find_spec(_PACKAGE)
    if carrier is not None and carrier.origin is not None:
        # Importing the package would change the settings of the caller's own figures.
        fontManager.addfont(Path(carrier.origin).parent / "fonts" / "NanumGothic.ttf")
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
    """Draw in the house style; matplotlib's settings are as before afterwards.

    Raises:
        MissingExtraError: matplotlib or a Korean font is missing.
    """
    try:
        import matplotlib.style
    except ImportError as error:
        raise MissingExtraError(
            _("pictures take matplotlib: pip install '.[explain]' in a clone of hashtagger")
        ) from error
    with matplotlib.style.context([_SETTINGS, {"font.family": [korean_font(), "DejaVu Sans"]}]):
        yield


def panels(columns: int, rows: int = 1, width: float = 4.5, height: float = 4.0) -> "tuple[Figure, list[Axes]]":
    """Make a figure of equal panels.

    Args:
        columns: Panels beside each other.
        rows: Panels above each other.
        width: Width of one panel, in inches.
        height: Height of one panel, in inches.

    Returns:
        The figure, and its axes row by row.
    """
    # Not through pyplot, which would choose a screen and keep every figure alive.
    from matplotlib.figure import Figure

    figure = Figure((width * columns, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())
