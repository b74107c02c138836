import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from hashtagger.training import metrics


@pytest.fixture
def answers():
    """500 photos of 6 labels, with logits that are calibrated at temperature 1."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 1.5, (500, 6))
    cumulated = metrics.softmax(logits).cumsum(axis=1)
    truth = (generator.random((500, 1)) > cumulated).sum(axis=1).clip(max=5)
    return logits, truth


def test_precision_recall_and_f1_are_sklearns(answers):
    logits, truth = answers
    said = logits.argmax(axis=1)
    table = metrics.confusion(truth, said, 6)
    assert np.array_equal(table, confusion_matrix(truth, said))
    expected = precision_recall_fscore_support(truth, said, zero_division=0)[:3]
    assert np.allclose(metrics.precision_recall_f1(table), expected)
    assert metrics.macro_f1(truth, said, 6) == pytest.approx(f1_score(truth, said, average="macro"))


def test_labels_without_photos_do_not_count_in_macro_f1():
    truth, said = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 3])
    assert metrics.macro_f1(truth, said, 4) == pytest.approx((1 + 2 / 3) / 2)


def test_a_further_fitting_label_counts_as_right_in_ranking():
    scores = np.array([[3, 2, 1, 0], [3, 2, 1, 0], [3, 2, 1, 0]])
    right = np.array([[0, 0, 0, 1], [1, 0, 0, 1], [0, 0, 1, 0]], bool)
    assert metrics.ranked_right(scores, right, 1).tolist() == [False, True, False]
    assert metrics.ranked_right(scores, right, 3).tolist() == [False, True, True]


def test_calibration_error_by_hand():
    confidence = np.array([0.95, 0.95, 0.55, 0.55, 0.15])
    hit = np.array([True, False, True, True, False])
    # Ten bins: |0.95 - 0.5| * 2/5 + |0.55 - 1| * 2/5 + |0.15 - 0| * 1/5
    assert metrics.calibration_error(confidence, hit, bins=10) == pytest.approx(0.39)
    assert [row[0] for row in metrics.calibration_bins(confidence, hit, bins=10)] == [0, 1, 0, 0, 0, 2, 0, 0, 0, 2]


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    assert [row[0] for row in metrics.calibration_bins(np.array([0.0, 0.5, 1.0]), np.ones(3, bool), bins=2)] == [2, 1]


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_fitted_temperature_undoes_a_wrong_scale_of_the_logits(answers, scale):
    logits, truth = answers
    temperature = metrics.fit_temperature(logits * scale, truth)
    assert temperature == pytest.approx(scale, rel=0.15)
    if scale != 1.0:
        hit = logits.argmax(axis=1) == truth
        before = metrics.calibration_error(metrics.softmax(logits * scale).max(axis=1), hit)
        after = metrics.calibration_error(metrics.softmax(logits * scale, temperature).max(axis=1), hit)
        assert after < 0.5 * before


def test_fitted_temperature_is_the_likeliest(answers):
    logits, truth = answers

    def loss(temperature):
        return -np.log(metrics.softmax(logits, temperature)[np.arange(500), truth]).mean()

    best = metrics.fit_temperature(logits, truth)
    assert loss(best) <= min(loss(best * 1.01), loss(best / 1.01))


def test_threshold_is_the_lowest_that_keeps_the_precision():
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    hit = np.array([True, True, False, True, False])
    assert metrics.fit_threshold(confidence, hit, 0.75) == 0.6
    assert metrics.fit_threshold(confidence, hit, 0.9) == 0.8
    assert metrics.fit_threshold(confidence, ~hit, 0.9) == 1.0
    thresholds, coverage, precision = metrics.coverage_curve(confidence, hit)
    assert thresholds.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert np.allclose(coverage, [0.2, 0.4, 0.6, 0.8, 1])
    assert np.allclose(precision, [1, 1, 2 / 3, 3 / 4, 3 / 5])


def test_no_threshold_separates_photos_of_equal_confidence():
    hit = np.array([True, False, True])
    assert metrics.fit_threshold(np.array([0.5, 0.5, 0.4]), hit, 0.9) == 1.0


def test_bootstrap_interval_has_the_width_of_theory():
    hit = np.arange(400) < 300
    low, high = metrics.bootstrap(np.mean, [hit])
    half = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert low == pytest.approx(0.75 - half, abs=0.008)
    assert high == pytest.approx(0.75 + half, abs=0.008)
    assert metrics.bootstrap(np.mean, [hit]) == (low, high)
