"""`ptycho train` and `ptycho infer`, run as users run them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptycho.cli import main
from ptycho.nets import load_bundle
from ptycho.reconstruction import load_reconstruction, save_reconstruction

SIMULATE = ["simulate", "--object", "shapes", "--modes", "1", "--known-probe", "--grid", "9x14", "--frame-px", "24"]


def measure_picture(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    assert main([*SIMULATE, "--step-px", "3.5", "--dose", "1e6", "--out", str(path)]) == 0
    return str(path)


@pytest.fixture(scope="module")
def trained(scan_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    assert main(["train", scan_file, "--out", str(folder), "--epochs", "2"]) == 0
    return folder


def test_training_leaves_a_bundle_its_history_and_a_picture(trained: Path) -> None:
    history = json.loads((trained / "history.json").read_text())
    assert [record["epoch"] for record in history["epochs"]] == [1, 2]
    assert history["epochs"][1]["validation_loss"] < history["epochs"][0]["loss"]
    bundle = load_bundle(trained / "bundle.zip")
    assert bundle.specification.gridsize == 2
    assert bundle.training["history"] == history
    assert measure_picture(trained / "training.png") > (400, 300)


def test_what_a_network_infers_is_what_evaluate_reads(trained: Path, scan_file: str, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "inferred"), "--frames", "train"]
    assert main(["infer", scan_file, "--model", str(trained), *out]) == 0
    run = json.loads((tmp_path / "inferred" / "run.json").read_text())
    assert run["options"]["solver"] == "network"
    assert run["frames_used"] < 9 * 14
    assert measure_picture(tmp_path / "inferred" / "object.png") > (400, 300)
    main(["evaluate", scan_file, "--train", str(tmp_path / "inferred"), "--out", str(tmp_path / "scores")])
    scores = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert scores["truth"]["amplitude_correlation"] > 0.8


def test_a_finished_training_is_taken_up_without_a_step(
    trained: Path, scan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "bundle.zip").read_bytes()
    assert main(["train", scan_file, "--out", str(trained), "--epochs", "2", "--resume"]) == 0
    assert (trained / "bundle.zip").read_bytes() == before
    capsys.readouterr()
    assert main(["train", scan_file, "--out", str(trained), "--epochs", "3", "--resume"]) == 2
    assert "options.epochs: 2 there, 3 here" in capsys.readouterr().err


def test_the_chunk_changes_nothing_but_time(trained: Path, scan_file: str, tmp_path: Path) -> None:
    for chunk in ("5", "400"):
        assert (
            main(["infer", scan_file, "--model", str(trained), "--chunk", chunk, "--out", str(tmp_path / chunk)]) == 0
        )
    few, all_ = (load_reconstruction(tmp_path / chunk / "reconstruction.npz").object for chunk in ("5", "400"))
    assert np.abs(few - all_).max() <= 1e-5 * np.abs(all_).max()


def test_a_file_that_is_no_bundle_and_frames_of_another_size_are_told(
    trained: Path, scan_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["infer", scan_file, "--model", scan_file, "--out", str(tmp_path)]) == 1
    assert "expected manifest.json and tensors.safetensors" in capsys.readouterr().err
    small = str(tmp_path / "small.npz")
    assert main([*SIMULATE[:-1], "20", "--out", small]) == 0
    assert main(["infer", small, "--model", str(trained), "--out", str(tmp_path)]) == 1
    assert "expected frames (24, 24), which the network was trained on, found (20, 20)" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told(
    trained: Path, scan_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for command in (["train", scan_file], ["infer", scan_file, "--model", str(trained)]):
        assert main([*command, "--out", str(taken)]) == 1
        assert f"File exists: '{taken}'" in capsys.readouterr().err


def test_a_result_is_put_beside_its_reference_where_its_origin_says(
    trained: Path, scan_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inferred, reference = tmp_path / "inferred", tmp_path / "reference"
    assert main(["infer", scan_file, "--model", str(trained), "--frames", "train", "--out", str(inferred)]) == 0
    assert main(["infer", scan_file, "--model", str(trained), "--frames", "train", "--out", str(reference)]) == 0
    capsys.readouterr()
    command = ["compare", scan_file, "--result", str(inferred), "--reference", str(reference), "--out", str(tmp_path)]
    assert main(command) == 0
    assert "agreement: amplitude 1.000, phase 1.000" in capsys.readouterr().out
    assert measure_picture(tmp_path / "comparison.png") > (400, 300)

    moved = load_reconstruction(inferred / "reconstruction.npz")
    save_reconstruction(inferred / "reconstruction.npz", replace(moved, object=np.roll(moved.object, 2, axis=1)))
    assert main(command) == 0
    agreement = json.loads((tmp_path / "comparison.json").read_text())["agreement"]
    assert agreement["phase_correlation"] < 0.9
    assert agreement["shift_px"] == [0.0, 0.0]
