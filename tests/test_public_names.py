"""Tests that all public names exist and that renamed ones still work for one release."""

from __future__ import annotations

import pytest

import detection_core
from detection_core import _HOMES, _RENAMED


@pytest.mark.parametrize("name", detection_core.__all__)
def test_every_public_name_is_there(name: str):
    assert getattr(detection_core, name).__doc__


def test_all_and_homes_are_the_same():
    assert sorted(detection_core.__all__) == sorted(_HOMES) == detection_core.__all__


@pytest.mark.parametrize("old", _RENAMED)
def test_an_old_name_is_the_new_one_with_a_warning(old: str):
    with pytest.warns(DeprecationWarning, match=f"{old} is now called {_RENAMED[old]}"):
        found = getattr(detection_core, old)
    assert found is getattr(detection_core, _RENAMED[old])


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'detect_everything'"):
        detection_core.detect_everything  # noqa: B018
