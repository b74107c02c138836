"""Parse times written by exports, cameras and file names into aware datetimes in the user's time zone."""

import re
import unicodedata
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from hashtagger.errors import SourceError
from hashtagger.i18n import _

_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc)
"""Dates outside this range come from unset camera clocks and damaged files."""

_WRITTEN = re.compile(
    r"(?P<year>\d{4})[:./-]?(?P<month>\d\d)[:./-]?(?P<day>\d\d)"
    r"(?:(?:T| *)(?P<hour>\d\d):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,]\d+)?)?\s*(?P<offset>Z|[+-]\d\d:?\d\d)?)?",
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")

_CLOCK = r"""
    (?:
        (?:[-_.T ]|\ at\ |,\ ){GAP} (?P<before>오전|오후|AM|PM)?\ ?
        (?P<hour>\d{1,2}) (?P<between>[-_.:ㆍ ]?) (?P<minute>\d\d) (?: (?P=between) (?P<second>\d\d) )?
        (?: (?<=\d{6})\d{1,3}(?!\d) | (?!\d) )
        (?: [-_.]\d{1,3}(?!\d) )?
        (?: [\ \u202f]?(?P<after>AM|PM)\b )?
        (?P<utc>_UTC|Z\b)?
    )?
"""
_YEAR = r"(?<!\d)(?P<year>19\d\d|20\d\d)"
_NAMED = tuple(
    re.compile(date + _CLOCK.replace("{GAP}", gap), re.VERBOSE | re.IGNORECASE)
    for date, gap in (
        (_YEAR + r"(?P<month>\d\d)(?P<day>\d\d)(?=\d{6}(?:\d{3})?(?!\d)|\D|$)", "*"),
        (_YEAR + r"(?P<separator>[-_.]\ ?)(?P<month>\d{1,2})(?P=separator)(?P<day>\d{1,2})(?!\d)\.?", "+"),
        (_YEAR + r"년\ ?(?P<month>\d{1,2})월\ ?(?P<day>\d{1,2})일", "+"),
        (r"@(?P<day>\d\d)-(?P<month>\d\d)-(?P<year>20\d\d)", "+"),  # Telegram
    )
)
_EPOCH_MILLISECONDS = re.compile(r"(?<!\d)(1\d{12})(?!\d)")


def find_zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name, e.g. ``"Asia/Seoul"``.

    Raises:
        SourceError: There is no zone of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise SourceError(_("{name}: no such time zone; give one like Asia/Seoul").format(name=name)) from error


def from_timestamp(value: object, zone: tzinfo) -> datetime | None:
    """Parse Unix seconds or milliseconds from a number or digits; ``None`` outside the years 1990 to 2099."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e14:
        return None
    seconds = value / 1000 if value > 1e11 else value
    # The range is checked first because on Windows fromtimestamp raises for years after 3000.
    return datetime.fromtimestamp(seconds, zone) if _EARLIEST.timestamp() <= seconds < _LATEST.timestamp() else None


def from_text(
    value: object, zone: tzinfo, *, written_in: tzinfo | None = None, offset: object = None
) -> datetime | None:
    """Parse a time as written by EXIF, XMP or an export: ``2023:04:20 23:13:20``, ``20251210T181138.000Z``, ISO 8601.

    Args:
        value: The text; any other type gives ``None``.
        zone: The time zone of the result.
        written_in: The time zone assumed for a text that names none; ``zone`` by default.
        offset: EXIF's separate offset, e.g. ``"+09:00"``; ignored if it is not a valid offset.
    """
    found = _WRITTEN.match(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    own = _fixed_zone(found["offset"]) or _fixed_zone(offset) or written_in or zone
    return _moment([int(found[part] or 0) for part in _PARTS], own, zone)


def from_name(stem: str, zone: tzinfo) -> datetime | None:
    """Parse the time in a file name given by a camera, phone, messenger or screenshot tool.

    Recognized are ``IMG_20230420_231320``, ``PXL_…`` (UTC), ``KakaoTalk_20230420_231320123``,
    ``KakaoTalk_Photo_2023-04-20-23-13-20``, ``IMG-20230420-WA0001``, ``Screenshot_20230420-231320_…``,
    ``스크린샷 2023-04-20 오후 11.13.20``, ``2023년 4월 20일``, ``2023-04-20_14-13-20_UTC``, ``1682000000123``,
    ``photo_1@20-04-2023_23-13-20`` and similar. A name with a date but no time gives midnight.
    """
    stem = unicodedata.normalize("NFC", stem)  # macOS decomposes 오후 and 년
    for found in (match for pattern in _NAMED for match in pattern.finditer(stem)):
        hour = int(found["hour"] or 0)
        half = (found["before"] or found["after"] or "").upper()
        if half in ("PM", "오후") and hour < 12:
            hour += 12
        elif half in ("AM", "오전") and hour == 12:
            hour = 0
        own = timezone.utc if found["utc"] or stem.upper().startswith("PXL_") else zone
        date = [int(found[part]) for part in ("year", "month", "day")]
        clock = [hour, int(found["minute"] or 0), int(found["second"] or 0)]
        moment = _moment(date + clock, own, zone) or _moment([*date, 0, 0, 0], own, zone)
        if moment is not None:
            return moment
    epoch = _EPOCH_MILLISECONDS.search(stem)
    return from_timestamp(int(epoch[1]), zone) if epoch else None


_PARTS = ("year", "month", "day", "hour", "minute", "second")


def _moment(parts: list[int], own: tzinfo, zone: tzinfo) -> datetime | None:
    year, month, day, hour, minute, second = parts
    try:
        # Older Androids write the hour after midnight as 24, under the date of the day that begins.
        moment = datetime(year, month, day, 0 if hour == 24 else hour, minute, min(second, 59), tzinfo=own)
        return moment.astimezone(zone) if _EARLIEST <= moment < _LATEST else None
    except (ValueError, OverflowError):
        return None


def _fixed_zone(offset: object) -> tzinfo | None:
    if offset == "Z":
        return timezone.utc
    found = _OFFSET.fullmatch(offset.strip()) if isinstance(offset, str) else None
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes)) if minutes < 24 * 60 else None
