"""Which benchmarks a command line names."""

from __future__ import annotations

import pytest

from kubewheel.testing import bench


def test_a_group_stands_for_its_members():
    names = [one.name for one in bench.chosen(["get", "api", "up"])]
    assert names[0] == "get"
    assert names[-1] == "up"
    assert sorted(names) == sorted({"get", "up", *bench.GROUPS["api"]})
    assert [one.name for one in bench.chosen([])] == [one.name for one in bench.BENCHMARKS if one.by_default]


def test_what_there_is_not_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"no such benchmark: gte; there are: .*get.*api"):
        bench.chosen(["gte"])


def test_each_benchmark_can_be_loaded():
    assert all(callable(one.load()) for one in bench.BENCHMARKS)
