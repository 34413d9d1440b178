"""The saved scores with selectors and sliders, in JupyterLab or Notebook."""

import html
import io
from base64 import b64encode

import pandas as pd
from matplotlib.figure import Figure

from helpers import config, submission
from helpers.engine import files
from helpers.explorer.page import THRESHOLD, present
from helpers.plots import detector, histogram, save, tables
from helpers.plots.histograms import LAYOUTS
from helpers.plots.style import MODEL_NAMES, NAMES
from helpers.submission import MEASURES

TABLE_STYLE = """<style>
.accepted td, .accepted th { text-align: right; padding: 0 0.9em 0 0; line-height: 1.7 }
.accepted td:nth-child(-n+2), .accepted th:nth-child(-n+2) { text-align: left }
</style>"""
START = {
    "measure": "log_likelihood",
    "layout": "overlay",
    "by": "number",
    "bins": 40,
    "density": False,
    "log": False,
}


def explore(scores: pd.DataFrame) -> "Explorer | Figure":
    """Selectors, sliders, a ROC curve, a save and a reset button over the scores.

    Where there are no widgets it says how to get them and returns the same picture,
    standing still. ValueError for a table that `plots.histogram` could not draw.
    """
    scores = submission.add_rates(scores)
    kinds, models = present(scores)
    tables.select(scores, kinds, models, "log_likelihood")
    try:
        return Explorer(scores, kinds, models)
    except ImportError:
        print("For sliders: pip install ipywidgets, then open this in JupyterLab.")
        view = {"home": kinds[0], "kinds": kinds, "models": models[:1]}
        return detector(scores, threshold=THRESHOLD, **view)


class Explorer:
    """What `explore` returns: `controls` by name, `box` (the widget), and methods."""

    def __init__(self, scores: pd.DataFrame, kinds: list[str], models: list[str]):
        import ipywidgets as w

        self.scores, self.figure, self.drawing = scores, None, True
        wide = {"layout": w.Layout(width="310px")}
        quick = {"layout": w.Layout(width="440px")}
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
            "layout": w.Dropdown(options=tuple(LAYOUTS), description="Layout", **wide),
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
        tips = "write the histogram as PNG, and its code", "back to the first view"
        save_button = w.Button(description="Save picture", icon="save", tooltip=tips[0])
        reset_button = w.Button(description="Reset", icon="undo", tooltip=tips[1])
        save_button.on_click(self._save)
        reset_button.on_click(lambda _: self.reset())
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
                w.HBox([save_button, reset_button, self.message]),
            ]
        )
        for controls in (self.controls, *self.ranges.values()):
            for control in controls.values():
                control.observe(self._changed, "value")
        self.reset()

    def _range_sliders(self, w, measure: str, look: dict) -> dict:
        """Sliders in a measure's own range; each measure has its own.

        One whose range moves under a reader's hand, while the browser still sends its
        old value, ends up with neither.
        """
        low, high = tables.extent(self.scores, measure)
        reach, nats = high - low, (low, high) == tables.FRAME
        self.start |= {
            f"{measure}.bin_width": tables.BIN_WIDTH if nats else reach / 40,
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
        self.controls["bins"].disabled = by_width
        ranges["bin_width"].disabled = not by_width
        self.controls["log"].disabled = self.controls["layout"].value == "ridge"
        self.slot.children = [ranges["threshold"], ranges["span"], ranges["bin_width"]]
        self._say("")
        self.redraw()

    def _say(self, text: str) -> None:
        self.message.value = html.escape(text)

    def _save(self, _) -> None:
        try:
            names = ", ".join(path.name for path in self.save())
            self._say(f"Saved: {names} in runs/{config.profile().name}/views/")
        except (OSError, ValueError) as error:
            self._say(f"Not saved: {error}")

    def view(self) -> dict:
        """The arguments with which `plots.histogram` draws what is shown."""
        shown = self.controls | self.ranges[self.controls["measure"].value]
        value = {name: control.value for name, control in shown.items()}
        view = {name: list(value[name]) for name in ("kinds", "models")}
        view["measure"] = value["measure"]
        if value["by"] == "width":
            view["bin_width"] = round(value["bin_width"], 6)
        else:
            view["bins"] = value["bins"]
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
        options = ", ".join(f"{k}={v!r}" for k, v in self.view().items())
        return f"plots.histogram(scores, {options})"

    def redraw(self) -> None:
        view = self.view()
        try:
            shown = {"figure": self.figure, "home": self.controls["home"].value}
            self.figure = detector(self.scores, **shown, **view)
        except ValueError as error:
            self.table.value = f"<p>{html.escape(str(error))}</p>"
            return
        png = io.BytesIO()
        self.figure.savefig(png, format="png", dpi=90, pil_kwargs={"compress_level": 1})
        self.image.value = png.getvalue()
        chosen = {k: view[k] for k in ("kinds", "models", "measure")}
        rows = tables.accepted(self.scores, view["threshold"], **chosen)
        rows = rows.rename_axis(["model", "text"]).reset_index()
        rows = rows.replace({"model": MODEL_NAMES, "text": NAMES})
        self.table.value = TABLE_STYLE + rows.to_html(
            formatters={"share": "{:.0%}".format},
            border=0,
            index=False,
            classes="accepted",
        )
        self.line.value = f"<code>{html.escape(self.code())}</code>"

    def save(self) -> list:
        """Write what is shown into runs/<profile>/views/: a PNG, and its code."""
        folder = config.runs() / "views"
        numbers = [p.stem.split("-")[1] for p in folder.glob("histogram-*.png")]
        last = max((int(n) for n in numbers if n.isdigit()), default=0)
        path = folder / f"histogram-{last + 1}.png"
        # What made the scores, which need not be what would be chosen now.
        base, data = (submission.manifest().get(key) for key in ("base", "data"))
        made = ""
        if base and data:
            made = f"base: {base['label']} · abstracts: {data['neurips']['source']}"
        picture = save(histogram(self.scores, **self.view()), path, made=made)
        lines = "from helpers import plots, submission\n\n"
        lines += f"scores = submission.read_scores()\n{self.code()}\n"
        return [picture, files.write_text(path.with_suffix(".py"), lines)]

    def _repr_mimebundle_(self, **_) -> dict:
        """The widget, and its picture for pages without widgets: GitHub, print."""
        picture = b64encode(self.image.value).decode()
        return self.box._repr_mimebundle_() | {"image/png": picture}
