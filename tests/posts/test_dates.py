from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagger.errors import SourceError
from hashtagger.posts.dates import find_zone, from_name, from_text, from_timestamp

SEOUL = find_zone("Asia/Seoul")


@pytest.mark.parametrize(
    "name",
    [
        "IMG_20230420_231320",
        "20230420_231320",
        "20230420_231320(1)",
        "20230420231320",
        "20230420_231320_HDR",
        "20230420_231320_001",
        "MVIMG_20230420_231320",
        "00000IMG_00000_BURST20230420231320123_COVER",
        "PXL_20230420_141320123",
        "PXL_20230420_141320123.MP",
        "KakaoTalk_20230420_231320123",
        "KakaoTalk_20230420_231320123_01",
        "KakaoTalk_Photo_2023-04-20-23-13-20",
        "KakaoTalk_Photo_2023-04-20-23-13-20 001",
        "Screenshot_20230420-231320_Instagram",
        "Screenshot_2023-04-20-23-13-20-123_com.instagram.android",
        "스크린샷 2023-04-20 오후 11.13.20",
        "스크린샷 2023-04-20 231320",
        "Screen Shot 2023-04-20 at 11.13.20 PM",
        "Screenshot 2023-04-20 at 23.13.20",
        "화면 캡처 2023-04-20 231320",
        "2023-04-20 23.13.20",
        "2023. 4. 20. 오후 11 13 20",
        "2023-04-20_14-13-20_UTC",
        "2023-04-20_14-13-20_UTC_3",
        "IMG_20230420_231320_123",
        "signal-2023-04-20-231320",
        "photo_12@20-04-2023_23-13-20",
        "20230420T141320Z",
        "1682000000123",
        "FB_IMG_1682000000123",
    ],
)
def test_names_of_cameras_messengers_and_screenshots(name):
    assert from_name(name, SEOUL).replace(microsecond=0) == datetime(2023, 4, 20, 23, 13, 20, tzinfo=SEOUL)


@pytest.mark.parametrize(
    "name", ["IMG-20230420-WA0001", "photo-2023-04-20", "20230420", "2023.4.20", "20230420_999999"]
)
def test_date_alone_is_its_midnight(name):
    assert from_name(name, SEOUL) == datetime(2023, 4, 20, tzinfo=SEOUL)


@pytest.mark.parametrize(
    "name",
    [
        "IMG_1234",
        "DSC01234",
        "photo_12@31-13-2023_23-13-20",
        "111_222_333_n_17900000000000002",
        "20231399_999999",
        "20121231567",
        "",
        "강아지",
    ],
)
def test_numbers_that_are_no_dates(name):
    assert from_name(name, SEOUL) is None


def test_morning_and_noon_by_the_half_of_the_day():
    assert from_name("스크린샷 2023-04-20 오전 12.05.06", SEOUL).hour == 0
    assert from_name("스크린샷 2023-04-20 오후 12.05.06", SEOUL).hour == 12
    assert from_name("Screen Shot 2023-04-20 at 9.05.06 AM", SEOUL).hour == 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023:04:20 23:13:20", "2023-04-20T23:13:20+09:00"),
        ("20251210T181138.000Z", "2025-12-11T03:11:38+09:00"),
        ("2019-01-02T03:04:05+00:00", "2019-01-02T12:04:05+09:00"),
        ("2023-04-20T23:13", "2023-04-20T23:13:00+09:00"),
        ("2023:04:20  23:13:20", "2023-04-20T23:13:20+09:00"),
        ("2023:04:20 24:13:20", "2023-04-20T00:13:20+09:00"),
    ],
)
def test_times_as_exif_xmp_and_exports_write_them(text, expected):
    assert from_text(text, SEOUL).isoformat() == expected


@pytest.mark.parametrize(
    "text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2023", "2023:13:01 00:00:00", 5, None, ""]
)
def test_what_is_no_time(text):
    assert from_text(text, SEOUL) is None


def test_offset_beside_and_zone_of_those_without_one():
    assert from_text("2023:04:20 10:00:00", SEOUL, offset="-05:00").hour == 0
    assert from_text("2023:04:20 10:00:00", SEOUL, offset="   :  ").hour == 10
    assert from_text("2018-11-05T20:19:29", SEOUL, written_in=timezone.utc).hour == 5


def test_half_past_midnight_in_seoul_is_its_own_day_and_month():
    moment = from_timestamp(1_682_866_800 + 1800, SEOUL)
    assert (moment.month, moment.day, moment.hour, moment.minute) == (5, 1, 0, 30)
    assert moment.utcoffset() == timedelta(hours=9)


@pytest.mark.parametrize("value", [1_682_000_000, 1_682_000_000.0, "1682000000", 1_682_000_000_000])
def test_seconds_and_milliseconds(value):
    assert from_timestamp(value, SEOUL) == datetime(2023, 4, 20, 23, 13, 20, tzinfo=SEOUL)


@pytest.mark.parametrize("value", [True, None, 0, -4, float("nan"), float("inf"), 10**30, "x", "²", [], {}])
def test_no_timestamps(value):
    assert from_timestamp(value, SEOUL) is None


@pytest.mark.parametrize("name", ["Asia/Nowhere", "", "../etc/passwd", "Asia", "\0"])
def test_unknown_zone_is_one_line(name):
    with pytest.raises(SourceError, match="no such time zone"):
        find_zone(name)


@given(st.text())
def test_any_name_gives_a_time_in_the_zone_or_none(name):
    for moment in (from_name(name, SEOUL), from_text(name, SEOUL, offset=name)):
        assert moment is None or moment.tzinfo is SEOUL
