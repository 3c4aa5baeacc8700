"""Pictures of a reconstruction and of how far it can be trusted, and the page that shows them."""

from ptycho.figures.draw import draw_figures
from ptycho.figures.page import render_page

__all__ = ["draw_figures", "render_page"]
