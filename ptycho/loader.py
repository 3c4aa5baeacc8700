"""The published name of the lazy sample container, and of what makes one."""

from ptycho.compat.loader import PtychoDataContainer, load

__all__ = ["PtychoDataContainer", "load"]
