"""Posts with small pieces of scikit-learn's two sample photos, and a picture of a whole tree for comparison."""

import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hashtagger.organize import files, journal
from hashtagger.posts.post import Media, Post, Problem

SEOUL = timezone(timedelta(hours=9))


@dataclass
class Album:
    """A source of real files; each row is (file, when, tags, caption)."""

    root: Path
    rows: list[tuple[str, str, tuple[str, ...], str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, file: str, when: str, *tags: str, caption: str = "") -> None:
        self.rows.append((file, when, tags, caption))

    def posts(self) -> Iterator[Post]:
        for file, when, tags, caption in self.rows:
            path = self.root / file
            media = Media(path.name, str(path), "video" if path.suffix == ".mp4" else "photo", path)
            link = f"https://www.instagram.com/p/{path.stem}/"
            yield Post(datetime.fromisoformat(when).replace(tzinfo=SEOUL), (media,), caption, tags, link)


class _Unsynced(sqlite3.Connection):
    """A database that does not wait for the drive."""

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return super().execute("PRAGMA synchronous = OFF" if "synchronous" in statement else statement, *values)


@pytest.fixture(autouse=True)
def no_waiting_for_the_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip flushing: a killed process loses nothing already written; only a power cut would."""
    monkeypatch.setattr(files, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(journal, "open_database", partial(journal.open_database, factory=_Unsynced))


@pytest.fixture(scope="session")
def photo(sample_photos: dict[str, Path]) -> Callable[[int], bytes]:
    """Return JPEG number n: a 64-pixel piece of a real photo."""
    from PIL import Image

    images = [Image.open(sample_photos[name]).convert("RGB") for name in ("palace", "flower")]

    def cut(number: int) -> bytes:
        left, top = number * 37 % 500, number * 23 % 300
        out = io.BytesIO()
        images[number % 2].crop((left, top, left + 64, top + 64)).save(out, "JPEG", quality=85)
        return out.getvalue()

    return cut


@pytest.fixture
def album(tmp_path: Path, photo: Callable[[int], bytes]) -> Album:
    """Twelve photos in three folders with clashing names, two of them identical, and a video."""
    found = Album(tmp_path / "source")
    tags = [("강아지", "산책"), ("강아지",), ("고양이", "집"), (), ("꽃",), ("꽃", "강아지")]
    for number in range(12):
        file = f"{number % 3}/IMG_{number // 3}.jpg"
        path = found.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(0 if number == 11 else number))
        path.chmod(0o640)
        os.utime(path, ns=(1_500_000_000_000_000_000, 1_600_000_000_000_000_000 + number * 1_000_000_007))
        found.add(file, f"2021-{4 + number % 2:02d}-01T12:{number:02d}:00", *tags[number % 6], caption=f"사진 {number}")
    (found.root / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(5000))
    found.add("clip.mp4", "2022-01-01T00:30:00", "강아지")
    return found


def _picture(root: Path) -> dict[str, object]:
    if not root.exists():
        return {}
    inodes: dict[int, str] = {}
    seen: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith(".hashtagger"):
            continue
        stat = path.lstat()
        if path.is_symlink():
            seen[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            seen[name] = "folder"
        else:
            media = path.suffix in (".jpg", ".mp4")
            same = inodes.setdefault(stat.st_ino, name)
            seen[name] = (path.read_bytes(), same, (stat.st_mtime_ns, stat.st_mode) if media else None)
    return seen


@pytest.fixture
def picture() -> Callable[[Path], dict[str, object]]:
    """Describe a tree except our own folder: bytes, hard links, and the times and permissions of photos."""
    return _picture
