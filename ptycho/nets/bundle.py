"""A trained network in one file: a zip of a JSON manifest and of tensors, which runs no code when it is read."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as render_tensors

import ptycho
from ptycho.archive import DAMAGE, replace_whole
from ptycho.data.normalisation import Normalisation
from ptycho.errors import DataError, PtychoError
from ptycho.nets.layers import Weights, check_weights
from ptycho.nets.network import Illumination
from ptycho.nets.specification import Specification

__all__ = ["BUNDLE_FILE", "Bundle", "load_bundle", "save_bundle"]

BUNDLE_FILE = "bundle.zip"  # its name in a folder that holds one
SCHEMA = "ptycho-bundle/1"
MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"
STAMP = (1980, 1, 1, 0, 0, 0)  # of the members: equal networks give equal files
LARGEST_MANIFEST = 2**24


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained network, and all that its predictions depend on.

    Attributes
    ----------
    specification, illumination
        What it computes, under which light and in which units.
    weights
        As `ptycho.nets.layers.start_weights` names them.
    training
        How it came to be: data set, options, losses; JSON values only.
    """

    specification: Specification
    illumination: Illumination
    weights: Weights
    training: Mapping[str, Any] = field(default_factory=dict)


def save_bundle(path: Path, bundle: Bundle) -> None:
    """Write a bundle, whole or not at all.

    Raises
    ------
    ShapeError
        If the weights are not those of the specification.
    """
    check_weights(bundle.specification, bundle.weights)
    light = bundle.illumination
    tensors = {f"weights/{name}": np.ascontiguousarray(value) for name, value in bundle.weights.items()}
    tensors["probe"] = np.stack((light.probe.real, light.probe.imag), axis=-1)
    tensors["mask"] = np.ascontiguousarray(light.mask).astype(np.uint8)
    blob = render_tensors(tensors)
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "specification": bundle.specification.to_json(),
        "normalisation": {
            "mean_intensity": light.normalisation.mean_intensity,
            "frame_shape": list(light.normalisation.frame_shape),
            "intensity_scale": light.normalisation.intensity_scale,
        },
        "gauge": "far-field power of the probe h w / 4 on valid pixels, normalised; the object's global phase is free",
        "training": bundle.training,
        "versions": {"ptycho": ptycho.__version__, "numpy": np.__version__},
        "sha256": {TENSORS: hashlib.sha256(blob).hexdigest()},
    }
    manifest["sha256"][MANIFEST] = _digest(manifest)
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False).encode()
    with replace_whole(path) as temporary, zipfile.ZipFile(temporary, "x") as archive:
        for name, content in ((MANIFEST, text), (TENSORS, blob)):
            archive.writestr(zipfile.ZipInfo(name, STAMP), content)


def load_bundle(path: Path) -> Bundle:
    """Read what `save_bundle` wrote, in either framework or none; of a folder, its `BUNDLE_FILE`.

    Raises
    ------
    DataError
        If the file is missing, damaged, changed, or not a bundle.
    """
    path = path / BUNDLE_FILE if path.is_dir() else path
    try:
        manifest, tensors = _read(path.read_bytes())
        values = manifest["normalisation"]
        h, w = values["frame_shape"]
        normalisation = Normalisation(float(values["mean_intensity"]), (int(h), int(w)))
        specification = Specification.from_json(manifest["specification"])
        probe = tensors["probe"][..., 0] + 1j * tensors["probe"][..., 1]
        weights = {name.partition("/")[2]: value for name, value in tensors.items() if name.startswith("weights/")}
        check_weights(specification, weights)
        illumination = Illumination(probe, tensors["mask"].astype(np.bool_), normalisation)
        return Bundle(specification, illumination, weights, manifest["training"])
    except OSError as error:
        raise DataError(f"{path}: expected a bundle: {error.strerror}; train one with: ptycho train") from error
    except PtychoError as error:
        raise DataError(f"{path}: {error}") from error
    except (KeyError, IndexError, SafetensorError, *DAMAGE) as error:
        raise DataError(
            f"{path}: expected a complete bundle: {error!r}; train again, or copy the file again"
        ) from error


def _read(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return manifest and tensors of a bundle's bytes, the tensors' hash checked."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sorted(archive.namelist()) != sorted((MANIFEST, TENSORS)):
            raise DataError(f"expected {MANIFEST} and {TENSORS}, found {archive.namelist()}")
        if archive.getinfo(MANIFEST).file_size > LARGEST_MANIFEST:
            raise DataError(f"{MANIFEST}: expected at most {LARGEST_MANIFEST} bytes")
        manifest = json.loads(archive.read(MANIFEST))
        blob = archive.read(TENSORS)
    if manifest.get("schema") != SCHEMA:
        raise DataError(f"expected schema {SCHEMA}, found {manifest.get('schema')!r}")
    for name, found in ((TENSORS, hashlib.sha256(blob).hexdigest()), (MANIFEST, _digest(manifest))):
        expected = manifest["sha256"][name]
        if found != expected:
            raise DataError(f"{name}: expected SHA-256 {expected}, found {found}: the file was changed")
    return manifest, load_tensors(blob)


def _digest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own."""
    hashes = {name: value for name, value in manifest["sha256"].items() if name != MANIFEST}
    text = json.dumps({**manifest, "sha256": hashes}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
