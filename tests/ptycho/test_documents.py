"""The science documents: their commands run, their snippets hold, and the messages they quote are those one gets."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ptycho.cli import main
from ptycho.data import load_scan, save_scan
from ptycho.data.examples import Examples, make_examples
from ptycho.data.groups import group_frames
from ptycho.data.normalisation import fit_normalisation
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import PtychoError
from ptycho.nets import Bundle, Network, build_network, illuminate, load_bundle, save_bundle, specify
from ptycho.nets.layers import start_weights
from ptycho.train import TrainOptions, train

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "docs" / "workflows" / "pytorch.md"
DEBUGGING = ROOT / "docs" / "debugging" / "debugging.md"
DOCUMENTS = [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/*/*.md")), ROOT / "README.md"]
BLOCK = re.compile(r"^```(sh|python)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUOTES = [
    text
    for text in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", DEBUGGING.read_text("utf-8"), flags=re.M | re.S))
    if re.search(r"expected |needed |warning: |fetch it first", text)
]
SCIENCE = ("info", "train", "infer", "evaluate", "compare", "reconstruct")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read_blocks(path: Path) -> list[tuple[str, str]]:
    """The language and the text of the fenced blocks of a document, in their order."""
    return BLOCK.findall(path.read_text(encoding="utf-8"))


def read_commands(path: Path) -> list[list[str]]:
    """The arguments of each `python -m ptycho` that a document shows."""
    lines = [line for language, text in read_blocks(path) if language == "sh" for line in text.splitlines()]
    found = [shlex.split(line, comments=True) for line in lines]
    return [argv[3:] for argv in found if argv[:3] == ["python", "-m", "ptycho"]]


SNIPPETS = [
    (path, text)
    for path in DOCUMENTS
    for language, text in read_blocks(path)
    if language == "python" and "siemens-star" not in text  # which would have to be fetched
]
COMMANDS = [
    (path, argv)
    for path in DOCUMENTS
    for argv in read_commands(path)
    if argv[0] in SCIENCE and not any("$" in word for word in argv)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scan that the documents simulate."""
    folder = tmp_path_factory.mktemp("documents")
    (simulate,) = [argv for argv in read_commands(WORKFLOW) if argv[0] == "simulate"]
    assert main([str(folder / word) if word == "scan.npz" else word for word in simulate]) == 0
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, to be in."""
    monkeypatch.chdir(folder)
    return folder


# What is shown runs


@pytest.mark.parametrize(("path", "argv"), COMMANDS, ids=lambda value: None if isinstance(value, list) else name(value))
def test_the_flags_of_a_command_exist(
    path: Path,
    argv: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a folder without any scan a command with right flags is an expected failure, with wrong ones a usage error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PTYCHO_CACHE", str(tmp_path))
    assert main(argv) == 1, name(path)
    assert re.search("not in the cache|No such file", capsys.readouterr().err)


@pytest.mark.parametrize(("path", "text"), SNIPPETS, ids=lambda value: name(value) if isinstance(value, Path) else "")
def test_a_snippet_holds(path: Path, text: str, here: Path) -> None:
    script = here / f"{path.stem}.py"
    script.write_text(text, encoding="utf-8")
    runpy.run_path(str(script))


@pytest.mark.slow
def test_the_way_from_training_to_scores_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All commands in their order; the first training is killed after an epoch, so that there is one to go on with."""
    monkeypatch.chdir(tmp_path)
    killed = False
    for argv in read_commands(WORKFLOW):
        if argv[0] == "train" and not killed:
            kill_after_an_epoch(argv)
            killed = True
            continue
        code = main(argv)
        assert code == (1 if argv[0] == "evaluate" else 0), (argv, capsys.readouterr().err)
    shown = capsys.readouterr()
    assert "half_sets.worst_deviance_over_expected = undefined" in shown.out  # the first evaluation
    assert re.search(r"half_sets\.worst_deviance_over_expected = \d", shown.out)  # the second
    history = load_bundle(tmp_path / "net" / "bundle.zip").training["history"]
    assert [record["epoch"] for record in history["epochs"]] == [1, 2, 3, 4]
    (resumed,) = [line for line in shown.err.splitlines() if line.startswith("epoch 4: ")]
    assert not [line for line in shown.err[: shown.err.index(resumed)].splitlines() if line.startswith("epoch 1: ")]


def kill_after_an_epoch(argv: list[str]) -> None:
    """Start a training as a process of its own, and kill it when its first epoch is told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ptycho", *argv],
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process as child:
        for line in child.stderr:
            if line.startswith("epoch 1: "):
                child.kill()
                break
    assert child.returncode == -9
    assert not Path("net/bundle.zip").exists()


def test_imports_go_one_way() -> None:
    for package, unknown in (
        ("physics", "data|nets|train|solvers|metrics|inference|commands|compat"),
        ("data", "nets|train|metrics|inference|commands|compat"),
        ("nets", "train|solvers|metrics|inference|commands|compat"),
        ("train|solvers|metrics|figures", "inference|commands|compat"),
    ):
        for part in package.split("|"):
            for path in (ROOT / "ptycho" / part).rglob("*.py"):
                found = re.findall(rf"^from ptycho\.({unknown})\b", path.read_text(encoding="utf-8"), re.MULTILINE)
                assert not found, f"{name(path)} imports ptycho.{found[0]}"


# What is quoted is said


@pytest.fixture(scope="module")
def problem(folder: Path) -> tuple[Bundle, Examples]:
    """A small network under a probe that is not the scan's, and what it may learn from."""
    scan = load_scan(folder / "scan.npz")
    normalisation = fit_normalisation(scan.diffraction)
    light = illuminate(scan.probe + 0.3 * np.roll(scan.probe, 3, axis=2), normalisation)
    examples = make_examples(scan, group_frames(scan.probe_positions, 4), normalisation).select(slice(16))
    specification = specify(light.probe, examples.offsets, stages=1, projections=1, filters=4)
    return Bundle(specification, light, start_weights(specification)), examples


@pytest.fixture(scope="module")
def wrong(folder: Path, problem: tuple[Bundle, Examples]) -> Path:
    """The folder with wrong scans, and with bundles, checkpoints and results that fit nothing."""
    scan = load_scan(folder / "scan.npz")
    y, x = scan.probe_positions.T
    good = {"diff3d": scan.diffraction, "ycoords": y, "xcoords": x, "probeGuess": scan.probe}
    for key, arrays in {
        "measured": good,
        "guessless": {key: value for key, value in good.items() if key != "probeGuess"},
        "amplitudes": good | {"diff3d": np.sqrt(scan.diffraction)},
        "frames-last": good | {"diff3d": np.moveaxis(scan.diffraction, 0, -1)},
        "black": good | {"diff3d": 0 * scan.diffraction},
        "nanometres": good | {"xcoords": 1e8 * x, "ycoords": 1e8 * y},
        "negative": good | {"diff3d": scan.diffraction - 1},
    }.items():
        np.savez(folder / f"{key}.npz", **arrays)
    dark = np.random.default_rng(0).poisson(1e-5 * scan.diffraction).astype(np.float32)
    save_scan(folder / "bright.npz", replace(scan, diffraction=3 * scan.diffraction))
    save_scan(folder / "dark.npz", replace(scan, diffraction=dark))
    save_scan(folder / "sparse.npz", replace(scan, probe_positions=8 * scan.probe_positions))
    save_scan(folder / "small.npz", simulate(Simulation(rows=3, columns=3, frame_px=20)))
    torn = (folder / "scan.npz").read_bytes()[:5000]
    (folder / "torn.npz").write_bytes(torn)
    (folder / "cut").mkdir()
    (folder / "cut" / "checkpoint.npz").write_bytes(torn)
    save_bundle(folder / "small.zip", problem[0])
    with zipfile.ZipFile(folder / "small.zip") as old, zipfile.ZipFile(folder / "edited.zip", "w") as new:
        for member in old.namelist():
            new.writestr(member, old.read(member) + b"\n")
    for frames in ("all", "train"):
        out = ["--frames", frames, "--out", str(folder / f"solved-{frames}")]
        main(["reconstruct", str(folder / "scan.npz"), "--epochs", "2", "--modes", "1", "--threads", "1", *out])
    main(["infer", str(folder / "scan.npz"), "--model", str(folder / "small.zip"), *out[:3], str(folder / "found")])
    return folder


FAILURES = """
info siemens-star
info guessless.npz
info frames-last.npz
info amplitudes.npz
info negative.npz
info black.npz
info nanometres.npz
info torn.npz
info dark.npz --trial
infer sparse.npz --frames train --model small.zip --out made
infer small.npz --model small.zip --out made
infer bright.npz --frames half-a --model small.zip --out made
infer scan.npz --model edited.zip --out made
infer scan.npz --model small.zip --device cuda --out made
infer scan.npz --model small.zip --framework tensorflow --out made
train amplitudes.npz --kind amplitude --loss poisson --out made
train measured.npz --network supervised --out made
train scan.npz --resume --out cut
evaluate scan.npz --train solved-all --out made
evaluate scan.npz --train found --scores-only --out made
evaluate amplitudes.npz --kind amplitude --train solved-train --out made
compare scan.npz --result found --reference solved-train --out made
"""


def provoke_training(bundle: Bundle, examples: Examples, checkpoint: Path) -> Iterator[str]:
    """What a training that is taken up with other options says, and one that learns from NaN."""

    def build() -> Network:
        return build_network(bundle.specification, bundle.illumination, bundle.weights, device="cpu")

    train(build(), examples, None, TrainOptions(epochs=1), checkpoint=checkpoint)
    with pytest.raises(PtychoError) as other:
        train(build(), examples, None, TrainOptions(epochs=2), checkpoint=checkpoint, resume=True)
    yield str(other.value)
    spoilt = np.full(examples.amplitudes.shape, np.nan, np.float32)
    with pytest.raises(PtychoError) as lost:
        train(build(), replace(examples, amplitudes=spoilt), None, TrainOptions(epochs=1))
    yield str(lost.value)


def test_every_message_that_is_quoted_is_said(
    wrong: Path,
    problem: tuple[Bundle, Examples],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(wrong)
    monkeypatch.setenv("PTYCHO_CACHE", str(wrong))
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as where it is not installed
    for module in [module for module in sys.modules if module.startswith("ptycho.backends.tensorflow")]:
        monkeypatch.delitem(sys.modules, module)
    said = {"train": "\n".join(provoke_training(*problem, wrong / "checkpoint.npz"))}
    for line in FAILURES.split("\n")[1:-1]:
        capsys.readouterr()
        main(line.split())
        captured = capsys.readouterr()
        said[line] = captured.out + captured.err
    patterns = {quote: re.compile(".*".join(map(re.escape, quote.split("…")))) for quote in QUOTES}
    assert len(patterns) >= len(said)
    for quote, pattern in patterns.items():
        if "CUDA" not in quote or not torch_has_cuda():
            assert any(pattern.search(text) for text in said.values()), f"nobody says: {quote}"
    for line, text in said.items():
        if "cuda" not in line or not torch_has_cuda():
            assert any(pattern.search(text) for pattern in patterns.values()), f"{line}: not explained: {text}"


def torch_has_cuda() -> bool:
    import torch  # noqa: PLC0415 -- a framework is imported where it is used

    return torch.cuda.is_available()
