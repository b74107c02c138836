"""Writing rows as a table: Parquet, JSON Lines or CSV, depending on the file's suffix."""

import csv
import importlib.util
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import IO, Any

from hashtagger.errors import MissingExtraError, TaggingError
from hashtagger.i18n import _
from hashtagger.scale.tagging import Row

_ROW_GROUP = 8_192


def to_line(row: Row) -> bytes:
    """Encode a row as one line of JSON."""
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def from_lines(file: IO[bytes]) -> Iterator[Row]:
    """Decode rows written by :func:`to_line`."""
    return map(json.loads, file)


def check_ending(path: str) -> None:
    """Check that a table can be written to a path: its suffix is known and the packages are installed.

    Raises:
        TaggingError: The suffix is not ``.parquet``, ``.jsonl`` or ``.csv``.
        MissingExtraError: The format needs pyarrow, which is not installed.
    """
    if _ending(path) not in _WRITERS:
        raise TaggingError(_("{path}: tags are written to .parquet, .jsonl or .csv").format(path=path))
    if _ending(path) == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError(
            _("{path}: Parquet takes pyarrow: pip install '.[tag]' in a clone of hashtagger").format(path=path)
        )


def write_table(rows: Iterable[Row], file: IO[bytes], path: str) -> None:
    """Stream rows to an open file in the format of the path's suffix."""
    _WRITERS[_ending(path)](rows, file)


def _ending(path: str) -> str:
    return PurePosixPath(path).suffix.removeprefix(".").lower()


def _write_jsonl(rows: Iterable[Row], file: IO[bytes]) -> None:
    for row in rows:
        file.write(to_line(row))


def _write_csv(rows: Iterable[Row], file: IO[bytes]) -> None:
    """Write one line per photo, with its tags, keys and scores separated by spaces; the BOM is for Excel."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    table = csv.writer(text)
    table.writerow(["photo", "tags", "keys", "scores", "best_tag", "best_key", "best_score", "error"])
    for row in rows:
        lists = (" ".join(str(tag[column]) for tag in row["tags"]) for column in ("tag", "key", "score"))
        best = row["best"] or {"tag": "", "key": "", "score": ""}
        table.writerow([row["photo"], *lists, best["tag"], best["key"], best["score"], row["error"] or ""])
    text.detach()


def _write_parquet(rows: Iterable[Row], file: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    guess = pa.struct([("tag", pa.string()), ("key", pa.string()), ("score", pa.float64())])
    schema = pa.schema([("photo", pa.string()), ("tags", pa.list_(guess)), ("best", guess), ("error", pa.string())])
    remaining = iter(rows)
    with pq.ParquetWriter(file, schema, compression="zstd") as table:
        while group := list(islice(remaining, _ROW_GROUP)):
            table.write_table(pa.Table.from_pylist(group, schema))


_WRITERS: dict[str, Callable[[Iterable[Row], IO[bytes]], Any]] = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
    "csv": _write_csv,
}
