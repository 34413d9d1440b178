"""The smoke profile's scores against tests/baselines/smoke.json and themselves.

Measured on one machine: two processes agree in every digit; one thread or two,
0.00001 %. Renew with `python tests/regression.py --renew REASON`.
"""

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import regression

from helpers import config

BASELINE = regression.read_json(regression.BASELINE)


def run(threads=1):
    ran = subprocess.run(
        [sys.executable, regression.__file__],
        capture_output=True,
        text=True,
        cwd=config.ROOT,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def first():
    return run()


def test_the_smoke_run_scores_as_before(first):
    assert len(BASELINE["mean_log_likelihood"]) == 9
    assert len(BASELINE["bits_per_byte"]) == 6
    assert all(row["why"] for row in BASELINE["history"])
    assert regression.differences(first, BASELINE) == []


def test_a_score_that_moved_or_is_missing_is_named(fault):
    changed = copy.deepcopy(BASELINE)
    changed["mean_log_likelihood"]["neurips under base"] *= 1.006
    del changed["bits_per_byte"]["neurips under base"]
    found = regression.differences(changed, BASELINE)
    assert len(found) == 2
    assert found[0].startswith("mean_log_likelihood, neurips under base: -")
    assert found[1].startswith("bits_per_byte, neurips under base: None")
    fault("a mean score 0.6 % away from tests/baselines/smoke.json", found[0])


def test_classroom_metrics_can_be_compared():
    """The committed metrics.json has what `make verify` compares."""
    metrics = regression.read_json(regression.ROOT / "submission" / "metrics.json")
    assert len(regression.flat(metrics["bits_per_byte"])) == 6
    assert len(metrics["mean_log_likelihood"]) == 9
    off = copy.deepcopy(metrics)
    off["bits_per_byte"]["base"]["neurips"] *= 0.99
    assert len(regression.differences(off, metrics)) == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_and_texts(first, fault):
    assert run() == first
    fault("the smoke run twice, same seed", "the same in every digit")


@pytest.mark.slow
def test_threads_move_no_score_by_half_a_per_cent(first, fault):
    other = run(threads=2)
    apart = np.abs(np.array(other["scores"]) / np.array(first["scores"]) - 1)
    assert apart.max() < regression.TOLERANCE
    assert regression.differences(other, first) == []
    fault("the smoke run with two threads, not one", "every score within 0.5 %")
