"""The life of a model: built, trained, saved, loaded, asked; and no two of them know of each other."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ptycho import params
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import DataError
from ptycho.loader import PtychoDataContainer, load
from ptycho.model import create_model_with_gridsize, train
from ptycho.raw_data import RawData
from ptycho.workflows.components import load_inference_bundle

ROOT = Path(__file__).parents[1]
SMALL = {"n_filters_scale": 1}
FRAMEWORKS = ["torch", pytest.param("tensorflow", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Put the published settings back."""
    with params.override():
        yield


def make_container(size: int, gridsize: int, seed: int = 0) -> PtychoDataContainer:
    scan = simulate(Simulation(rows=5, columns=6, frame_px=size, step_px=3, dose=1e5, seed=seed, object="shapes"))
    raw = RawData.from_scan(scan)
    grouped = raw.generate_grouped_data(size, nsamples=None, gridsize=gridsize)
    return load(lambda: grouped, raw.probeGuess, framework="numpy")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_models_of_two_sizes_live_side_by_side(framework: str) -> None:
    """The first is used after the second was trained, and is as if it were alone in the process."""
    (container, first), (other, second), (_, alone) = (
        (make_container(size, gridsize), create_model_with_gridsize(gridsize, size, framework=framework, **SMALL))
        for size, gridsize in ((16, 1), (20, 2), (16, 1))
    )
    train(1, container, first)
    train(1, other, second)
    found = first.predict([container._X_np[:] * first.intensity_scale, container._local_offsets_np])
    beside = second.predict([other._X_np[:] * second.intensity_scale, other._local_offsets_np])
    assert first.intensity_scale != second.intensity_scale == params.get("intensity_scale")
    assert (found.shape[1:3], beside.shape[1:3] > (20, 20)) == ((16, 16), True)
    train(1, container, alone)
    np.testing.assert_allclose(alone.predict(container._X_np[:] * alone.intensity_scale), found, atol=1e-6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_model_is_loaded_as_it_was_saved(framework: str, tmp_path: Path) -> None:
    container = make_container(16, 2)
    model = create_model_with_gridsize(2, 16, framework=framework, n_filters_scale=1, model_type="supervised")
    train(1, container, model)
    scale, path = params.get("intensity_scale"), model.save(tmp_path)
    inputs = [container._X_np[:] * scale, container._local_offsets_np]
    params.set("intensity_scale", None)
    loaded, config = load_inference_bundle(tmp_path, framework=framework)
    assert config == {
        "N": 16,
        "gridsize": 2,
        "n_filters_scale": 1,
        "model_type": "supervised",
        "intensity_scale": pytest.approx(scale),
    }
    assert params.get("intensity_scale") == config["intensity_scale"]
    np.testing.assert_array_equal(loaded.predict(inputs), model.predict(inputs))
    assert load_inference_bundle(path)[1] == config
    with pytest.raises(DataError, match="expected a bundle"):
        load_inference_bundle(tmp_path / "elsewhere")


def test_importing_and_building_a_model_has_no_side_effects(tmp_path: Path) -> None:
    script = (
        "import json, sys, numpy as np\n"
        "state = np.random.get_state()[1].tolist()\n"
        "import ptycho.model, ptycho.probe, ptycho.workflows.components, ptycho_torch.inference\n"
        "from ptycho import params\n"
        "before = dict(params.cfg)\n"
        "first, second = (ptycho.model.create_model_with_gridsize(g, n) for g, n in ((1, 64), (2, 128)))\n"
        "print(json.dumps([sorted({'torch', 'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)),\n"
        "    before == dict(params.cfg), state == np.random.get_state()[1].tolist(), first.config.N]))"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stderr, json.loads(done.stdout)) == ("", [[], True, True, 64])
    assert list(tmp_path.iterdir()) == []
