"""The command line, run as users run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptycho.cli import DATA_SETS, main
from ptycho.data import DataKind, FrameSet, load_scan
from ptycho.data.catalog import SOURCES, TRUE_POSITIONS
from ptycho.data.sabotage import Sabotage
from ptycho.metrics.spoil import Spoil
from ptycho.reconstruction import load_reconstruction

ROOT = Path(__file__).parents[2]
SIMULATE = ["simulate", "--grid", "6x7", "--frame-px", "32", "--step-px", "3", "--dose", "1e5"]


def run_bare(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the clone with no installed package in sight."""
    command = [sys.executable, "-S", "-B", *argv]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def scan_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "scan.npz"
    assert main([*SIMULATE, "--out", str(path)]) == 0
    capsys.readouterr()
    return path


@pytest.mark.parametrize(
    "command", ["", "fetch", "info", "simulate", "reconstruct", "train", "infer", "evaluate", "compare"]
)
def test_help_needs_nothing_but_python(command: str) -> None:
    done = run_bare("-m", "ptycho", *command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: ptycho" in done.stdout


def test_a_missing_package_is_named_with_its_cure() -> None:
    done = run_bare("-m", "ptycho", "info", "scan.npz")
    assert done.returncode == 1
    assert "expected the package 'numpy' to be installed" in done.stderr
    assert "pip install ." in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_the_package_loads_nothing_heavy_and_prints_nothing() -> None:
    done = run_bare("-c", "import sys; before = set(sys.modules); import ptycho; print(set(sys.modules) - before)")
    assert done.stdout.strip() == "{'ptycho'}"
    assert done.stderr == ""


def test_the_choices_of_flags_are_those_of_the_records() -> None:
    text = run_bare("-m", "ptycho", "reconstruct", "--help").stdout
    for choices in (DataKind, FrameSet, Sabotage):
        assert "{" + ",".join(choices) + "}" in text
    assert "{" + ",".join(Spoil) + "}" in run_bare("-m", "ptycho", "evaluate", "--help").stdout


@pytest.mark.parametrize("argv", [[], ["fetch"], ["reconstruct", "x.npz", "--out", "o", "--epoch", "3"], ["nothing"]])
def test_wrong_usage_ends_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert "usage: ptycho" in capsys.readouterr().err


def test_a_wrong_value_ends_with_2_and_a_wrong_file_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--out", str(tmp_path / "s.npz"), "--grid", "6"]) == 2
    assert "--grid: expected ROWSxCOLUMNS" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "none.npz")]) == 1
    assert "none.npz: expected an .npz file: No such file" in capsys.readouterr().err


def test_a_seed_below_zero_is_wrong_usage(scan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", str(scan_file), "--seed", "-1", "--out", str(tmp_path / "o")]) == 2
    assert "--seed: expected a whole number >= 0, found -1" in capsys.readouterr().err


def test_positions_in_another_unit_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Positions in nanometres, say, where pixels are expected."""
    positions = np.linspace(0, 1e8, 4)
    frames, probe = np.ones((4, 16, 16)), np.ones((16, 16), complex)
    np.savez(tmp_path / "nm.npz", diff3d=frames, xcoords=positions, ycoords=positions, probeGuess=probe)
    options = ["--frames", "all", "--modes", "1", "--epochs", "1", "--out", str(tmp_path / "o")]
    assert main(["reconstruct", str(tmp_path / "nm.npz"), *options]) == 1
    assert "positions: expected pixels of the object, found a spread of [1.e+08 1.e+08]" in capsys.readouterr().err


def test_a_simulated_scan_is_described(scan_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(scan_file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["frames"], facts["frame_shape"], facts["kind"]) == (42, [32, 32], "counts")
    assert facts["photons_per_frame"] == pytest.approx(1e5, rel=0.01)
    assert 0 < facts["overlap_area"] < facts["overlap_linear"] < 1
    assert facts["provenance"]["conventions"]["detector_origin"] == "centre"
    assert main(["info", str(scan_file)]) == 0
    text = capsys.readouterr().out
    assert "frames: 42\n" in text
    assert "conventions of the file, undone on reading:\n" in text
    assert "    detector_origin: centre\n" in text


def test_trials_are_shown_on_request(scan_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(scan_file), "--trial", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["trial"]["detector_origin"] == "centre"
    assert captured.err.count("held-out R") == 8


def test_a_reconstruction_is_written_with_its_record(
    scan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    flags = ["--out", str(out), "--frames", "half-b", "--epochs", "3", "--json"]
    assert main(["reconstruct", str(scan_file), *flags]) == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert record == json.loads((out / "run.json").read_text())
    assert "epoch 3/3" in captured.err
    assert (record["options"]["frames"], record["options"]["sabotage"]) == ("half-b", "none")
    assert len(record["history"]) == 3
    result = load_reconstruction(out / "reconstruction.npz")
    assert result.frames.size == record["frames_used"]
    assert result.object.shape == load_scan(scan_file).object_truth.shape  # type: ignore[union-attr]


def test_positions_are_refined_on_request_only_and_a_comparison_says_so(
    scan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = load_scan(scan_file).probe_positions
    for flags, moves in (([], False), (["--refine-positions"], True)):
        out = tmp_path / str(moves)
        command = ["reconstruct", str(scan_file), "--frames", "train", "--epochs", "6", "--out", str(out), *flags]
        assert main(command) == 0
        assert json.loads((out / "run.json").read_text())["options"]["refine_positions"] is moves
        found = load_reconstruction(out / "reconstruction.npz")
        assert np.array_equal(found.probe_positions, given[found.frames]) is not moves
    capsys.readouterr()
    results = ["--result", str(tmp_path / "True"), "--reference", str(tmp_path / "False")]
    assert main(["compare", str(scan_file), *results, "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["positions refined" in line for line in lines] == [True, False, False]
    body = json.loads((tmp_path / "comparison.json").read_text())
    assert body["result"]["positions"]["moved_rms_px"] > 0
    assert body["reference"]["positions"] is None


def test_two_halves_never_share_a_random_start(scan_file: Path, tmp_path: Path) -> None:
    seeds = set()
    for which in FrameSet:
        flags = ["--out", str(tmp_path / which), "--frames", which, "--epochs", "1", "--seed", "7"]
        assert main(["reconstruct", str(scan_file), *flags]) == 0
        seeds.add(load_reconstruction(tmp_path / which / "reconstruction.npz").options["seed"])
    assert len(seeds) == len(FrameSet)


def test_a_sabotaged_run_says_so(scan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--out", str(tmp_path / "o"), "--epochs", "1", "--sabotage", "transposed", "--json"]
    assert main(["reconstruct", str(scan_file), *flags]) == 0
    assert json.loads(capsys.readouterr().out)["options"]["sabotage"] == "transposed"
    positions = load_reconstruction(tmp_path / "o" / "reconstruction.npz").probe_positions
    np.testing.assert_array_equal(positions, load_scan(scan_file).probe_positions[:, ::-1])


def test_without_a_network_fetching_fails_in_seconds_and_names_the_cure(tmp_path: Path) -> None:
    nowhere = {
        "PTYCHO_CACHE": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_NO_CACHE_DIR": "1",
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    done = subprocess.run(
        [sys.executable, "-m", "ptycho", "fetch", "siemens-star"],
        cwd=ROOT,
        env=kept | nowhere,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "expected pip to download tike==0.26.0" in done.stderr
    assert "--archive FILE" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("*.npz")) == []


def test_the_help_names_every_data_set_of_the_catalog() -> None:
    assert DATA_SETS.split(", ") == [*(source.name for source in SOURCES), *TRUE_POSITIONS]
