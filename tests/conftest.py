"""Real photos for the tests: scikit-learn's two samples, and the shared data where it is at hand."""

import importlib.util
import os
from pathlib import Path

import hypothesis
import pytest

# The same examples in every run, and no example fails for being slow.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

SHARED = Path(os.environ.get("HASHTAGGER_SHARED", Path(__file__).parents[1] / ".." / "shared"))


@pytest.fixture(autouse=True)
def english(monkeypatch):
    """Messages in English, whoever runs the tests."""
    monkeypatch.setenv("LANGUAGE", "en")


@pytest.fixture(scope="session")
def sample_photos() -> dict[str, Path]:
    """The flower and the palace garden that come with scikit-learn, by name."""
    # Found without importing it, which takes seconds.
    folder = Path(importlib.util.find_spec("sklearn").origin).parent / "datasets" / "images"
    return {"flower": folder / "flower.jpg", "palace": folder / "china.jpg"}


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the shared data (HASHTAGGER_SHARED, now {SHARED})")
    return SHARED
