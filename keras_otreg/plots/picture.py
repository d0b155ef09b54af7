"""A matplotlib figure that shows itself in a notebook."""

import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that needs no pyplot to be shown, and leaves none open."""

    def savefig(self, fname: Any, **settings: Any) -> None:
        """Write the figure as it is shown, on its own background."""
        if not settings.get("transparent"):
            # matplotlib may take that of the style which is current by now.
            settings.setdefault("facecolor", self.get_facecolor())
        super().savefig(fname, **settings)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()

    def pixels(self) -> np.ndarray:
        """The figure as an array of shape `(height, width, 4)`."""
        canvas = FigureCanvasAgg(self)
        canvas.draw()
        return np.array(canvas.buffer_rgba())
