"""Tests comparison and consensus with hand-made numbers, edge cases and properties that hold for all inputs."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.detections import Detections
from detection_core.detections.comparison import Pair, compare, consensus, select
from tests.factories import make_detections

NAMES = ("__background__", "person", "dog", "cat")


def found(*objects, image_size=(100, 200), categories=NAMES):
    """Detections of (class name, score, x0, y0, x1, y1) each."""
    return Detections(
        boxes=np.array([box for _, _, *box in objects], np.float32).reshape(-1, 4),
        labels=np.array([categories.index(name) for name, *_ in objects], np.int64),
        scores=np.array([score for _, score, *_ in objects], np.float32),
        image_size=image_size,
        categories=categories,
    )


A = found(
    ("person", 0.875, 0, 0, 20, 40),
    ("dog", 0.75, 50, 50, 70, 70),
    ("person", 0.5, 100, 0, 120, 20),
    ("cat", 0.25, 150, 80, 160, 90),
)
B = found(
    ("dog", 1.0, 150, 80, 160, 90),
    ("person", 0.625, 0, 0, 20, 32),
    ("dog", 0.5, 50, 50, 70, 70),
    ("person", 0.375, 150, 0, 170, 20),
)


class TestCompare:
    def test_hand_made_numbers(self):
        both = compare(A, B)
        assert both.matched == (Pair(0, 1, 0.8, -0.25), Pair(1, 2, 1.0, -0.25))
        assert both.other_class == (Pair(3, 0, 1.0, 0.75),)
        assert (both.only_a, both.only_b) == ((2,), (3,))
        assert both.counts() == {"matched": 2, "only_a": 1, "only_b": 1, "other_class": 1}
        assert both.agreement == pytest.approx(2 / 5)
        assert both.mean_iou == pytest.approx(0.9)
        assert both.mean_score_difference == pytest.approx(-0.25)

    def test_a_higher_iou_asks_for_more(self):
        assert [pair.a for pair in compare(A, B, iou=0.85).matched] == [1]

    def test_the_same_class_comes_first_though_another_overlaps_more(self):
        a = found(("person", 0.9, 0, 0, 10, 10))
        b = found(("dog", 0.9, 0, 0, 10, 10), ("person", 0.8, 0, 0, 10, 6))
        both = compare(a, b)
        assert [pair.b for pair in both.matched] == [1]
        assert both.other_class == ()
        assert both.only_b == (0,)

    def test_classes_are_compared_by_name_not_by_id(self):
        other = found(("dog", 0.5, 50, 50, 70, 70), categories=("__background__", "dog"))
        assert [(pair.a, pair.b) for pair in compare(A, other).matched] == [(1, 0)]
        misnamed = found(("person", 0.5, 50, 50, 70, 70), categories=("__background__", "x", "person"))
        assert [(pair.a, pair.b) for pair in compare(A, misnamed).other_class] == [(1, 0)]

    def test_identical(self):
        both = compare(A, A)
        assert [(pair.a, pair.b, pair.iou, pair.score_difference) for pair in both.matched] == [(i, i, 1, 0) for i in range(4)]
        assert both.agreement == both.mean_iou == 1

    def test_many_objects_in_one_place_are_matched_in_order(self):
        pile = found(*[("dog", 1 - i / 8, 10, 10, 30, 30) for i in range(4)])
        assert [(pair.a, pair.b) for pair in compare(pile, pile[:3]).matched] == [(0, 0), (1, 1), (2, 2)]

    @pytest.mark.parametrize(("a", "b"), [(A[:0], B[:0]), (A, B[:0]), (A[:0], B)], ids=["both", "B", "A"])
    def test_empty(self, a, b):
        both = compare(a, b)
        assert both.counts() == {"matched": 0, "only_a": len(a), "only_b": len(b), "other_class": 0}
        assert both.agreement == (0 if len(a) or len(b) else None)
        assert both.mean_iou is both.mean_score_difference is None

    @given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 99), st.sampled_from([0.05, 0.2, 0.5]))
    def test_each_object_is_in_one_group_and_sides_do_not_matter(self, n, m, seed, iou):
        a, b = make_detections(n, seed=seed), make_detections(m, seed=seed + 1, labels=[1 + (i * i) % 3 for i in range(m)])
        both, swapped = compare(a, b, iou=iou), compare(b, a, iou=iou)
        pairs = both.matched + both.other_class
        assert sorted([*both.only_a, *(pair.a for pair in pairs)]) == list(range(n))
        assert sorted([*both.only_b, *(pair.b for pair in pairs)]) == list(range(m))
        assert all(a.names[pair.a] == b.names[pair.b] for pair in both.matched)
        assert all(a.names[pair.a] != b.names[pair.b] for pair in both.other_class)
        assert all(pair.iou >= iou for pair in pairs)
        for mine, other in ((both.matched, swapped.matched), (both.other_class, swapped.other_class)):
            assert {(p.a, p.b, p.iou, p.score_difference) for p in mine} == {(p.b, p.a, p.iou, -p.score_difference) for p in other}
        assert (both.only_a, both.only_b) == (swapped.only_b, swapped.only_a)
        assert both.agreement == swapped.agreement

    def test_json_holds_everything(self):
        data = json.loads(json.dumps(compare(dataclasses.replace(A, model="one"), dataclasses.replace(B, model="two")).to_json()))
        assert (data["a"], data["b"], data["iou_threshold"]) == ("one", "two", 0.5)
        assert data["other_class"] == [{"a": 3, "b": 0, "iou": 1.0, "score_difference": 0.75}]
        assert (data["only_a"], data["only_b"]) == ([2], [3])
        assert data["counts"]["matched"] == len(data["matched"]) == 2
        assert data["agreement"] == pytest.approx(0.4)

    @pytest.mark.parametrize("iou", [0, -0.1, 1.1, float("nan")])
    def test_an_iou_out_of_range_is_refused(self, iou):
        with pytest.raises(ValueError, match="iou must be above 0"):
            compare(A, B, iou=iou)

    def test_images_of_different_sizes_are_refused(self):
        with pytest.raises(ValueError, match="200×100 and 300×100 pixels"):
            compare(A, found(image_size=(100, 300)))


class TestSelect:
    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            ({}, [0.875, 0.75, 0.5, 0.25]),
            ({"threshold": 0.5}, [0.875, 0.75, 0.5]),
            ({"top": 2}, [0.875, 0.75]),
            ({"top": 9}, [0.875, 0.75, 0.5, 0.25]),
            ({"threshold": 0.8, "top": 2}, [0.875]),
            ({"threshold": 1}, []),
        ],
        ids=str,
    )
    def test_keeps_the_best(self, rule, expected):
        assert select(A, **rule).scores.tolist() == expected


class TestConsensus:
    C = found(("person", 0.75, 0, 0, 20, 36), ("person", 0.5, 100, 0, 120, 20))

    def test_hand_made_numbers(self):
        person, dog, second = consensus([A, B, self.C], votes=2)
        assert (person.name, person.votes, person.members) == ("person", 3, {0: 0, 1: 1, 2: 0})
        assert person.box.tolist() == [0, 0, 20, 36]
        assert person.score == pytest.approx(0.75)
        assert (dog.name, dog.members, dog.score) == ("dog", {0: 1, 1: 2}, 0.625)
        assert (second.name, second.members, second.score) == ("person", {0: 2, 2: 1}, 0.5)

    @pytest.mark.parametrize(("votes", "count"), [(1, 6), (2, 3), (3, 1), (4, 0)])
    def test_votes(self, votes, count):
        agreed = consensus([A, B, self.C], votes=votes)
        assert len(agreed) == count
        assert sorted(agreed, key=lambda one: (-one.votes, -one.score)) == agreed

    @given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 99))
    def test_of_two_models_is_what_they_match(self, n, m, seed):
        a, b = make_detections(n, seed=seed), make_detections(m, seed=seed + 1)
        agreed = consensus([a, b], votes=2, iou=0.2)
        assert {(one.members[0], one.members[1]) for one in agreed} == {(p.a, p.b) for p in compare(a, b, iou=0.2).matched}

    def test_one_model_twice_does_not_count_twice(self):
        doubled = found(("dog", 0.5, 0, 0, 10, 10), ("dog", 0.25, 0, 0, 10, 10))
        assert consensus([doubled], votes=2) == []
        (agreed,) = consensus([doubled, doubled[:1]], votes=2)
        assert agreed.members == {0: 0, 1: 0}

    def test_a_chain_does_not_join_two_objects_of_one_model(self):
        # B's box overlaps two of A's, which lie side by side: it goes to the nearer one.
        a = found(("dog", 0.5, 0, 0, 10, 10), ("dog", 0.5, 8, 0, 18, 10))
        b = found(("dog", 0.5, 5, 0, 15, 10))
        (agreed,) = consensus([a, b], votes=2, iou=0.3)
        assert agreed.members == {0: 1, 1: 0}

    def test_json(self):
        (person, *_) = consensus([A, B, self.C], votes=3)
        assert json.loads(json.dumps(person.to_json())) == {
            "name": "person",
            "votes": 3,
            "score": pytest.approx(0.75),
            "box": [0, 0, 20, 36],
            "members": [{"result": 0, "object": 0}, {"result": 1, "object": 1}, {"result": 2, "object": 0}],
        }

    @pytest.mark.parametrize("results", [[], [A[:0], B[:0]]], ids=["no models", "nothing found"])
    def test_nothing(self, results):
        assert consensus(results, votes=1) == []

    def test_bad_arguments_are_refused(self):
        with pytest.raises(ValueError, match="votes must be 1 or more"):
            consensus([A, B], votes=0)
        with pytest.raises(ValueError, match="different sizes"):
            consensus([A, found(image_size=(50, 50))], votes=2)
