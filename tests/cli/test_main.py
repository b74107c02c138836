import os
import sqlite3
import subprocess
import sys
import unicodedata

import pytest
from click.testing import CliRunner

from hashtagger.cli import group, related


@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_command_is_said_in_one_whole_line(language):
    process = subprocess.run(
        [sys.executable, "-m", "hashtagger", "--help"],
        env={**os.environ, "LANGUAGE": language, "LC_ALL": "C.UTF-8", "LANG": language, "COLUMNS": "80"},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    lines = process.stdout.splitlines()
    commands = lines[lines.index({"en": "Commands:", "ko": "명령:"}[language]) + 1 :]
    assert [line.split()[0] for line in commands] == group.list_commands(None)
    for line in commands:
        assert not line.endswith("..."), line
        assert sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in line) <= 80, line


@pytest.mark.parametrize("output", ["no-folder/table.gz", "posts.jsonl/table.gz"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, output):
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"tags": ["꽃", "봄"]}\n' * 30, encoding="utf-8")
    result = CliRunner().invoke(
        group, ["related-build", str(posts), "--output", str(tmp_path / output), "--source", "x"]
    )
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert str(tmp_path / output) in line


def test_a_data_folder_that_cannot_be_used_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("fastapi")
    monkeypatch.setenv("HASHTAGGER_DATA_DIR", str(tmp_path))
    (tmp_path / "lock").mkdir()
    result = CliRunner().invoke(group, ["serve", "--no-browser", "--port", "0"])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}: unable to open database file\n"


def test_an_error_of_sqlite_is_one_line(monkeypatch):
    def fail(**_options):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(related.command, "callback", fail)
    result = CliRunner().invoke(group, ["related", "봄"])
    assert result.exit_code == 1
    assert result.stderr == "Error: disk I/O error\n"
