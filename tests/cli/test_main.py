import pytest
from click.testing import CliRunner

from hashtagger.cli import group


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
