"""Tests matching on arbitrary boxes against a slow and simple implementation of the same rule."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.detections.matching import agree, iou_matrix, match, same_names

# On so coarse a grid, many boxes coincide and many overlaps tie.
CORNERS = st.tuples(*[st.integers(0, 4)] * 4).map(lambda c: [min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]) + 1, max(c[1], c[3]) + 1])
BOXES = st.lists(CORNERS, max_size=7)
THRESHOLDS = st.sampled_from([0.05, 0.25, 0.5, 1.0])


@st.composite
def results(draw, most: int = 4):
    """Boxes and class names of several results."""
    boxes = draw(st.lists(BOXES, min_size=2, max_size=most))
    return boxes, [draw(st.lists(st.sampled_from("ab"), min_size=len(found), max_size=len(found))) for found in boxes]


def overlap(a, b):
    """Cells that both boxes cover, by cells that either covers."""
    cells = [{(x, y) for x in range(x0, x1) for y in range(y0, y1)} for x0, y0, x1, y1 in (a, b)]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param([0, 0, 10, 10], [0, 0, 10, 10], 1, id="equal"),
        pytest.param([0, 0, 10, 10], [5, 0, 15, 10], 1 / 3, id="half of each"),
        pytest.param([0, 0, 10, 10], [2, 2, 4, 4], 0.04, id="inside"),
        pytest.param([0, 0, 10, 10], [10, 0, 20, 10], 0, id="side by side"),
        pytest.param([0, 0, 10, 10], [-20, -20, -10, -10], 0, id="apart"),
        pytest.param([5, 5, 5, 9], [5, 5, 5, 9], 0, id="no area"),
        pytest.param([9, 9, 1, 1], [0, 0, 10, 10], 0, id="turned inside out"),
        pytest.param([-1e30, -1e30, 1e30, 1e30], [0, 0, 1e30, 1e30], 0.25, id="huge"),
    ],
)
def test_intersection_over_union(a, b, expected):
    assert iou_matrix([a], [b]) == pytest.approx(np.array([[expected]]))


@given(BOXES, BOXES)
def test_matrix_is_every_pair(a, b):
    matrix = iou_matrix(a, b)
    assert matrix.shape == (len(a), len(b))
    assert matrix.ravel().tolist() == pytest.approx([overlap(one, other) for one in a for other in b])
    assert np.array_equal(matrix, iou_matrix(b, a).T)


@given(st.lists(st.tuples(*[st.floats(-100, 100, width=32)] * 4), max_size=5))
def test_an_overlap_is_a_fraction_also_of_improper_boxes(boxes):
    matrix = iou_matrix(np.array(boxes, np.float32).reshape(-1, 4), np.array(boxes[::-1], np.float32).reshape(-1, 4))
    assert ((matrix >= 0) & (matrix <= 1)).all()


def test_classes_are_the_same_by_name():
    assert same_names(["dog", "cat"], ["cat", "dog", "cat"]).tolist() == [[False, True, False], [True, False, True]]
    assert same_names([], ["cat"]).shape == (0, 1)


def best_first(iou, allowed, threshold):
    """The rule, word by word: again and again, of all pairs still possible, the one with the highest IoU and then the smallest i + j."""
    free_i, free_j, taken = set(range(len(iou))), set(range(iou.shape[1])), set()
    while possible := [(-iou[i, j], i + j, i, j) for i in free_i for j in free_j if allowed[i, j] and iou[i, j] >= threshold]:
        *_, i, j = min(possible)
        free_i.remove(i)
        free_j.remove(j)
        taken.add((i, j))
    return taken


@given(results(most=2), THRESHOLDS)
def test_match_is_the_rule(found, threshold):
    boxes, names = found
    iou, allowed = iou_matrix(*boxes), same_names(*names)
    pairs = match(iou, allowed, threshold)
    assert set(pairs) == best_first(iou, allowed, threshold)
    assert {(i, j) for j, i in match(iou.T, allowed.T, threshold)} == set(pairs)
    assert [iou[pair] for pair in pairs] == sorted((iou[pair] for pair in pairs), reverse=True)


@pytest.mark.parametrize(
    ("iou", "threshold", "expected"),
    [
        pytest.param([[0.9, 0.8], [0.8, 0.1]], 0.5, [(0, 0)], id="greedy, not the best sum"),
        pytest.param([[0.7, 0.7], [0.7, 0.7]], 0.5, [(0, 0), (1, 1)], id="ties go to the first"),
        pytest.param([[0.6, 0.5], [0.7, 0.2]], 0.5, [(1, 0), (0, 1)], id="the second choice, at the threshold"),
        pytest.param([[0.49]], 0.5, [], id="below the threshold"),
        pytest.param(np.zeros((0, 3)), 0.5, [], id="nothing in one"),
    ],
)
def test_pairs(iou, threshold, expected):
    iou = np.array(iou)
    assert match(iou, np.full(iou.shape, True), threshold) == expected


def test_only_what_is_allowed_is_matched():
    assert match(np.array([[0.9, 0.6]]), np.array([[False, True]]), 0.5) == [(0, 1)]


def joined_by_the_rule(boxes, names, threshold):
    objects = [(result, index) for result, found in enumerate(boxes) for index in range(len(found))]
    pairs = []
    for (first, i), (second, j) in itertools.combinations(objects, 2):
        iou = iou_matrix([boxes[first][i]], [boxes[second][j]])[0, 0]
        if first != second and names[first][i] == names[second][j] and iou >= threshold:
            pairs.append((-iou, i + j, first, second, i, j))
    groups = [{one} for one in objects]
    for _, _, first, second, i, j in sorted(pairs):
        one = next(group for group in groups if (first, i) in group)
        other = next(group for group in groups if (second, j) in group)
        if not {result for result, _ in one} & {result for result, _ in other}:
            groups = [group for group in groups if group not in (one, other)] + [one | other]
    return {frozenset(group) for group in groups}


@given(results(), THRESHOLDS)
def test_agree_is_the_rule(found, threshold):
    boxes, names = found
    groups = agree(boxes, names, threshold)
    assert {frozenset(group.items()) for group in groups} == joined_by_the_rule(boxes, names, threshold)
    members = [member for group in groups for member in group.items()]
    assert sorted(members) == [(result, index) for result, found in enumerate(boxes) for index in range(len(found))]


@given(results(most=2), THRESHOLDS)
def test_two_results_agree_as_they_match(found, threshold):
    boxes, names = found
    pairs = match(iou_matrix(*boxes), same_names(*names), threshold)
    assert {(group[0], group[1]) for group in agree(boxes, names, threshold) if len(group) == 2} == set(pairs)


def test_the_order_of_results_does_not_matter_without_ties():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (3, 12, 2))
    boxes = list(np.concatenate([corners, corners + rng.uniform(20, 50, (3, 12, 2))], axis=2))
    names = [["a"] * 12] * 3
    expected = {frozenset(group.items()) for group in agree(boxes, names, 0.3)}
    assert any(len(group) == 3 for group in expected)
    for order in itertools.permutations(range(3)):
        groups = agree([boxes[k] for k in order], names, 0.3)
        assert {frozenset((order[result], index) for result, index in group.items()) for group in groups} == expected


@pytest.mark.parametrize("boxes", [[], [[]], [[], [], []]], ids=["no results", "one empty", "three empty"])
def test_nothing_agrees_with_nothing(boxes):
    assert agree(boxes, [[] for _ in boxes], 0.5) == []
