import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hashtagger.cli import main
from hashtagger.cli.normalize import command as normalize
from hashtagger.cli.related import command as related


def test_tags_are_told() -> None:
    result = CliRunner().invoke(normalize, ["#댕댕이", "봄이"])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["#댕댕이\t#강아지", "봄이\t#봄이"]


def test_explaining_names_the_rule() -> None:
    line = CliRunner().invoke(normalize, ["멍스타그렘", "--explain"]).stdout
    assert line.split("\t")[:4] == ["멍스타그렘", "#강아지", "dog", "0.97"]
    assert "family" in line


def test_any_bytes_on_stdin_are_answered_in_one_document() -> None:
    result = CliRunner().invoke(normalize, ["-", "--json"], input="#여행\n\xff카페\n\n꽃".encode("latin-1", "replace"))
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == 3
    answer = json.loads(CliRunner().invoke(normalize, ["-", "--json"], input="#강아지#카페\n").stdout)
    assert answer[0]["canonical"] == ["dog", "cafe"]


def test_lines_of_korean_windows_are_read_too() -> None:
    lines = b"\xef\xbb\xbf" + "#댕댕이\r\n".encode() + "야옹이\r\n".encode("cp949")
    result = CliRunner().invoke(normalize, ["-"], input=lines)
    assert result.stdout.splitlines() == ["#댕댕이\t#강아지", "야옹이\t#고양이"]


def test_lines_of_powershell_are_read_too() -> None:
    for encoding in ("utf-16", "utf-16-be"):
        lines = ("\ufeff" if encoding == "utf-16-be" else "") + "#댕댕이\r\n야옹이\r\n"
        result = CliRunner().invoke(normalize, ["-"], input=lines.encode(encoding))
        assert result.stdout.splitlines() == ["#댕댕이\t#강아지", "야옹이\t#고양이"]


def test_what_is_blank_is_no_tag() -> None:
    assert CliRunner().invoke(normalize, ["", "-", "꽃"], input="  \n\t\n").stdout == "꽃\t#꽃\n"


@pytest.mark.parametrize(("command", "code"), [("normalize -", 0), ("learn posts.jsonl --user mine.toml", 1)])
def test_a_closed_stdin_is_an_empty_one(command: str, code: int, tmp_path: Path, monkeypatch, capsys) -> None:
    posts = '{"tags": ["강아지", "콩이네"]}\n' * 3 + '{"tags": ["카페"]}\n' * 3
    (tmp_path / "posts.jsonl").write_text(posts, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as stop:
        main(command.split())
    assert (stop.value.code, capsys.readouterr().out) == (code, "")


def test_related() -> None:
    assert CliRunner().invoke(related, ["강아지", "-k", "2"]).stdout.split()[0].startswith("#")
    assert len(json.loads(CliRunner().invoke(related, ["#강아지", "--json"]).stdout)["#강아지"]) == 10
