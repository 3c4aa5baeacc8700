"""Infer amplitude and phase of a scan with a trained network: published functions, and a small command line."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptycho.archive import save_arrays
from ptycho.compat.inference import Settings, extract_ground_truth, group_raw_data, reconstruct
from ptycho.compat.model import PtychoModel
from ptycho.compat.raw_data import RawData
from ptycho.errors import PtychoError
from ptycho.figures.style import add_scale_bar, make_figure, render_figure, show_image
from ptycho.physics import make_canvas
from ptycho.workflows.components import load_inference_bundle
from ptycho_torch.inference import _run_inference_and_reconstruct

__all__ = ["_run_tf_inference_and_reconstruct", "extract_ground_truth", "main", "perform_inference"]

Image = NDArray[np.float32]


def _run_tf_inference_and_reconstruct(
    model: PtychoModel,
    raw_data: RawData,
    config: Settings = None,
    K: int | None = None,
    nsamples: int | None = None,
    quiet: bool = False,  # noqa: FBT001, FBT002, RUF100 -- the published signature
    seed: int = 45,
    chunk: int = 32,
) -> tuple[Image, Image]:
    """Return amplitude and phase of a scan, predicted in TensorFlow, whatever the model was trained in.

    Parameters and result are those of its twin, `ptycho_torch.inference._run_inference_and_reconstruct`.
    """
    groups = group_raw_data(model, raw_data, K, nsamples, seed)
    canvas = make_canvas(raw_data.probe_positions, raw_data.frame_shape)
    return reconstruct(model, groups, config, canvas=canvas, framework="tensorflow", chunk=chunk, quiet=quiet)


def perform_inference(
    model: PtychoModel,
    test_data: RawData,
    config: Settings = None,
    K: int | None = None,
    nsamples: int | None = None,
) -> tuple[Image, Image, Image | None, Image | None]:
    """Return amplitude, phase, and those of the known object or None; deprecated.

    Parameters are those of `_run_tf_inference_and_reconstruct`, which with `extract_ground_truth` takes its place.
    """
    warnings.warn(
        "perform_inference is deprecated; call _run_tf_inference_and_reconstruct, and extract_ground_truth",
        DeprecationWarning,
        stacklevel=2,
    )
    found = _run_tf_inference_and_reconstruct(model, test_data, config, K, nsamples)
    return *found, *(extract_ground_truth(test_data) or (None, None))


def main(argv: Sequence[str] | None = None) -> int:
    """Infer a scan; write `reconstruction.npz` and pictures; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model_path", required=True, metavar="DIR", help="holds the bundle of a trained network")
    parser.add_argument("--test_data", required=True, metavar="FILE", help="the scan, .npz or HDF5")
    parser.add_argument("--output_dir", default="inference_outputs", metavar="DIR", help="gets the results")
    parser.add_argument("--framework", choices=("tensorflow", "torch"), default="tensorflow", help="whose network")
    parser.add_argument("--chunk", type=int, default=32, help="groups predicted at a time (32)")
    parser.add_argument("--n_images", type=int, help="groups to use (one for every frame)")
    parser.add_argument("--seed", type=int, default=45, help="of the groups (45)")
    parser.add_argument(
        "--kind", choices=("counts", "intensity", "amplitude"), help="what the numbers are, unless whole (counts)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args(argv)
    run = _run_inference_and_reconstruct if args.framework == "torch" else _run_tf_inference_and_reconstruct
    try:
        model, config = load_inference_bundle(args.model_path, framework=args.framework)
        raw_data = RawData.from_file(args.test_data, args.kind)
        folder = Path(args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        amplitude, phase = run(
            model, raw_data, config, nsamples=args.n_images, quiet=args.quiet, seed=args.seed, chunk=args.chunk
        )
        save_arrays(folder / "reconstruction.npz", {"amplitude": amplitude, "phase": phase})
        for name, image, unit in (("amplitude", amplitude, "relative"), ("phase", phase, "rad")):
            (folder / f"reconstructed_{name}.png").write_bytes(_draw(image, f"Object, {name}", unit))
    except PtychoError as error:
        sys.stderr.write(f"inference: {error}\n")
        return error.exit_code
    except OSError as error:  # a full disk, a folder that is a file
        sys.stderr.write(f"inference: {error}\n")
        return PtychoError.exit_code
    sys.stdout.write(f"{folder / 'reconstruction.npz'}: {amplitude.shape[0]} x {amplitude.shape[1]} pixels\n")
    return 0


def _draw(image: Image, title: str, unit: str) -> bytes:
    """Return an image as PNG, in grey between the limits of all but half a percent at each end."""
    figure = make_figure(5.2, 4.6)
    axes = figure.subplots()
    low, high = np.percentile(image, (0.5, 99.5))
    show_image(axes, image, {"cmap": "gray", "vmin": low, "vmax": high}, title=title, unit=unit)
    add_scale_bar(axes, image.shape[1], None)
    return render_figure(figure)


if __name__ == "__main__":
    sys.exit(main())
