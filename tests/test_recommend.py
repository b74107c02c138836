import io
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import hashtagger
from hashtagger.errors import HashtaggerError, ImageError, VocabularyError, WeightsError
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.find import find_weights
from hashtagger.models.weights import save_weights
from hashtagger.recommend import Recommendation, Recommender
from hashtagger.vocabulary import Label, load_vocabulary


@pytest.fixture(scope="module")
def recommender():
    return Recommender(device="cpu")


def test_the_flower_is_a_flower(sample_photos):
    found = hashtagger.recommend(sample_photos["flower"], threshold=0)
    assert found[0].tag == "꽃"
    assert str(found[0]) == "#꽃"
    assert found[0].key == "flower"
    assert found[0].label.name == "Flower"


def test_threads_that_ask_first_share_one_network(sample_photos, monkeypatch):
    made = []
    load = Recommender.__init__
    monkeypatch.setattr(Recommender, "__init__", lambda self, *given: (made.append(self), load(self, *given))[1])
    vocabulary = load_vocabulary("hashtags_ko")
    fresh = replace(vocabulary, title="new to the cache")
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda photo: hashtagger.recommend(photo, vocabulary=fresh), [sample_photos["flower"]] * 4)
        )
    assert len(made) == 1
    assert found == found[:1] * 4


def test_the_palace_is_a_journey(sample_photos):
    assert "travel" in [r.key for r in hashtagger.recommend(sample_photos["palace"], top_k=2, threshold=0)]


def test_another_bundled_network_is_chosen_by_its_name(sample_photos, monkeypatch):
    named = Recommender(weights="tf_efficientnet_lite2", device="cpu")
    assert named.config.architecture == "tf_efficientnet_lite2"
    assert [r.key for r in named.recommend(sample_photos["palace"])] == ["travel"]
    monkeypatch.setenv("HASHTAGGER_NETWORK", "tf_efficientnet_lite2")
    preferred = Recommender("hashtags_ko", device="cpu")
    assert np.array_equal(preferred.scores(sample_photos["palace"]), named.scores(sample_photos["palace"]))
    # A preference is no demand: there are no such weights for the heroes.
    assert Recommender("heroes").config.architecture == "drn_c_26"


@pytest.mark.parametrize(("network", "least"), [("drn_c_26", 0.4), ("tf_efficientnet_lite2", 0.65)])
def test_beats_chance_by_far_on_photos_of_sources_never_trained_on(network, least, shared):
    recommender = Recommender(weights=network, device="cpu")
    lines = (shared / "photos" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == "val_other"][::16]
    scores = recommender.scores(shared / "photos" / row["file"] for row in rows)
    keys = recommender.vocabulary.keys
    right = np.mean([keys[i] == row["key"] for i, row in zip(scores.argmax(1), rows, strict=True)])
    assert len(rows) > 100
    assert right > least  # chance is 0.05


def test_one_photo_gives_a_list_and_a_list_gives_lists(recommender, sample_photos):
    paths = [sample_photos["flower"], sample_photos["palace"]]
    both = recommender.recommend(paths, threshold=0)
    for path, found in zip(paths, both, strict=True):
        alone = recommender.recommend(path, threshold=0)
        assert [r.key for r in alone] == [r.key for r in found]
        # Summation order depends on the batch size.
        np.testing.assert_allclose([r.score for r in alone], [r.score for r in found], atol=1e-5)
    stacked = np.stack([np.asarray(Image.open(path)) for path in paths])
    for several in (tuple(paths), iter(paths), dict.fromkeys(paths), stacked):
        assert recommender.recommend(several, threshold=0) == both
    assert recommender.recommend([]) == []
    assert all(isinstance(r, Recommendation) for found in both for r in found)


def test_top_k_and_threshold(recommender, sample_photos):
    flower = sample_photos["flower"]
    every = recommender.recommend(flower, top_k=20, threshold=0)
    assert sorted(r.key for r in every) == sorted(recommender.vocabulary.keys)
    assert [r.score for r in every] == sorted((r.score for r in every), reverse=True)
    assert recommender.recommend(flower, top_k=3, threshold=0) == every[:3]
    assert recommender.recommend(flower, threshold=1.0) == []
    least = every[1].score
    assert [r.score >= least for r in recommender.recommend(flower, top_k=20, threshold=least)] == [True, True]
    for wrong in ({"top_k": 0}, {"threshold": 1.5}, {"threshold": -0.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            recommender.recommend(flower, **wrong)
        with pytest.raises(ValueError, match=next(iter(wrong))):
            recommender.recommend_each([flower], **wrong)
    assert len({*every, *every}) == len(every)


def test_scores_are_probabilities_in_vocabulary_order(recommender, sample_photos):
    paths = [sample_photos["flower"], sample_photos["palace"]] * 17  # more than a batch
    scores = recommender.scores(paths)
    assert scores.shape == (34, 20)
    assert scores.dtype == np.float32
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
    assert recommender.vocabulary.keys[scores[0].argmax()] == "flower"
    np.testing.assert_array_equal(recommender.scores(paths[:2]), recommender.scores(paths[:2]))
    # A photo's scores do not depend on the rest of its batch.
    np.testing.assert_allclose(scores, np.tile(recommender.scores(paths[:2]), (17, 1)), atol=1e-5)
    np.testing.assert_allclose(scores[0], recommender.scores(paths[:1])[0], atol=1e-5)
    assert recommender.scores([]).shape == (0, 20)


def test_recommend_each_goes_on_after_a_bad_photo(recommender, sample_photos, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no")
    paths = [sample_photos["flower"], tmp_path / "bad.jpg", *[sample_photos["palace"]] * 31, tmp_path / "absent.jpg"]
    results = list(recommender.recommend_each(iter(paths), threshold=0))
    assert [path for path, _ in results] == paths
    assert [i for i, (_, found) in enumerate(results) if isinstance(found, ImageError)] == [1, 33]
    assert results[0][1][0].key == "flower"
    alone = recommender.recommend(sample_photos["palace"], threshold=0)
    assert [r.key for r in results[2][1]] == [r.key for r in alone]
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        recommender.recommend(paths)


def test_one_photo_where_several_are_taken_is_a_list_of_it(recommender, sample_photos):
    path = sample_photos["flower"]
    expected = recommender.scores([path])
    pixels = np.asarray(Image.open(path))
    for photo in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), Image.open(path), pixels):
        np.testing.assert_allclose(recommender.scores(photo), expected, atol=1e-5)
    assert recommender.scores(np.stack([pixels, pixels])).shape == (2, 20)
    ((photo, found),) = recommender.recommend_each(str(path), threshold=0)
    assert (photo, found[0].key) == (str(path), "flower")


def test_a_bad_photo_without_a_name_is_told_by_its_number(recommender, sample_photos):
    good = sample_photos["flower"].read_bytes()
    with pytest.raises(ImageError, match=r"^photo 2: 2 bytes: not a photo$"):
        recommender.recommend([good, b"no", good])
    with pytest.raises(ImageError, match=r"^2 bytes: not a photo$"):
        recommender.recommend(b"no")


def test_a_recommender_goes_to_another_process(tmp_path, sample_photos):
    narrow = {"channels": [8] * 8}
    config = ModelConfig("drn_c_26", "heroes", ("hulk", "loki"), 32, model_args=narrow)
    save_weights(tmp_path / "x.safetensors", create_model("drn_c_26", num_classes=2, **narrow).eval(), config)
    recommender = Recommender(weights=tmp_path / "x.safetensors", device="cpu", runtime="torch")
    again = pickle.loads(pickle.dumps(recommender))
    assert again.choice == recommender.choice
    photo = sample_photos["flower"]
    np.testing.assert_array_equal(again.scores(photo), recommender.scores(photo))


def test_a_recommendation_is_text_json_and_a_short_line(recommender, sample_photos):
    found = recommender.recommend(sample_photos["flower"], threshold=0)[0]
    assert f"{found:>4}|{found}" == "  #꽃|#꽃"
    said = found.to_dict()
    assert said == {"tag": "꽃", "key": "flower", "score": round(found.score, 4), "related": found.related}
    assert len(json.dumps(said)) < 1000
    assert len(repr(found)) < 100


def test_temperature_and_threshold_of_the_file_are_used(tmp_path, sample_photos):
    keys = tuple(load_vocabulary().keys)
    torch.manual_seed(0)
    narrow = {"channels": [8] * 8}
    model = create_model("drn_c_26", num_classes=20, **narrow).eval()
    scores = {}
    for temperature in (1.0, 4.0):
        config = ModelConfig("drn_c_26", "", keys, 64, temperature=temperature, threshold=0.99, model_args=narrow)
        save_weights(tmp_path / "x.safetensors", model, config)
        recommender = Recommender(weights=tmp_path / "x.safetensors")
        assert recommender.image_size == 64
        assert recommender.recommend(sample_photos["flower"]) == []
        scores[temperature] = recommender.scores([sample_photos["flower"]])[0].astype(float)
    logits = {t: np.log(s) * t for t, s in scores.items()}
    spread = [logits[t] - logits[t].mean() for t in logits]
    np.testing.assert_allclose(spread[0], spread[1], atol=1e-3)


def test_a_weights_file_alone_is_enough(tmp_path, sample_photos):
    narrow = {"channels": [8] * 8}
    path = tmp_path / "mine.safetensors"
    apple, pear = Label("a", "사과", "Apple", ("능금",)), Label("b", "배", "Pear", details={"colour": "yellow"})
    for vocabulary, keys, labels, expected in (
        ("heroes", ("hulk", "loki"), (), {"헐크", "로키"}),
        ("my_own", ("a", "b"), (apple, pear), {"사과", "배"}),
        ("", ("a", "b"), (), {"a", "b"}),
    ):
        config = ModelConfig("drn_c_26", vocabulary, keys, 32, model_args=narrow, labels=labels)
        save_weights(path, create_model("drn_c_26", num_classes=2, **narrow).eval(), config)
        found = Recommender(weights=path).recommend(sample_photos["flower"], threshold=0)
        assert {r.tag for r in found} == expected
        assert not labels or {r.label for r in found} == {apple, pear}


def test_the_network_sees_the_central_square(recommender, sample_photos):
    """A photo, its central square and an enlargement of it get similar scores."""
    palace = Image.open(sample_photos["palace"]).convert("RGB")
    left = (palace.width - palace.height) // 2
    square = palace.crop((left, 0, left + palace.height, palace.height))
    scores = recommender.scores([palace, square, palace.resize((1280, 854), Image.Resampling.BICUBIC)])
    np.testing.assert_allclose(scores[1], scores[0], atol=0.05)
    np.testing.assert_allclose(scores[2], scores[0], atol=0.1)


def test_wrong_vocabulary_weights_device_runtime(tmp_path):
    with pytest.raises(VocabularyError, match="no vocabulary 'nothing'"):
        Recommender("nothing")
    with pytest.raises(WeightsError, match="no such weights file"):
        Recommender(weights=tmp_path / "absent.safetensors")
    two = tmp_path / "two.toml"
    two.write_text("".join(f'[[labels]]\nkey = "{k}"\ntag = "{k}"\nname = "{k}"\n' for k in "ab"))
    with pytest.raises(WeightsError, match=rf"no weights for vocabulary 'two'.* --vocabulary {two} --out"):
        Recommender(two)
    with pytest.raises(WeightsError, match="its 20 classes .* are not the 2 of two"):
        Recommender(two, weights=find_weights())
    with pytest.raises(HashtaggerError, match="no device 'tpu9'"):
        Recommender(device="tpu9")
    with pytest.raises(HashtaggerError, match="no runtime 'abacus'"):
        Recommender(runtime="abacus")


def test_a_vocabulary_may_be_given_itself(sample_photos):
    palace = sample_photos["palace"]
    assert hashtagger.recommend(palace, vocabulary=load_vocabulary()) == hashtagger.recommend(palace)


def test_history_shifts_scores_and_spelling(recommender, sample_photos):
    palace = sample_photos["palace"]
    plain = {r.key: r for r in recommender.recommend(palace, top_k=20, threshold=0)}
    past = [["댕댕이", "산책"], ["댕댕이", "콩이"], ["댕댕이"]]
    shifted = {r.key: r for r in recommender.recommend(palace, top_k=20, threshold=0, history=past)}
    assert shifted["dog"].score > plain["dog"].score
    assert (plain["dog"].tag, shifted["dog"].tag) == ("강아지", "댕댕이")
    assert "콩이" in shifted["dog"].related
    assert sum(r.score for r in shifted.values()) == pytest.approx(1, abs=1e-4)
    none = recommender.recommend(palace, top_k=20, threshold=0, history=[])
    assert [(r.tag, r.related) for r in none] == [(plain[r.key].tag, plain[r.key].related) for r in none]
    assert [r.score for r in none] == pytest.approx([plain[r.key].score for r in none], abs=1e-6)
