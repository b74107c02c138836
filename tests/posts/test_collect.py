import json
import os
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from hashtagger.cli import group
from hashtagger.errors import CollectError
from hashtagger.posts import open_source
from hashtagger.posts.collect import Collected, Login, Wanted, collect_hashtag, collect_profile


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def login(*answers: str, codes: tuple[str, ...] = ()) -> Login:
    passwords, numbers = iter(answers), iter(codes)
    return Login("me", lambda: next(passwords), lambda: next(numbers))


def test_profile_comes_with_photos_carousel_and_video_and_reads_back_as_posts(instagram, tmp_path):
    collected = collect_profile("@Someone", tmp_path)
    assert collected.folder == tmp_path / "someone"
    assert collected.posts == 4
    assert collected.problems == ()
    assert "2023-06-05_21-20-00_UTC_3.mp4" in names(collected.folder)
    source = open_source(collected.folder)
    posts = {post.permalink.split("/")[-2]: post for post in source.posts()}
    assert source.problems == []
    assert set(posts) == {post["code"] for post in instagram.posts}
    assert [media.kind for media in posts["CrBBBBBBBBB"].media] == ["photo", "photo", "video", "other"]
    assert [media.kind for media in posts["CrCCCCCCCCC"].media] == ["video", "other"]
    assert posts["CrDDDDDDDDD"].tags == ("강아지",)
    assert posts["CrDDDDDDDDD"].place == "제주"
    assert posts["CrDDDDDDDDD"].taken_at.isoformat() == "2023-04-20T23:13:20+09:00"
    assert not any("True" in line for line in instagram.asked), "nobody logged in"


def test_second_run_fetches_no_file_again(instagram, tmp_path):
    collect_profile("someone", tmp_path)
    instagram.asked.clear()
    collect_profile("someone", tmp_path)
    assert not any("cdninstagram" in line for line in instagram.asked)


def test_fast_update_stops_at_what_is_there(instagram, tmp_path):
    collect_profile("someone", tmp_path)
    assert collect_profile("someone", tmp_path, wanted=Wanted(fast_update=True)).posts == 4, (
        "the first three may be pinned"
    )
    instagram.posts = [*instagram.posts, *({**instagram.posts[-1], "code": f"CrZ{n}"} for n in range(9))]
    assert collect_profile("someone", tmp_path, wanted=Wanted(fast_update=True)).posts == 4


def test_count_and_since_leave_out_older_posts(instagram, tmp_path):
    assert collect_profile("someone", tmp_path / "a", wanted=Wanted(count=1)).posts == 1
    since = datetime(2023, 6, 1, tzinfo=timezone.utc)
    assert collect_profile("someone", tmp_path / "b", wanted=Wanted(since=since)).posts == 2
    assert (
        len([name for name in names(tmp_path / "b" / "someone") if name.endswith(".json.xz") and "_UTC" in name]) == 2
    )


def test_pinned_posts_push_out_no_newer_ones(instagram, tmp_path):
    instagram.posts = [instagram.posts[3], instagram.posts[1], instagram.posts[0], instagram.posts[2]]

    def codes(folder: str, **wanted) -> set[str]:
        collected = collect_profile("someone", tmp_path / folder, wanted=Wanted(**wanted))
        posts = list(open_source(collected.folder).posts())
        assert collected.posts == len(posts)
        return {post.permalink.split("/")[-2][2] for post in posts}

    assert codes("a", count=1) == {"A"}
    assert codes("b", count=3) == {"A", "B", "C"}
    assert codes("c", count=9) == {"A", "B", "C", "D"}
    assert codes("d", count=3, since=datetime(2023, 6, 1, tzinfo=timezone.utc)) == {"A", "B"}


def test_refused_run_goes_on_where_it_was(instagram, tmp_path):
    # The first post of the second page is refused; the posts of the first page are not requested again.
    instagram.fail["27128499623469141 CrCCCCCCCCC"] = (401, {"status": "fail", "message": "Please wait a few minutes"})
    with pytest.raises(CollectError, match="--login USER"):
        collect_profile("someone", tmp_path)
    kept = names(tmp_path / "someone")
    assert any(name.startswith("iterator_") for name in kept)
    instagram.fail.clear()
    instagram.asked.clear()
    assert collect_profile("someone", tmp_path).posts == 4
    assert not any("CrAAAAAAAAA" in line and "cdninstagram" in line for line in instagram.asked)
    after = names(tmp_path / "someone")
    assert not any(name.startswith("iterator_") for name in after)
    assert len([name for name in after if "_UTC" in name and name.endswith(".json.xz")]) == 4


def test_one_missing_file_is_named_and_stops_nothing(instagram, tmp_path):
    instagram.fail["cdninstagram.com/CrAAAAAAAAA.jpg"] = (404, {})
    collected = collect_profile("someone", tmp_path)
    assert len(collected.problems) == 1
    assert "CrAAAAAAAAA" in collected.problems[0]
    assert collected.posts == len(list(open_source(collected.folder).posts())) == 3


@pytest.mark.parametrize(
    ("where", "status", "document", "advice"),
    [
        ("someone/", 404, {}, "no such profile"),
        ("api/graphql", 429, {}, "too many requests"),
        ("api/graphql", 400, {"message": "checkpoint_required", "status": "fail"}, "confirm your identity"),
        ("api/graphql", 403, {}, "--login USER"),
        ("api/graphql", 500, {}, "run it again to go on"),
        ("api/graphql", 200, {"surprise": 1}, "update instaloader"),
        ("api/graphql", 200, {"data": None}, "(?s)."),
    ],
)
def test_refusals_say_what_to_do_in_one_line(instagram, tmp_path, where, status, document, advice):
    instagram.fail[where] = (status, document)
    with pytest.raises(CollectError, match=advice) as caught:
        collect_profile("someone", tmp_path)
    assert "\n" not in str(caught.value)


def test_private_profile_asks_for_somebody_who_follows(instagram, tmp_path):
    instagram.private = True
    with pytest.raises(CollectError, match="--login USER"):
        collect_profile("someone", tmp_path)
    with pytest.raises(CollectError, match="somebody who follows it"):
        collect_profile("someone", tmp_path, login(instagram.password))


def test_login_is_stored_as_instaloader_does_and_asked_for_once(instagram, tmp_path, capfd):
    collect_profile("someone", tmp_path, login("wrong", instagram.password))
    stored = list((tmp_path / "config").rglob("session-me"))
    assert len(stored) == 1
    if os.name == "posix":
        assert stored[0].stat().st_mode & 0o777 == 0o600
    assert instagram.password.encode() not in stored[0].read_bytes()
    collect_profile("someone", tmp_path, login())
    assert any("True" in line for line in instagram.asked)
    written = capfd.readouterr()
    assert instagram.password not in written.out + written.err
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or instagram.password.encode() not in path.read_bytes()


def test_damaged_session_is_asked_for_again(instagram, tmp_path):
    from instaloader.instaloader import get_default_session_filename

    path = Path(get_default_session_filename("me"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a session")
    collect_profile("someone", tmp_path, login(instagram.password))
    assert path.read_bytes() != b"not a session"


def test_wrong_password_three_times_ends(instagram, tmp_path):
    with pytest.raises(CollectError, match="me: wrong password"):
        collect_profile("someone", tmp_path, login("a", "b", "c"))
    assert list((tmp_path / "config").rglob("session-*")) == []


def test_two_factor_code_is_asked_for(instagram, tmp_path):
    instagram.code = "123456"
    assert collect_profile("someone", tmp_path, login(instagram.password, codes=("0", "123456"))).posts == 4


def test_checkpoint_names_the_address_to_open(instagram, tmp_path):
    instagram.checkpoint = True
    with pytest.raises(CollectError, match="https://www.instagram.com/challenge/1/"):
        collect_profile("someone", tmp_path, login(instagram.password))


def test_logged_out_session_says_which_file_to_delete(instagram, tmp_path):
    collect_profile("someone", tmp_path, login(instagram.password))
    instagram.fail["graphql"] = (401, {"status": "fail"})
    with pytest.raises(CollectError, match="session-me"):
        collect_profile("someone", tmp_path, login())


def test_session_that_shall_wait_is_not_called_logged_out(instagram, tmp_path):
    collect_profile("someone", tmp_path, login(instagram.password))
    document = {"message": "Please wait a few minutes before you try again.", "require_login": True, "status": "fail"}
    instagram.fail["graphql"] = (401, document)
    with pytest.raises(CollectError, match="too many requests; run it again"):
        collect_profile("someone", tmp_path, login())


def test_hashtag_gives_a_class_folder_of_photos_alone(instagram, tmp_path):
    collected = collect_hashtag("#강아지", tmp_path, "dog", login(instagram.password), Wanted(count=4))
    assert collected.folder == tmp_path / "dog"
    assert names(collected.folder) == {"CrAAAAAAAAA.jpg", "CrBBBBBBBBB.jpg", "CrDDDDDDDDD.jpg"}


def test_hashtag_needs_a_login(tmp_path):
    with pytest.raises(CollectError, match="--login USER"):
        collect_hashtag("#강아지", tmp_path, "dog")


@pytest.mark.parametrize(
    "name", ["instagram.com/someone", "www.instagram.com/Someone/", "https://instagram.com/someone?hl=ko", "＠someone"]
)
def test_profile_is_known_by_its_address(instagram, tmp_path, name):
    assert collect_profile(name, tmp_path).folder == tmp_path / "someone"


@pytest.mark.parametrize("name", ["", "../up", "두 낱말", "https://example.org/someone", "a" * 31])
def test_what_cannot_be_a_profile_is_refused_at_once(tmp_path, name):
    with pytest.raises(CollectError, match=f'^"{re.escape(name)}" is not the name of a profile'):
        collect_profile(name, tmp_path)


def test_folder_with_braces_is_taken_as_it_is(instagram, tmp_path):
    assert collect_profile("someone", tmp_path / "{target}{x}").folder.is_dir()


def test_no_connection_is_said(instagram, tmp_path, monkeypatch):
    import requests

    def refuse(self, request, **options):
        raise requests.ConnectionError("refused")

    monkeypatch.setattr("requests.Session.send", refuse)
    for who in (None, login("x")):
        with pytest.raises(CollectError, match="^someone: no connection to Instagram; run it again to go on$"):
            collect_profile("someone", tmp_path, who)


def test_command_prints_one_document_and_asks_for_the_password_aside(instagram, tmp_path):
    arguments = ["collect", "someone", str(tmp_path / "posts"), "--login", "me", "--count", "2", "--json"]
    result = CliRunner().invoke(group, arguments, input=instagram.password + "\n")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"folder": str(tmp_path / "posts" / "someone"), "posts": 2, "problems": []}
    assert instagram.password not in result.output


def test_command_means_the_day_of_seoul(tmp_path, monkeypatch):
    def collect(profile, destination, login, wanted):
        assert wanted.since.isoformat() == "2023-04-21T00:00:00+09:00"
        return Collected(destination, 1, ())

    monkeypatch.setattr("hashtagger.posts.collect.collect_profile", collect)
    result = CliRunner().invoke(group, ["collect", "someone", str(tmp_path), "--since", "2023-04-21"])
    assert result.exit_code == 0, result.exception


def test_command_names_the_class_by_the_vocabulary(instagram, tmp_path):
    result = CliRunner().invoke(
        group, ["collect", "#댕댕이", str(tmp_path), "--login", "me", "--count", "1"], input=instagram.password + "\n"
    )
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "dog") == {"CrAAAAAAAAA.jpg"}
