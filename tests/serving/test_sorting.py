import shutil
import threading
import time

from hashtagger.organize.journal import journal_path, only_one

from .conftest import add, running


class TestSorting:
    def wait(self, client, number: int = 1) -> str:
        for _tick in range(600):
            text = client.get(f"/library/sort/{number}").text
            if "hx-trigger" not in text:
                return text
            time.sleep(0.1)
        raise AssertionError(text)

    def test_plan_organize_undo(self, client, export, tmp_path):
        add(client, export)
        sorted_to = tmp_path / "sorted"
        client.send_form("/library/sort", destination=str(sorted_to), by=["date", "tag"], min_count="2")
        plan = self.wait(client)
        assert "Plan (posts: 5, files: 5, new ones: 5," in plan
        assert "date/2021/04 <small>2</small>" in plan
        assert not sorted_to.exists()
        client.send_form("/library/sort/1/apply")
        assert "Done (posts: 5," in self.wait(client)
        assert len(list((sorted_to / "tag" / "강아지").glob("*.jpg"))) == 2
        client.send_form("/library/sort/1/undo")
        assert "Undone" in self.wait(client)
        assert not sorted_to.exists()
        client.send_form("/library/sort/1/apply")
        assert "Undone" in self.wait(client), "what is undone is not carried out again"
        assert client.send_form("/library/sort/1/dismiss").status_code == 200
        assert 'id="sorting-1"' not in client.get("/library/sort").text

    def test_what_was_sorted_into_one_folder_twice_is_undone_together(self, client, export, tmp_path):
        add(client, export)
        for number, by in ((1, "date"), (2, "tag"), (3, "date")):
            folder = tmp_path / ("other" if number == 3 else "sorted")
            client.send_form("/library/sort", destination=str(folder), by=[by])
            self.wait(client, number)
            client.send_form(f"/library/sort/{number}/apply")
            assert "Done (posts: 5," in self.wait(client, number)
        client.send_form("/library/sort/2/undo")
        assert "Undone" in self.wait(client, 2)
        assert not (tmp_path / "sorted").exists()
        assert "Undone" in self.wait(client, 1)
        assert "Done (posts: 5," in self.wait(client, 3)

    def test_corrected_tags_count(self, client, export, tmp_path):
        add(client, export)
        client.send_form("/library/correct", posts=[1, 2], remove="강아지", add="산책길")
        client.send_form("/library/sort", destination=str(tmp_path / "out"), by=["tag"], min_count="2")
        plan = self.wait(client)
        assert "tag/산책길 <small>2</small>" in plan
        assert "강아지" not in plan

    def test_what_failed_is_tried_again_where_it_failed(self, client, export, tmp_path):
        add(client, export)
        out = tmp_path / "out"

        def again() -> str:
            client.send_form("/library/sort/1/again")
            return self.wait(client)

        journal_path(out).parent.mkdir(parents=True)
        journal_path(out).write_bytes(b"no journal" * 500)
        client.send_form("/library/sort", destination=str(out), by=["tag"])
        assert "Try again" in self.wait(client)
        shutil.rmtree(out)
        assert "Plan (posts: 5," in again()
        assert not out.exists()
        out.write_text("in the way")
        client.send_form("/library/sort/1/apply")
        assert "Try again" in self.wait(client)
        out.unlink()
        assert "Done (posts: 5," in again()
        with only_one(out):
            client.send_form("/library/sort/1/undo")
            assert "Try again" in self.wait(client)
        assert "Undone" in again()
        assert not out.exists()

    def test_a_server_that_stops_does_not_wait_for_a_sorting_and_the_next_goes_on(
        self, make_settings, export, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("hashtagger.serving.work._PATIENCE", 0.1)
        with running(make_settings()) as site, site.client() as client:
            add(client, export)
            with monkeypatch.context() as patch:
                patch.setattr("hashtagger.serving.sorting.organize", lambda *_, **__: threading.Event().wait())
                client.send_form("/library/sort", destination=str(tmp_path / "out"), by=["tag"])
                time.sleep(0.3)
        with running(make_settings()) as site, site.client() as client:
            assert "Plan (posts: 5," in self.wait(client)

    def test_refused_destinations(self, client, site, tmp_path):
        (tmp_path / "file").write_text("x")
        answer = client.send_form("/library/sort", destination=str(tmp_path / "file" / "below"), by=["tag"])
        assert answer.status_code == 422
        assert "is not a folder; choose another" in answer.text
        for destination in ("relative", str(site.settings.data_dir / "x"), str(site.settings.data_dir.parent), "/"):
            assert client.send_form("/library/sort", destination=destination, by=["tag"]).status_code == 422
        for by in (["colour"], []):
            answer = client.send_form("/library/sort", destination="/nowhere", by=by)
            assert answer.status_code == 422
            assert "choose folders by month" in answer.text
