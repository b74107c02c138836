import gzip
import json

import pytest

from hashtagger.errors import SourceError
from hashtagger.posts import open_source
from hashtagger.tagposts import TagPost, read_tag_posts

GOOD = '{"tags": ["강아지"], "date": "2023-04-20"}'


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_one_post_per_line(tmp_path, name, start, ending):
    data = (start + GOOD + ending * 2 + '{"tags": [], "query": "개"}').encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert list(read_tag_posts(tmp_path / name)) == [TagPost(("강아지",), "2023-04-20"), TagPost((), None, "개")]


@pytest.mark.parametrize(
    "line",
    [
        b'{"tags": "letters"}', b'{"tags": {"a": 1}}', b'{"tags": [null]}', b'{"tags": ["a", 3]}', b"{}", b"[]", b"3",
        b'{"tags": ["a"], "date": 20230101}', b'{"tags": ["a"], "query": ["a"]}', b'{"tags": ["\xff"]}', b"[" * 99999,
    ],
)  # fmt: skip
def test_line_that_is_not_a_post_is_named(tmp_path, line):
    (tmp_path / "a.jsonl").write_bytes(GOOD.encode() + b"\n" + line + b"\n")
    with pytest.raises(SourceError, match=r"a\.jsonl: line 2 is not a post"):
        list(read_tag_posts(tmp_path / "a.jsonl"))


def test_damaged_archive_is_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    data = gzip.compress("\n".join(json.dumps({"tags": [f"x{number}"]}) for number in range(3000)).encode())
    for damaged in (data[:200] + bytes(60) + data[260:], data[:500], b"not packed"):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match=r"a\.jsonl\.gz: (?!line).") as caught:
            list(read_tag_posts(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [open_source, lambda path: list(read_tag_posts(path))])
def test_name_that_no_file_can_have_is_one_line(tmp_path, read):
    for name in ("a" * 300, "a\0b", "a" * 300 + ".jsonl"):
        with pytest.raises(SourceError):
            read(tmp_path / name)


def test_source_of_posts_gives_its_tags(tmp_path):
    (tmp_path / "2023-04-20_14-13-20_UTC.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photo")
    (tmp_path / "2023-04-20_14-13-20_UTC.txt").write_text("#산책", encoding="utf-8")
    assert list(read_tag_posts(tmp_path)) == [TagPost(("산책",), "2023-04-20")]
