"""The saved scores with selectors and sliders, in JupyterLab or Notebook."""

from __future__ import annotations

import html
import io
from base64 import b64encode

import pandas as pd
from matplotlib.figure import Figure

from helpers import config, submission
from helpers.plots import histograms, thresholds
from helpers.plots.histograms import BIN_WIDTH, THRESHOLD
from helpers.plots.style import MODEL_NAMES, NAMES, save
from helpers.submission import MEASURES

TABLE_STYLE = """<style>
.accepted td, .accepted th { text-align: right; padding: 0 0.9em 0 0; line-height: 1.7 }
.accepted td:nth-child(-n+2), .accepted th:nth-child(-n+2) { text-align: left }
</style>"""
START = {
    "kinds": config.KINDS,
    "models": ("base",),
    "measure": "log_likelihood",
    "layout": "overlay",
    "by": "number",
    "bins": 40,
    "density": False,
    "log": False,
    "home": "neurips",
}


def explore(scores: pd.DataFrame) -> Explorer | Figure:
    """Selectors, sliders, a ROC curve, a save and a reset button over a table of scores.

    Where there are no widgets it says how to get them and returns the same picture, standing still.
    ValueError if the table lacks or spoils what the pictures need.
    """
    scores = submission.add_rates(scores)
    kinds, models = histograms.present(scores)
    histograms.select(scores, kinds, models, "log_likelihood")
    try:
        return Explorer(scores, kinds, models)
    except ImportError:
        print(
            "For sliders: pip install ipywidgets, then open this notebook in JupyterLab."
        )
        return thresholds.detector(
            scores, threshold=THRESHOLD, home=kinds[0], kinds=kinds, models=models[:1]
        )


class Explorer:
    """What `explore` returns: `controls` by name, `box` (the widget), `view()`, `code()`, `save()`, `reset()`."""

    def __init__(self, scores: pd.DataFrame, kinds: list[str], models: list[str]):
        import ipywidgets as w

        self.scores, self.figure, self.drawing = scores, None, True
        wide, quick = (
            {"layout": w.Layout(width="310px")},
            {"layout": w.Layout(width="440px")},
        )
        self.start = START | {
            "kinds": tuple(kinds),
            "models": tuple(models[:1]),
            "home": kinds[0],
        }
        self.controls = {
            "kinds": w.SelectMultiple(
                options=[(NAMES[k], k) for k in kinds],
                description="Text",
                rows=3,
                **wide,
            ),
            "models": w.SelectMultiple(
                options=[(MODEL_NAMES[m], m) for m in models],
                description="Model",
                rows=3,
                **wide,
            ),
            "measure": w.Dropdown(
                options=[(f"{v[0]} ({v[1]})", k) for k, v in MEASURES.items()],
                description="Measure",
                **wide,
            ),
            "layout": w.Dropdown(
                options=histograms.LAYOUTS, description="Layout", **wide
            ),
            "home": w.Dropdown(
                options=[(NAMES[k], k) for k in kinds], description="Detect", **wide
            ),
            "density": w.Checkbox(description="Density, not counts", **wide),
            "log": w.Checkbox(description="Logarithmic y-axis", **wide),
            "by": w.ToggleButtons(
                options=[("number of bins", "number"), ("bin width", "width")],
                description="Bins by",
                style={"button_width": "140px"},
            ),
            "bins": w.IntSlider(min=2, max=150, description="Bins", **quick),
        }
        self.ranges = {
            measure: self._range_sliders(w, measure, quick) for measure in MEASURES
        }
        self.image, self.table, self.line = w.Image(format="png"), w.HTML(), w.HTML()
        self.message = w.HTML()
        buttons = [
            w.Button(description=name, icon=icon, tooltip=tip)
            for name, icon, tip in (
                (
                    "Save picture",
                    "save",
                    "write the histogram as PNG, and the line that draws it",
                ),
                ("Reset", "undo", "back to the first view"),
            )
        ]
        buttons[0].on_click(self._save)
        buttons[1].on_click(lambda _: self.reset())
        c, self.slot = self.controls, w.VBox()
        self.box = w.VBox(
            [
                w.HBox(
                    [
                        w.VBox([c["kinds"], c["models"]]),
                        w.VBox([c["measure"], c["layout"], c["home"]]),
                        w.VBox([c["density"], c["log"]]),
                    ]
                ),
                w.HBox([w.VBox([c["by"], c["bins"]]), self.slot]),
                self.image,
                self.table,
                self.line,
                w.HBox([*buttons, self.message]),
            ]
        )
        for control in (
            *c.values(),
            *(
                slider
                for sliders in self.ranges.values()
                for slider in sliders.values()
            ),
        ):
            control.observe(self._changed, "value")
        self.reset()

    def _range_sliders(self, w, measure: str, look: dict) -> dict:
        """Sliders in a measure's own range. Each measure has its own: one whose range moves under a reader's
        hand, while the browser still sends its old value, ends up with neither."""
        low, high = histograms.extent(self.scores, measure)
        reach, nats = high - low, (low, high) == histograms.FRAME
        self.start |= {
            f"{measure}.bin_width": BIN_WIDTH if nats else reach / 40,
            f"{measure}.span": (low, high),
            f"{measure}.threshold": THRESHOLD if nats else (low + high) / 2,
        }
        look = look | {"step": reach / 600, "readout_format": ".0f" if nats else ".2f"}
        return {
            "bin_width": w.FloatSlider(
                min=reach / 150, max=reach / 4, description="Bin width", **look
            ),
            "span": w.FloatRangeSlider(
                min=low, max=high, description="x-range", **look
            ),
            "threshold": w.FloatSlider(
                min=low, max=high, description="Threshold", **look
            ),
        }

    def _control(self, name: str):
        measure, _, slider = name.rpartition(".")
        return self.ranges[measure][slider] if measure else self.controls[name]

    def reset(self) -> None:
        """Back to the first view."""
        self.drawing = False
        for name, value in self.start.items():
            self._control(name).value = value
        self.drawing = True
        self._changed()

    def _changed(self, _=None) -> None:
        if not self.drawing:
            return
        by_width = self.controls["by"].value == "width"
        ranges = self.ranges[self.controls["measure"].value]
        self.controls["bins"].disabled, ranges["bin_width"].disabled = (
            by_width,
            not by_width,
        )
        self.controls["log"].disabled = self.controls["layout"].value == "ridge"
        self.slot.children = [ranges["threshold"], ranges["span"], ranges["bin_width"]]
        self._say("")
        self.redraw()

    def _say(self, text: str) -> None:
        self.message.value = html.escape(text)

    def _save(self, _) -> None:
        try:
            self._say(
                f"Saved: {', '.join(p.name for p in self.save())} in runs/{config.profile().name}/views/"
            )
        except (OSError, ValueError) as error:
            self._say(f"Not saved: {error}")

    def view(self) -> dict:
        """The arguments with which `plots.histogram` draws what is shown."""
        shown = self.controls | self.ranges[self.controls["measure"].value]
        value = {name: control.value for name, control in shown.items()}
        view = {
            "kinds": list(value["kinds"]),
            "models": list(value["models"]),
            "measure": value["measure"],
        }
        view |= (
            {"bin_width": round(value["bin_width"], 6)}
            if value["by"] == "width"
            else {"bins": value["bins"]}
        )
        view |= {
            "span": tuple(round(edge, 6) for edge in value["span"]),
            "density": value["density"],
            "layout": value["layout"],
            "log": value["log"] and value["layout"] != "ridge",
            "threshold": round(value["threshold"], 6),
        }
        return view

    def code(self) -> str:
        """The line of Python that draws the histogram as it is shown."""
        return f"plots.histogram(scores, {', '.join(f'{k}={v!r}' for k, v in self.view().items())})"

    def redraw(self) -> None:
        view = self.view()
        try:
            self.figure = thresholds.detector(
                self.scores,
                figure=self.figure,
                home=self.controls["home"].value,
                **view,
            )
        except ValueError as error:
            self.table.value = f"<p>{html.escape(str(error))}</p>"
            return
        png = io.BytesIO()
        self.figure.savefig(png, format="png", dpi=90, pil_kwargs={"compress_level": 1})
        self.image.value = png.getvalue()
        chosen = {k: view[k] for k in ("kinds", "models", "measure")}
        rows = thresholds.accepted(self.scores, view["threshold"], **chosen)
        rows = rows.rename(index=MODEL_NAMES, level="model").rename(
            index=NAMES, level="domain"
        )
        rows = rows.rename_axis(["model", "text"]).reset_index()
        self.table.value = TABLE_STYLE + rows.to_html(
            formatters={"share": "{:.0%}".format},
            border=0,
            index=False,
            classes="accepted",
        )
        self.line.value = f"<code>{html.escape(self.code())}</code>"

    def save(self) -> list:
        """Write the histogram as shown into runs/<profile>/views/: a PNG, and the Python lines that draw it."""
        folder = config.runs() / "views"
        taken = [
            int(p.stem.split("-")[1])
            for p in folder.glob("histogram-*.png")
            if p.stem.split("-")[1].isdigit()
        ]
        name = f"histogram-{max(taken, default=0) + 1}"
        picture = save(
            histograms.histogram(self.scores, **self.view()), folder / f"{name}.png"
        )
        lines = f"from helpers import plots, submission\n\nscores = submission.read_scores()\n{self.code()}\n"
        return [picture, submission.write_text(folder / f"{name}.py", lines)]

    def _repr_mimebundle_(self, **_) -> dict:
        """The widget; and where a page shows no widgets (GitHub, nbviewer, a printed copy), its picture."""
        return self.box._repr_mimebundle_() | {
            "image/png": b64encode(self.image.value).decode()
        }
