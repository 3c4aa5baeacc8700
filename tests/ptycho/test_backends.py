"""Backends are imported when asked for, and not before."""

import doctest
import subprocess
import sys

import numpy as np
import pytest

import ptycho.backends
from ptycho.backends import load
from ptycho.errors import ConfigError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "loaded"), [("numpy", set()), ("torch", {"torch"}), ("tensorflow", {"tensorflow", "keras"})]
)
def test_a_backend_imports_its_own_framework_alone(name: str, loaded: set[str]) -> None:
    script = (
        "import sys; from ptycho.backends import load\n"
        f"import ptycho.physics.registry, ptycho.stitching; load({name!r})\n"
        "print(*sorted({'torch', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert set(done.stdout.split()) <= loaded
    assert name == "numpy" or name in done.stdout.split()


def test_a_backend_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="backend: expected one of numpy, torch, tensorflow, found 'jax'"):
        load("jax")


def test_both_frameworks_work_in_one_process() -> None:
    wave = np.random.default_rng(0).standard_normal((6, 9)) + 1j
    one, other = (load(name) for name in ("torch", "tensorflow"))
    first = one.to_numpy(one.operators.propagate(one.asarray(wave)))
    second = other.to_numpy(other.operators.propagate(other.asarray(wave)))
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_the_example_in_the_docstring_is_true() -> None:
    assert doctest.testmod(ptycho.backends) == (0, 3)
