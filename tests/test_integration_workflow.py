"""From a file of frames to amplitude, phase and pictures, each step in a fresh process, in both frameworks."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptycho.archive import load_arrays
from ptycho.data.simulation import Simulation, simulate
from ptycho.metrics.gauge import illumination
from ptycho.physics import make_canvas
from ptycho.raw_data import RawData

ROOT = Path(__file__).parents[1]
TRAIN = """
import sys
from ptycho import params
from ptycho.config.config import ModelConfig, TrainingConfig, update_legacy_dict
from ptycho.loader import load
from ptycho.model import train
from ptycho.raw_data import RawData

path, folder, framework = sys.argv[1:]
raw = RawData.from_file(path)
config = TrainingConfig(ModelConfig(N=24, gridsize=2, n_filters_scale=1), batch_size=8)
update_legacy_dict(params.cfg, config)
container = load(lambda: raw.generate_grouped_data(24, nsamples=None, gridsize=2), raw.probeGuess, framework=framework)
history = train(4, container)
losses = history.history["loss"]
assert losses[-1] < losses[0], losses
history.model.save(folder)
"""


def run(*arguments: str | Path, cwd: Path) -> str:
    """Run our interpreter in an environment of its own; return what it printed."""
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
        "HOME": str(cwd),
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("trained_in", "used_in"), [("torch", "tensorflow"), ("tensorflow", "torch")])
def test_a_file_of_frames_becomes_amplitude_and_phase(trained_in: str, used_in: str, tmp_path: Path) -> None:
    settings = Simulation(rows=9, columns=10, frame_px=24, step_px=3, dose=1e6, object="shapes", known_probe=True)
    raw = RawData.from_scan(simulate(settings))
    raw.save(tmp_path / "scan.npz")
    run("-c", TRAIN, tmp_path / "scan.npz", tmp_path / "model", trained_in, cwd=tmp_path)
    command = [ROOT / "scripts/inference/inference.py", "--model_path", "model", "--test_data", "scan.npz", "--quiet"]
    for framework, folder in ((used_in, "there"), (trained_in, "here")):
        printed = run(*command, "--framework", framework, "--output_dir", folder, cwd=tmp_path)
        assert f"{folder}/reconstruction.npz" in printed
        assert {path.name for path in (tmp_path / folder).iterdir()} == {
            "reconstruction.npz",
            "reconstructed_amplitude.png",
            "reconstructed_phase.png",
        }
    there, here = (load_arrays(tmp_path / name / "reconstruction.npz") for name in ("there", "here"))
    found = here["amplitude"] * np.exp(1j * here["phase"])
    assert np.abs(there["amplitude"] * np.exp(1j * there["phase"]) - found).max() <= 1e-4 * np.abs(found).max()
    canvas = make_canvas(raw.probe_positions, raw.frame_shape)
    light = illumination(raw.probeGuess, raw.probe_positions, canvas.origin, canvas.shape)
    lit = light > 0.3 * light.max()
    y, x = canvas.origin.astype(int)
    known = raw.objectGuess[y : y + canvas.shape[0], x : x + canvas.shape[1]]
    agreement = abs(np.vdot(known[lit], found[lit])) / np.linalg.norm(known[lit]) / np.linalg.norm(found[lit])
    assert agreement > 0.98
