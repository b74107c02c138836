import numpy as np
import pytest
from PIL import Image

from hashtagger.errors import ImageError, ModelError
from hashtagger.explain import detect as module
from hashtagger.explain.detect import detect, evidence, map_scores, window_scores, windows
from hashtagger.models import create_model


def bright_square(width, height, left, top, edge):
    photo = Image.new("RGB", (width, height), "black")
    photo.paste("white", (left, top, left + edge, top + edge))
    return photo


def area(box):
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def common(one, other):
    return area((*map(max, one[:2], other[:2]), *map(min, one[2:], other[2:])))


def iou(one, other):
    return common(one, other) / (area(one) + area(other) - common(one, other))


def covered(one, other):
    return common(one, other) / min(area(one), area(other))


@pytest.mark.parametrize(("width", "height"), [(33, 33), (480, 360), (90, 400)])
def test_windows_are_squares_that_cover_the_photo(width, height):
    boxes = windows(width, height)
    assert np.allclose(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1], atol=1e-3)
    assert boxes[:, :2].min() == 0
    assert boxes[:, 2].max() == pytest.approx(width)
    assert boxes[:, 3].max() == pytest.approx(height)
    smallest = boxes[boxes[:, 2] - boxes[:, 0] < 0.26 * min(width, height)]
    seen = np.zeros((height, width), bool)
    for left, top, right, bottom in smallest.round().astype(int):
        seen[top:bottom, left:right] = True
    assert seen.all()


@pytest.mark.parametrize("method", ["map", "window"])
def test_the_box_is_around_the_thing(brightness, config, method, monkeypatch):
    monkeypatch.setattr(module, "_STEP", 0.25)
    place = (120, 60, 200, 140)
    found = detect(brightness, config, bright_square(320, 160, 120, 60, 80), 1, method, threshold=0.35)
    assert iou(found[0].box, place) > 0.5
    assert all(0.35 <= one.score <= 1 for one in found)
    assert all(covered(a.box, b.box) <= 0.26 for a in found for b in found if a is not b)  # boxes are rounded


def test_nothing_is_found_in_a_black_photo(brightness, config):
    assert detect(brightness, config, Image.new("RGB", (200, 160)), 1) == []


def test_both_methods_give_similar_scores(brightness, config):
    # Away from edges both see the same uniform pixels.
    photo = bright_square(256, 256, 0, 0, 128)
    boxes = np.array([[16, 16, 112, 112], [144, 144, 240, 240]], np.float32)
    by_map = map_scores(brightness, config, photo, boxes)
    by_window = window_scores(brightness, config, photo, boxes)
    assert by_map.shape == by_window.shape == (2, 3)
    assert np.allclose(by_map.sum(1), 1)
    assert (by_map[0, 1] > by_map[1, 1]) == (by_window[0, 1] > by_window[1, 1]) == True  # noqa: E712
    assert np.abs(by_map - by_window).max() < 0.15


def test_any_network_supports_windows_and_only_drns_the_map(config):
    model = create_model("resnet18", num_classes=3).eval()
    photo = Image.new("RGB", (64, 64), "red")
    boxes = windows(64, 64)[-1:]
    assert window_scores(model, config, photo, boxes).shape == (1, 3)
    with pytest.raises(ModelError, match="no class map; the method map takes a DRN, the method window any network"):
        detect(model, config, photo, 1)


@pytest.mark.parametrize("method", ["map", "window"])
def test_a_photo_that_is_too_small_is_refused(brightness, config, method):
    with pytest.raises(ImageError, match="32x200 pixels are too small to search; it takes 33 or more each way"):
        detect(brightness, config, Image.new("RGB", (32, 200)), 1, method)


def test_of_equally_sure_windows_the_larger_has_more_evidence_and_of_equally_large_the_surer():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 20, 20], [0, 0, 10, 10]], np.float32)
    scores = np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.9, 0.05, 0.05]], np.float32)
    small, large, surer = evidence(scores, boxes)[:, 0]
    assert small < surer < large
    assert large == pytest.approx(4 * small)
    assert evidence(np.full((1, 3), 1 / 3), boxes[:1]) == pytest.approx(0, abs=1e-4)
    assert np.isfinite(evidence(np.array([[1.0, 0.0, 0.0]]), boxes[:1])).all()
