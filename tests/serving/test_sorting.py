import time

from .conftest import add


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
        assert "Plan: 5 posts, 5 files (5 new)" in plan
        assert "date/2021/04 <small>2</small>" in plan
        assert not sorted_to.exists()
        client.send_form("/library/sort/1/apply")
        assert "Done: 5 posts" in self.wait(client)
        assert len(list((sorted_to / "tag" / "강아지").glob("*.jpg"))) == 2
        client.send_form("/library/sort/1/undo")
        assert "Undone" in self.wait(client)
        assert not sorted_to.exists()
        client.send_form("/library/sort/1/apply")
        assert "Undone" in self.wait(client), "what is undone is not carried out again"

    def test_corrected_tags_count(self, client, export, tmp_path):
        add(client, export)
        client.send_form("/library/correct", posts=[1, 2], remove="강아지", add="산책길")
        client.send_form("/library/sort", destination=str(tmp_path / "out"), by=["tag"], min_count="2")
        plan = self.wait(client)
        assert "tag/산책길 <small>2</small>" in plan
        assert "강아지" not in plan

    def test_refused_destinations(self, client, site):
        for destination in ("relative", str(site.settings.data_dir / "x"), str(site.settings.data_dir.parent), "/"):
            assert client.send_form("/library/sort", destination=destination, by=["tag"]).status_code == 422
        assert client.send_form("/library/sort", destination="/nowhere", by=["colour"]).status_code == 422
