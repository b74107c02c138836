"""Tag real photos, then sort a small synthetic Instagram export. Run with `make demo`.

The photos are the two that come with scikit-learn (CC BY 2.0; china.jpg: danielbuechele, flower.jpg:
vultilion, both on Flickr). The export has the layout and the caption encoding of Instagram's own; its
pictures are crops of the two photos.
"""

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import sklearn.datasets
from PIL import Image

PHOTOS = Path(sklearn.datasets.__file__).parent / "images"
OUTPUT = Path("demo-output")
SEOUL = ZoneInfo("Asia/Seoul")

# Time, caption, and crops of the photos (left, top, right, bottom in 0..1).
POSTS = [
    ("2023-04-08 14:20", "벚꽃은 졌지만 🌷 #꽃스타그램 #봄꽃나들이", [("flower", 0, 0, 1, 1)]),
    ("2023-05-01 00:30", "자정의 꽃 한 송이 #꽃 #플라워 #일상", [("flower", 0.2, 0.1, 1.0, 0.9)]),
    ("2023-05-20 11:05", "궁궐 나들이 #여행스타그램 #해외여행", [("china", 0, 0, 1, 1), ("china", 0.2, 0.2, 0.9, 1)]),
    ("2023-07-15 16:40", "호수와 누각 #여행에미치다 #travelgram #일상", [("china", 0.1, 0.0, 0.9, 1.0)]),
    ("2023-07-15 16:41", "한 번 더! #여름휴가", [("china", 0.0, 0.1, 0.8, 1.0)]),
    ("2024-04-02 09:00", "", [("china", 0.0, 0.0, 0.47, 0.7)]),
]  # fmt: skip


def escape(text: str) -> str:
    """Encode text as Instagram's exports do: each byte of its UTF-8 as one character."""
    return text.encode().decode("latin-1")


def write_export(folder: Path) -> None:
    """Write the export: photos under media/, captions and times in one JSON file."""
    entries = []
    for number, (time, caption, pictures) in enumerate(POSTS):
        taken = datetime.fromisoformat(time).replace(tzinfo=SEOUL)
        media = []
        for part, (photo, *box) in enumerate(pictures):
            uri = f"media/posts/{taken:%Y%m}/{number}{part}_n_179000000000000{number}{part}.jpg"
            (folder / uri).parent.mkdir(parents=True, exist_ok=True)
            with Image.open(PHOTOS / f"{photo}.jpg") as image:
                corners = [round(edge * side) for edge, side in zip(box, image.size * 2, strict=True)]
                image.crop(tuple(corners)).save(folder / uri, quality=90)
            media.append({"uri": uri, "creation_timestamp": int(taken.timestamp()), "title": ""})
        entries.append({"media": media, "title": escape(caption), "creation_timestamp": int(taken.timestamp())})
    path = folder / "your_instagram_activity" / "media" / "posts_1.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(entries, indent=2))


def run(*arguments: object) -> None:
    """Print a command and run it."""
    print(f"\n$ hashtagger {' '.join(map(str, arguments))}", flush=True)
    subprocess.run([sys.executable, "-m", "hashtagger", *map(str, arguments)], check=True)


def print_tree(folder: Path, indent: str = "") -> None:
    """Print a folder's content, folders first."""
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_file(), path.name)):
        if path.name.startswith("."):
            continue
        print(f"{indent}{path.name}{'/' if path.is_dir() else ''}")
        if path.is_dir():
            print_tree(path, indent + "    ")


def main() -> None:
    """Run the demo in ./demo-output."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    photos = OUTPUT / "photos"
    photos.mkdir(parents=True)
    for name in ("flower.jpg", "china.jpg"):
        shutil.copy(PHOTOS / name, photos)
    write_export(OUTPUT / "instagram-someone-2024-05-01")

    run("recommend", photos, "--top-k", 3, "--threshold", 0)
    run("organize", OUTPUT / "instagram-someone-2024-05-01", OUTPUT / "sorted")
    print(f"\n{OUTPUT / 'sorted'}/")
    print_tree(OUTPUT / "sorted", "    ")


if __name__ == "__main__":
    main()
