import json

from click.testing import CliRunner

from hashtagger.cli.normalize import command as normalize
from hashtagger.cli.related import command as related


def test_tags_are_told() -> None:
    result = CliRunner().invoke(normalize, ["#댕댕이", "봄이"])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["#댕댕이\t#강아지", "봄이\t#봄이"]


def test_explaining_names_the_rule() -> None:
    line = CliRunner().invoke(normalize, ["멍스타그렘", "--explain"]).stdout
    assert line.split("\t")[:4] == ["멍스타그렘", "#강아지", "dog", "97%"]
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


def test_related() -> None:
    assert CliRunner().invoke(related, ["강아지", "-k", "2"]).stdout.split()[0].startswith("#")
    assert len(json.loads(CliRunner().invoke(related, ["#강아지", "--json"]).stdout)["#강아지"]) == 10
