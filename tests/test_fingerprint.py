"""Fingerprints are the same everywhere and differ wherever the parts do."""

import doctest
import itertools
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuwen import fingerprint as module
from tuwen.fingerprint import fingerprint

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(
    SCALARS.filter(lambda value: not isinstance(value, str) or value.isprintable()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="abc图"), inner),
    max_leaves=8,
)


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(module).failed == 0


def test_the_same_in_another_process_whatever_the_hash_seed() -> None:
    script = "from tuwen.fingerprint import fingerprint; print(fingerprint(b=[1, 2.5], a={'模型': None, 'x': True}))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in "012"
    }
    assert answers == {fingerprint(a={"x": True, "模型": None}, b=[1, 2.5]) + "\n"}


def test_different_parts_differ() -> None:
    parts = [{}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"b": 1}, {"a": [1]}, {"a": {"a": 1}}, {"a": None}]
    for one, other in itertools.combinations(parts, 2):
        assert fingerprint(**one) != fingerprint(**other)  # type: ignore[arg-type]


@settings(max_examples=50)
@given(st.dictionaries(st.text(alphabet="abc", min_size=1), JSON))
def test_order_of_keys_does_not_matter(parts: dict[str, object]) -> None:
    backwards = dict(reversed(parts.items()))
    assert fingerprint(**parts) == fingerprint(**backwards)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", [object(), b"bytes", {1, 2}])
def test_only_json(part: object) -> None:
    with pytest.raises(TypeError):
        fingerprint(part=part)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", [float("nan"), float("inf"), "\udcff"])
def test_only_what_has_one_writing(part: float | str) -> None:
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        fingerprint(part=part)
