"""Sending stored files, which a browser caches for a day and then asks for only if they have changed."""

from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.staticfiles import NotModifiedResponse, StaticFiles


def send_file(request: Request, path: Path, media_type: str | None = None) -> Response:
    """Send a file, or only that the browser already has it.

    Args:
        request: The request, with the ETag of the browser's copy if it has one.
        path: The file.
        media_type: The file's type; by default that of its extension.
    """
    headers = {"Cache-Control": "private, max-age=86400"}
    answer = FileResponse(path, headers=headers, media_type=media_type, stat_result=path.stat())
    if StaticFiles().is_not_modified(answer.headers, request.headers):
        return NotModifiedResponse(answer.headers)
    return answer
