"""`ptycho.raw_data`: a data set under its published names, validated, saved without loss, and grouped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho.archive import Arrays, check_keys, load_arrays, save_arrays
from ptycho.checks import check_whole, parse_choice
from ptycho.data.groups import Groups, Membership, group_frames
from ptycho.data.mapping import map_array
from ptycho.data.normalisation import Normalisation, fit_normalisation
from ptycho.data.published import (
    FORMAT,
    LIT,
    REQUIRED,
    CoordinateFrame,
    check_published,
    find_kind,
    read_format,
    square_amplitudes,
)
from ptycho.data.samples import amplitude_rows, truth_rows
from ptycho.data.scan import DataKind, Scan, check_lit, index_frames
from ptycho.data.scan_file import FORMAT as SCAN_FORMAT
from ptycho.data.scan_file import load_scan, make_scan
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.hdf5 import load_hdf5_arrays, save_hdf5_arrays
from ptycho.physics.groups import publish_offsets

__all__ = ["FORMAT", "RawData"]

HDF5_SUFFIXES = (".h5", ".hdf5")
ARRAYS = (*REQUIRED, "scan_index", "objectGuess", "xcoords_start", "ycoords_start", "mask")


@dataclass(frozen=True, eq=False)
class RawData:
    """One data set: intensities inside, whatever the source held, and their kind recorded.

    Attributes
    ----------
    xcoords, ycoords
        (n,) float64, object pixels, in the frame that `frame` names.
    diff3d
        (n, h, w) intensities of the source's dtype (photons for counts), in memory or mapped, detector origin
        at (h//2, w//2). Amplitudes are squared by the constructors below, never by this record.
    probeGuess
        (h, w) or (m, h, w) complex.
    scan_index
        (n,) integers, which scan a frame belongs to.
    objectGuess
        (H, W) complex, pixel (0, 0) at coordinate (0, 0); ground-truth patches are cut from it. Or None.
    xcoords_start, ycoords_start
        (n,) float64, nominal positions; those above when not known.
    mask
        (h, w) bool, True where the detector can be believed; everywhere when not known.
    kind
        What the numbers of the source were.
    frame
        Which point of a patch the coordinates name.

    Raises
    ------
    ShapeError
        If arrays do not fit each other or hold NaN: the key, the shape found and the shape expected are named.
    ConfigError
        If there is no such kind or frame.
    """

    xcoords: NDArray[np.float64]
    ycoords: NDArray[np.float64]
    diff3d: NDArray[Any]
    probeGuess: NDArray[np.complexfloating]
    scan_index: NDArray[np.integer] = None  # type: ignore[assignment]  # filled in on construction
    objectGuess: NDArray[np.complexfloating] | None = None
    xcoords_start: NDArray[np.float64] = None  # type: ignore[assignment]  # filled in on construction
    ycoords_start: NDArray[np.float64] = None  # type: ignore[assignment]  # filled in on construction
    mask: NDArray[np.bool_] = None  # type: ignore[assignment]  # filled in on construction
    kind: DataKind = DataKind.COUNTS
    frame: CoordinateFrame = CoordinateFrame.SAMPLE

    def __post_init__(self) -> None:
        for key, shape in REQUIRED.items():
            if not isinstance(found := getattr(self, key), np.ndarray):
                kind = type(found).__name__
                raise ShapeError(f"{key}: expected an array {shape}, found {kind}; numpy.asarray makes one")
        n, frame_shape = self.diff3d.shape[:1], self.diff3d.shape[1:]
        defaults = {
            "scan_index": np.zeros(n, np.int64),
            "xcoords_start": self.xcoords,
            "ycoords_start": self.ycoords,
            "mask": np.ones(frame_shape, bool),
        }
        for key, default in defaults.items():
            if getattr(self, key) is None:
                object.__setattr__(self, key, default)
        object.__setattr__(self, "kind", parse_choice("kind", self.kind, DataKind))
        object.__setattr__(self, "frame", parse_choice("frame", self.frame, CoordinateFrame))
        check_published(self._arrays())
        find_kind(self.diff3d, self.kind)

    def __len__(self) -> int:
        return len(self.diff3d)

    @classmethod
    def from_coords_without_pc(  # noqa: PLR0913 -- the published signature
        cls,
        xcoords: ArrayLike,
        ycoords: ArrayLike,
        diff3d: NDArray[Any],
        probeGuess: ArrayLike,
        scan_index: ArrayLike | None = None,
        objectGuess: ArrayLike | None = None,
        *,
        bad_pixels: ArrayLike | None = None,
        kind: DataKind | str | None = None,
        frame: CoordinateFrame | str = CoordinateFrame.SAMPLE,
    ) -> RawData:
        """Make a data set from arrays without separate nominal positions.

        Parameters
        ----------
        xcoords, ycoords, diff3d, probeGuess, scan_index, objectGuess
            As the attributes; amplitudes are squared. A mapped `diff3d` stays mapped unless it is squared.
        bad_pixels
            (h, w) bool, True where the detector cannot be believed.
        kind
            What the numbers are. Whole numbers are counts by themselves; others must be declared.
        frame
            Which point of a patch the coordinates name.

        Raises
        ------
        ShapeError
            If the arrays do not make a data set.
        """
        arrays: dict[str, Any] = {"xcoords": xcoords, "ycoords": ycoords, "diff3d": diff3d, "probeGuess": probeGuess}
        optional = {"scan_index": scan_index, "objectGuess": objectGuess, "bad_pixels": bad_pixels}
        arrays |= {key: value for key, value in optional.items() if value is not None}
        return cls._from_source(arrays, _parse_kind(kind), parse_choice("frame", frame, CoordinateFrame))

    @classmethod
    def from_file(cls, path: Path | str, kind: DataKind | str | None = None, *, memory_map: bool = False) -> RawData:
        """Read a published .npz or HDF5 file, or one that `save` or `ptycho.data.save_scan` wrote.

        A published file's coordinates name the middle of a patch (`CoordinateFrame.MIDDLE`).

        Parameters
        ----------
        path
            The file: HDF5 when its name ends in .h5 or .hdf5, else .npz.
        kind
            What the numbers of a published file are, when they are not whole.
        memory_map
            Leave `diff3d` in the file. Amplitudes of a published file are squared, and therefore read.

        Raises
        ------
        DataError
            If the file is damaged, lacks a key, or its arrays do not make a data set.
        """
        path = Path(path)
        declared = _parse_kind(kind)
        arrays = _load(path, ("diff3d",) if memory_map else ())
        if "format" in arrays and str(arrays["format"]) == SCAN_FORMAT:
            return cls.from_scan(load_scan(path))
        if memory_map:
            mapped = map_array(path, "diff3d")
            arrays |= {} if mapped is None else {"diff3d": mapped}
        stated = read_format(arrays, str(path), declared) if "format" in arrays else None
        check_keys(arrays, REQUIRED, str(path))
        try:
            if stated is None:
                return cls._from_source(arrays, declared, CoordinateFrame.MIDDLE)
            check_published(arrays)
            return cls._from_arrays(arrays, *stated)
        except ShapeError as error:
            raise DataError(f"{path}: {error}") from error

    @classmethod
    def from_scan(cls, scan: Scan) -> RawData:
        """Return the data set of a scan; its truth becomes `objectGuess`, at coordinate (0, 0)."""
        positions = scan.probe_positions - (0.0 if scan.truth_origin is None else scan.truth_origin)
        y, x = np.ascontiguousarray(positions.T)
        return cls(x, y, scan.diffraction, scan.probe, objectGuess=scan.object_truth, mask=scan.mask, kind=scan.kind)

    def to_scan(self, name: str = "raw data") -> Scan:
        """Return the scan, in float32, as solvers take it; `objectGuess` is a guess and left aside."""
        return make_scan(
            Path(name),
            name=name,
            diffraction=self.diff3d,
            probe_positions=self.probe_positions,
            probe=self.probeGuess.reshape(-1, *self.frame_shape),
            mask=self.mask,
            kind=self.kind,
        )

    def save(self, path: Path | str) -> None:
        """Write every field, exact and uncompressed, to .npz or HDF5 (.h5, .hdf5), whole or not at all.

        Raises
        ------
        ConfigError
            If the name has another ending.
        """
        path = Path(path)
        texts = {"format": FORMAT, "kind": self.kind.value, "frame": self.frame.value}
        arrays: Arrays = self._arrays() | {key: np.array(text) for key, text in texts.items()}
        if path.suffix == ".npz":
            save_arrays(path, arrays)
        elif path.suffix in HDF5_SUFFIXES:
            save_hdf5_arrays(path, arrays)
        else:
            raise ConfigError(f"{path}: expected a name that ends in .npz, .h5 or .hdf5, found {path.suffix!r}")

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(h, w) of a frame in pixels."""
        return self.diff3d.shape[1], self.diff3d.shape[2]

    @property
    def probe_positions(self) -> NDArray[np.float64]:
        """(n, 2) float64, (y, x) of patch sample (h//2, w//2)."""
        return np.stack((self.ycoords, self.xcoords), axis=1) + self.frame.shift(self.frame_shape)

    @property
    def photons_per_frame(self) -> float | None:
        """The dose: mean counts of a frame over valid pixels, None when the data are not counts."""
        return self.fit_normalisation().mean_intensity if self.kind is DataKind.COUNTS else None

    def select(self, frames: ArrayLike | slice) -> RawData:
        """Return the data set of some frames, in that order; a slice keeps a mapped `diff3d` mapped.

        Raises
        ------
        ShapeError
            If it is neither a slice, nor indices, each once, nor a mask (n,), or leaves no frame.
        """
        chosen = frames if isinstance(frames, slice) else index_frames(len(self), frames)
        per_frame = ("xcoords", "ycoords", "xcoords_start", "ycoords_start", "scan_index", "diff3d")
        return replace(self, **{key: getattr(self, key)[chosen] for key in per_frame})

    def fit_normalisation(self) -> Normalisation:
        """Fit the scale to all frames: call it on the training split, and pass the result on to all others."""
        return fit_normalisation(self.diff3d, self.mask)

    def generate_grouped_data(
        self,
        N: int,
        K: int = 7,
        nsamples: int | None = 1,
        gridsize: int = 1,
        *,
        seed: int = 0,
        normalisation: Normalisation | None = None,
        membership: Membership | str = Membership.ANCHORED,
        max_distance: float | None = None,
    ) -> dict[str, Any]:
        """Group frames with their neighbours; nothing large is computed before somebody looks at it.

        Parameters
        ----------
        N
            Size of a frame, its last axis: a check.
        K
            How many nearest neighbours are considered; at least the C − 1 that a group needs.
        nsamples
            Number of groups, also more than there are frames; None makes one for every frame.
        gridsize
            A group has C = gridsize² frames.
        seed, membership, max_distance
            As in `ptycho.data.groups.group_frames`.
        normalisation
            That of the training split; fitted to all frames of this data set when not given.

        Returns
        -------
        dict
            `diffraction` = `X_full` (B, h, w, C) normalised amplitudes and `Y` (B, h, w, C) complex patches of
            `objectGuess` (None without it), both computed row by row when indexed; `coords_offsets`
            (B, 1, 2, 1), `coords_relative` (B, 1, 2, C), the same from the nominal positions as
            `coords_start_*`, `nn_indices` (B, C), `normalisation`, `objectGuess`, `mask`, `kind`.

        Raises
        ------
        ShapeError
            If N is not the size of the frames.
        ConfigError, DataError
            If groups cannot be made as asked.
        """
        if self.frame_shape[1] != N:
            raise ShapeError(f"N: expected {self.frame_shape[1]} for diff3d {self.diff3d.shape}, found {N}")
        size = check_whole("gridsize", gridsize) ** 2
        groups = group_frames(
            self.probe_positions,
            size,
            neighbours=max(check_whole("K", K, 0), size - 1),
            n_groups=nsamples,
            seed=seed,
            membership=membership,
            max_distance=max_distance,
        )
        start = np.stack((self.ycoords_start, self.xcoords_start), axis=1) + self.frame.shift(self.frame_shape)
        nominal = replace(groups, positions=start)
        fitted = normalisation or self.fit_normalisation()
        amplitudes = amplitude_rows(self.diff3d, self.mask, groups, fitted)
        obj = self.objectGuess
        return {
            "diffraction": amplitudes,
            "X_full": amplitudes,
            "Y": None if obj is None else truth_rows(obj, np.zeros(2), groups, self.frame_shape),
            "coords_offsets": _publish_centres(groups),
            "coords_relative": publish_offsets(groups.offsets),
            "coords_start_offsets": _publish_centres(nominal),
            "coords_start_relative": publish_offsets(nominal.offsets),
            "nn_indices": groups.members,
            "normalisation": fitted,
            "objectGuess": obj,
            "mask": self.mask,
            "kind": self.kind,
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the record by name."""
        return {name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None}

    @classmethod
    def _from_source(cls, arrays: dict[str, Any], kind: DataKind | None, frame: CoordinateFrame) -> RawData:
        """Make a data set from arrays of unknown kind."""
        given = {key: value if isinstance(value, np.ndarray) else np.asarray(value) for key, value in arrays.items()}
        check_published(given)
        found = find_kind(given["diff3d"], kind)
        if found is DataKind.AMPLITUDE:
            given["diff3d"] = square_amplitudes(given["diff3d"])
        if "bad_pixels" in given:
            given["mask"] = ~given["bad_pixels"].astype(bool)
        return cls._from_arrays(given, found, frame)

    @classmethod
    def _from_arrays(cls, arrays: dict[str, Any], kind: DataKind, frame: CoordinateFrame) -> RawData:
        """Bring arrays of intensities to the record's dtypes."""
        for name in LIT:
            check_lit(name, arrays[name])
        kept = {name: arrays[name] for name in ARRAYS if name in arrays}
        for name, array in kept.items():
            if "coords" in name:
                kept[name] = array.astype(np.float64)
            elif name == "scan_index" and array.dtype.kind == "f":
                kept[name] = array.astype(np.int64)
            elif name in ("probeGuess", "objectGuess"):
                kept[name] = array.astype(np.result_type(array.dtype, np.complex64), copy=False)
        return cls(**kept, kind=kind, frame=frame)


def _publish_centres(groups: Groups) -> NDArray[np.floating]:
    """Return the centres of groups (B, 1, 2, 1) in the published order, their sign kept."""
    return publish_offsets(-groups.centres[:, None])


def _parse_kind(kind: str | None) -> DataKind | None:
    """Return the kind that was declared, if one was."""
    return None if kind is None else parse_choice("kind", kind, DataKind)


def _load(path: Path, skip: tuple[str, ...]) -> Arrays:
    """Return the arrays of an .npz or HDF5 file."""
    return load_hdf5_arrays(path, skip) if path.suffix in HDF5_SUFFIXES else load_arrays(path, skip=skip)
