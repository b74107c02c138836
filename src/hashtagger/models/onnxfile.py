"""Read the metadata of an ONNX file without onnx or onnxruntime, and without reading its tensors.

An ONNX file is a protocol buffer: a sequence of fields, each with a field number, a wire type and, unless the value is
a plain number, a length. The length allows skipping the network itself.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_METADATA = 14  # field metadata_props of ModelProto, whose entries have a key (1) and a value (2)
_NUMBER, _BYTES = 0, 2


def read_metadata(path: Path) -> dict[str, str]:
    """Read the ``metadata_props`` of an ONNX file.

    Raises:
        ValueError: The file is truncated, or not a protocol buffer.
    """
    found = {}
    with path.open("rb") as file:
        for content in _fields(file, {_METADATA}):
            key, value = _fields(io.BytesIO(content), {1, 2})
            found[key.decode()] = value.decode()
    return found


def _fields(file: BinaryIO, wanted: set[int]) -> Iterator[bytes]:
    """Yield the contents of the fields whose numbers are in ``wanted``, and skip the others."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    while file.tell() < size:
        number, kind = divmod(_varint(file), 8)
        if kind == _NUMBER:
            _varint(file)
        elif kind == _BYTES and number:
            length = _varint(file)
            if file.tell() + length > size:
                raise ValueError("truncated")
            if number in wanted:
                yield file.read(length)
            else:
                file.seek(length, io.SEEK_CUR)
        else:
            raise ValueError("not an ONNX file")


def _varint(file: BinaryIO) -> int:
    """Read a varint: seven bits per byte, least significant first; the eighth bit means that more bytes follow."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("truncated")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("not an ONNX file")
