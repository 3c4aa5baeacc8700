"""A trained network in a file: nothing is lost, nothing is run, no change goes unseen."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ptycho.data.normalisation import Normalisation
from ptycho.errors import DataError
from ptycho.nets import Bundle, illuminate, load_bundle, save_bundle, specify
from ptycho.nets.layers import start_weights

Make = Callable[..., Bundle]


@pytest.fixture
def make_bundle(make_offsets: Callable, make_probe: Callable) -> Make:
    def make(dtype: type = np.float32) -> Bundle:
        probe = make_probe()
        specification = specify(probe, make_offsets(2), filters=5, stages=2)
        mask = np.random.default_rng(3).random((21, 34)) > 0.2
        weights = {name: value.astype(dtype) for name, value in start_weights(specification, 4).items()}
        light = illuminate(probe, Normalisation(1234.5, (21, 34)), mask)
        return Bundle(specification, light, weights, {"scan": "a", "losses": [0.5, 0.25]})

    return make


def rewrite(path: Path, change: dict[str, bytes | None]) -> None:
    """Replace members of a zip file; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | change
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bundle_comes_back_bit_for_bit(tmp_path: Path, dtype: type, make_bundle: Make) -> None:
    bundle = make_bundle(dtype)
    save_bundle(tmp_path / "b.zip", bundle)
    again = load_bundle(tmp_path / "b.zip")
    assert again.specification == bundle.specification
    assert again.training == bundle.training
    assert again.illumination.normalisation == bundle.illumination.normalisation
    assert np.array_equal(again.illumination.probe, bundle.illumination.probe)
    assert np.array_equal(again.illumination.mask, bundle.illumination.mask)
    assert again.weights.keys() == bundle.weights.keys()
    for name, value in bundle.weights.items():
        assert again.weights[name].dtype == dtype
        assert np.array_equal(again.weights[name], value)


def test_equal_networks_give_equal_files_and_a_readable_manifest(tmp_path: Path, make_bundle: Make) -> None:
    for name in ("a.zip", "b.zip"):
        save_bundle(tmp_path / name, make_bundle())
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip"]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["schema"] == "ptycho-bundle/1"
    assert manifest["normalisation"]["intensity_scale"] == pytest.approx(np.sqrt(4 * 1234.5 / (21 * 34)))


def test_every_changed_byte_of_the_tensors_is_seen(tmp_path: Path, make_bundle: Make) -> None:
    path = tmp_path / "b.zip"
    save_bundle(path, make_bundle())
    with zipfile.ZipFile(path) as archive:
        blob = bytearray(archive.read("tensors.safetensors"))
    blob[-1] ^= 1
    rewrite(path, {"tensors.safetensors": bytes(blob)})
    with pytest.raises(DataError, match="SHA-256"):
        load_bundle(path)


def test_a_changed_scale_in_the_manifest_is_seen(tmp_path: Path, make_bundle: Make) -> None:
    path = tmp_path / "b.zip"
    save_bundle(path, make_bundle())
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    manifest["normalisation"]["mean_intensity"] *= 2
    rewrite(path, {"manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(DataError, match=r"manifest\.json: expected SHA-256"):
        load_bundle(path)


def test_a_file_cut_anywhere_is_refused_with_its_name(tmp_path: Path, make_bundle: Make) -> None:
    path = tmp_path / "b.zip"
    save_bundle(path, make_bundle())
    whole = path.read_bytes()
    for length in (0, 10, 500, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"b\.zip: expected"):
            load_bundle(path)


@pytest.mark.parametrize(
    "change",
    [
        {"manifest.json": b"{}"},
        {"manifest.json": b"[1]"},
        {"manifest.json": b"\xff"},
        {"manifest.json": None},
        {"more.txt": b"x"},
        {"tensors.safetensors": pickle.dumps({"weights": 1})},
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, change: dict[str, bytes | None], make_bundle: Make) -> None:
    path = tmp_path / "b.zip"
    save_bundle(path, make_bundle())
    rewrite(path, change)
    with pytest.raises(DataError, match=r"b\.zip"):
        load_bundle(path)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ptycho train"):
        load_bundle(tmp_path / "none.zip")
