import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[1] / "examples" / "demo.py"


def test_the_demo_tags_photos_and_sorts_posts(tmp_path):
    run = subprocess.run([sys.executable, DEMO], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    for words in ("flower.jpg", "china.jpg", "#여행", "해시태그/", "꽃/", "2023/", "index.html"):
        assert words in run.stdout
    months = {path.parent.name for path in (tmp_path / "demo-output" / "sorted" / "날짜" / "2023").rglob("*.jpg")}
    # A post at 00:30 on 1 May in Seoul belongs to May, although it was still April in UTC.
    assert months == {"04", "05", "07"}
    flowers = {path.name[:1] for path in (tmp_path / "demo-output" / "sorted" / "해시태그" / "꽃").glob("*.jpg")}
    assert {"0", "1"} <= flowers
