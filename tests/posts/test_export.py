import json
import zipfile
from pathlib import Path

import pytest

from hashtagger.errors import SourceError
from hashtagger.posts import open_source

from .conftest import jpeg  # noqa: TID252


def test_x():
    pass
