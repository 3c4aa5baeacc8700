"""The published name of handing over a probe."""

from ptycho.compat.probe import set_probe_guess

__all__ = ["set_probe_guess"]
