import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from hashtagger.errors import HashtaggerError, ImageError
from hashtagger.landmarks import (
    Position,
    distance_km,
    distance_to,
    is_near,
    map_links,
    nearest,
    position_of,
    taken_at,
    write_map,
)
from hashtagger.vocabulary import Label, load_vocabulary

SEOUL, BUSAN = Position(37.5665, 126.9780), Position(35.1796, 129.0756)
NOWHERE = Label("hut", "오두막", "Hut")


def with_gps(path, sample, latitude, longitude, references=("N", "E")):
    """Save a photo with the GPS block that a phone writes: degrees, minutes and seconds, as fractions."""

    def sexagesimal(degrees):
        seconds = IFDRational(round(abs(degrees) * 3_600_000), 1000)
        return (IFDRational(int(seconds // 3600), 1), IFDRational(int(seconds % 3600 // 60), 1), seconds % 60)

    image = Image.open(sample)
    exif = image.getexif()
    gps = exif.get_ifd(0x8825)
    gps.update({1: references[0], 2: sexagesimal(latitude), 3: references[1], 4: sexagesimal(longitude)})
    image.save(path, exif=exif)
    return path


def test_distances_are_great_circle_distances():
    assert distance_km(SEOUL, SEOUL) == 0
    # Published great-circle distances.
    assert distance_km(SEOUL, BUSAN) == pytest.approx(325, abs=2)
    assert distance_km(Position(48.8566, 2.3522), Position(40.7128, -74.0060)) == pytest.approx(5837, abs=10)
    # Across the date line, and between antipodes.
    assert distance_km(Position(0, 179.5), Position(0, -179.5)) == pytest.approx(111.2, abs=0.1)
    assert distance_km(Position(0, 0), Position(0, 180)) == pytest.approx(20015, abs=1)


def test_near_is_five_kilometres_or_what_the_label_says():
    world = load_vocabulary("landmarks_world")
    assert is_near(world["sungnyemun"], SEOUL)
    assert not is_near(world["sungnyemun"], BUSAN)
    assert is_near(NOWHERE, SEOUL) is None


def test_a_landmark_of_many_places_is_near_each_of_them_and_nowhere_between():
    wall = load_vocabulary("landmarks_world")["great_wall"]
    jiayuguan, beijing = Position(39.8015, 98.2150), Position(39.9042, 116.4074)
    assert is_near(wall, jiayuguan)
    assert distance_to(wall, jiayuguan) == 0
    assert is_near(wall, Position(40.3540, 116.0070))
    # Seoul is nearer to the wall's main position than the ends of the wall are.
    assert not is_near(wall, SEOUL)
    assert not is_near(wall, beijing)
    assert distance_to(NOWHERE, SEOUL) is None


def test_nearest_skips_labels_without_a_position():
    label, km = nearest(load_vocabulary("landmarks_seoul"), SEOUL)
    assert label.key == "seoulteukbyeolsicheong"
    assert km < 0.2
    assert nearest(load_vocabulary("heroes"), SEOUL) is None


def test_links_lead_to_the_place_or_search_for_the_name():
    tower = load_vocabulary("landmarks_world")["eiffel_tower"]
    links = map_links(tower)
    assert list(links) == ["OpenStreetMap", "Google Maps", "Naver Map"]
    assert "mlat=48.8584&mlon=2.2945" in links["OpenStreetMap"]
    assert "query=48.8584%2C2.2945" in links["Google Maps"]
    assert position_of(NOWHERE) is None
    for link in [links["Naver Map"], *map_links(NOWHERE).values()]:
        assert re.fullmatch(r"https://[!-~]+%EC[!-~]+", link)


@pytest.mark.parametrize(
    ("place", "references"),
    [((48.8584, 2.2945), "NE"), ((-22.9519, -43.2105), "SW"), ((37.8199, -122.4783), "nw")],
)
def test_gps_of_a_photo(tmp_path, sample_photos, place, references):
    found = taken_at(with_gps(tmp_path / "x.jpg", sample_photos["palace"], *place, references))
    assert found == pytest.approx(place, abs=1e-6)


def test_gps_of_a_heic_that_is_the_first_photo(tmp_path, sample_photos):
    pytest.importorskip("pillow_heif").register_heif_opener()
    path = with_gps(tmp_path / "phone.heic", sample_photos["palace"], *SEOUL)
    code = "import sys; from hashtagger.landmarks import taken_at; print(taken_at(sys.argv[1]))"
    said = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    assert said == "37.5665, 126.9780\n"


def test_gps_of_a_phone_with_200_megapixels(tmp_path):
    Image.new("L", (16320, 12240), 128).save(tmp_path / "large.jpg", quality=30)
    # Written by hand, because Pillow does not open so large a photo.
    whole = (tmp_path / "large.jpg").read_bytes()
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (37, 30, 0), 3: "E", 4: (127, 0, 0)})
    block = exif.tobytes()
    path = tmp_path / "phone.jpg"
    path.write_bytes(whole[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + whole[2:])
    assert taken_at(path) == (37.5, 127)


def test_invalid_gps_is_ignored(tmp_path, sample_photos):
    assert taken_at(sample_photos["palace"]) is None
    assert taken_at(with_gps(tmp_path / "zero.jpg", sample_photos["palace"], 0, 0)) is None
    assert taken_at(with_gps(tmp_path / "far.jpg", sample_photos["palace"], 95, 10)) is None
    image = Image.open(sample_photos["palace"])
    for name, gps in (
        ("half", {1: "N", 2: (1, 2, 3)}),
        ("divided", {1: "N", 2: (IFDRational(0, 0),) * 3, 3: "E", 4: (1, 2, 3)}),
    ):
        exif = image.getexif()
        exif.get_ifd(0x8825).update(gps)
        image.save(tmp_path / f"{name}.jpg", exif=exif)
        assert taken_at(tmp_path / f"{name}.jpg") is None
    with pytest.raises(ImageError, match=r"absent\.jpg: no such file"):
        taken_at(tmp_path / "absent.jpg")


def test_a_map_marks_the_places_and_escapes_their_names(tmp_path):
    pytest.importorskip("folium", reason="needs the extra map")
    evil = Label("x", "<script>x</script>", "x", details={"latitude": 1.25, "longitude": 2.5})
    write_map([evil, NOWHERE], SEOUL, tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert "[1.25, 2.5]" in page
    assert "[37.5665, 126.978]" in page
    assert "<script>x" not in page
    with pytest.raises(HashtaggerError, match="no place is known"):
        write_map([NOWHERE], None, tmp_path / "map.html")
    shutil.rmtree(tmp_path / "absent", ignore_errors=True)
    with pytest.raises(HashtaggerError, match="no such file"):
        write_map([evil], None, tmp_path / "absent" / "map.html")
