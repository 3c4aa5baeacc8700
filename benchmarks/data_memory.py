"""What a container of mapped frames costs in memory, what an epoch over its stream adds, and what grouping costs.

    python benchmarks/data_memory.py [--frames 20000] [--gridsize 1] [--epoch tensorflow|torch|none]

Memory is RssAnon of this process, in MB: what it holds itself, without mapped files. Frames (64, 64) uint16 are
written to a temporary file and mapped from there. The epoch is measured after a first batch of another stream,
so that what the framework takes once does not count; its highest value while the epoch runs is reported.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from ptycho.loader import PtychoDataContainer, load
from ptycho.raw_data import RawData

SIZE = 64
BATCH = 32


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--gridsize", type=int, default=1)
    parser.add_argument("--epoch", choices=("tensorflow", "torch", "none"), default="tensorflow")
    args = parser.parse_args()
    if args.epoch != "none":
        __import__(args.epoch)
    make_container(np.ones((50, SIZE, SIZE), np.uint16), 2)  # what is imported and allocated once
    with tempfile.TemporaryDirectory() as folder:
        frames = write_frames(Path(folder) / "frames.npy", args.frames)
        before, began = resident(), time.perf_counter()
        container = make_container(frames, args.gridsize)
        seconds = time.perf_counter() - began
        container._X_np[:BATCH]
        print(f"{args.frames} frames of {SIZE} x {SIZE}, gridsize {args.gridsize}: {len(container)} groups")
        print(f"container, validated, grouped and normalised in {seconds:.2f} s")
        print(f"{'container':<12} {resident() - before:8.1f} MB")
        if args.epoch != "none":
            next(iter(make_stream(container, args.epoch)))
            print(f"{'epoch':<12} {measure_epoch(make_stream(container, args.epoch)):8.1f} MB")
    return 0


def resident() -> float:
    """Return RssAnon of this process in MB."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) / 1000  # type: ignore[index]


def write_frames(path: Path, count: int) -> np.memmap[Any, np.dtype[np.uint16]]:
    """Write random counts in slabs and return them mapped, read-only."""
    rng = np.random.default_rng(0)
    frames = np.lib.format.open_memmap(path, "w+", np.uint16, (count, SIZE, SIZE))
    for start in range(0, count, 500):
        frames[start : start + 500] = rng.integers(0, 100, frames[start : start + 500].shape, np.uint16)
    frames.flush()
    return np.load(path, mmap_mode="r")


def make_container(frames: np.ndarray, gridsize: int) -> PtychoDataContainer:
    """Return a container with one group for every frame."""
    x, y = np.random.default_rng(1).uniform(0, 1000, (2, len(frames)))
    raw = RawData.from_coords_without_pc(x, y, frames, np.ones((SIZE, SIZE)))
    grouped = raw.generate_grouped_data(SIZE, nsamples=None, gridsize=gridsize)
    return load(lambda: grouped, raw.probeGuess)


def make_stream(container: PtychoDataContainer, framework: str) -> Iterable[tuple[Any, Any]]:
    """Return a shuffled stream of the container."""
    make = container.as_tf_dataset if framework == "tensorflow" else container.as_torch_dataset
    return make(BATCH, seed=0)


def measure_epoch(stream: Iterable[tuple[Any, Any]]) -> float:
    """Return by how many MB memory rises at most while all batches of a stream are made and dropped."""
    before = highest = resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.05):
            highest = max(highest, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for inputs, _ in stream:
        float(inputs[0][0, 0, 0, 0])
    done.set()
    watcher.join()
    return max(highest, resident()) - before


if __name__ == "__main__":
    sys.exit(main())
