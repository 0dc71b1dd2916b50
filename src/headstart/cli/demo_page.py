"""The web page of `headstart demo`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.classifier.saved import Classifier
from headstart.data.files.images import UnreadableImageError
from headstart.evaluation.gradcam import GradCam
from headstart.evaluation.plots import overlay

if TYPE_CHECKING:
    import gradio

SIDE = 480  # pixels, of the pictures on the page
NARROWEST = 300  # pixels of a column; where three do not fit side by side they stand below each other
TOP = 5  # classes that are shown with their confidence
LARGEST_UPLOAD = 20  # MB
KEPT = 600  # seconds that an uploaded picture stays in the temporary directory
WAITING = 32  # pictures of all visitors; one is answered at a time
FONTS = ["system-ui", "sans-serif"]  # of the visitor's computer: the page fetches nothing from elsewhere
CSS = "footer {display: none !important}"


def leave_nothing_behind(directory: Path) -> None:
    """Tell Gradio, before it is imported, to ask nobody on the internet and to write into one directory.

    Args:
        directory: of what is uploaded; removed by the caller.
    """
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_TEMP_DIR=str(directory / "pictures"),
        GRADIO_EXAMPLES_CACHE=str(directory / "examples"),
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HOME=str(directory / "hub"),
    )


def make_page(classifier: Classifier) -> gradio.Blocks:
    """Return the page of a classifier.

    Args:
        classifier: as it was saved.
    """
    import gradio as gr

    grad_cam = GradCam(classifier.model)
    shown = min(TOP, len(classifier.class_names))

    def classify(uploaded: str | None) -> tuple[Any, ...]:
        if uploaded is None:
            return gr.update(visible=False), None, None, None
        try:
            found = answer(classifier, grad_cam, Path(uploaded).read_bytes())
        except UnreadableImageError as error:
            sentence = f"Expected a picture that can be read. Received: {Path(uploaded).name} ({error.reason})"
            return gr.update(value=sentence, visible=True), None, None, None
        return gr.update(visible=False), *found

    with gr.Blocks(title="headstart", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.Markdown(
            f"# What is on the picture?\nOne of {len(classifier.class_names)} classes, by {_name(classifier)}. "
            f"Pictures of up to {LARGEST_UPLOAD} MB go to the computer that shows this page and nowhere else."
        )
        with gr.Row():
            with gr.Column(min_width=NARROWEST):
                # As a file, not as gr.Image: that one would decode and resize it in its own way.
                file = gr.File(label="A picture: JPEG, PNG, BMP, GIF, WebP or TIFF", type="filepath", height=180)
                said = gr.Textbox(label="Not read", visible=False, interactive=False, lines=2, elem_id="said")
                label = gr.Label(label="Label and confidence", num_top_classes=shown)
            with gr.Column(min_width=NARROWEST):
                picture = gr.Image(label="As the classifier sees it", interactive=False, buttons=[])
            with gr.Column(min_width=NARROWEST):
                heat = gr.Image(label="Yellow spoke for the label, grey did not", interactive=False, buttons=[])
        file.change(classify, file, [said, label, picture, heat], api_name="classify")
    return page


def answer(
    classifier: Classifier, grad_cam: GradCam, content: bytes
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Return the confidence of every class, the picture, and the picture with what spoke for the likeliest one.

    Args:
        classifier: as it was saved.
        grad_cam: of the same classifier.
        content: of a picture file.

    Raises:
        UnreadableImageError: when it is no picture.
    """
    pixels = classifier.load(content)[None]
    [row] = classifier.probabilities(pixels)
    [heat] = grad_cam.heat_maps(pixels, row.argmax(keepdims=True))
    picture = classifier.load(content, SIDE)
    confidences = dict(zip(classifier.class_names, row.tolist(), strict=True))
    return confidences, picture, overlay(picture, heat)


def launch(page: gradio.Blocks, host: str, port: int | None, **more: Any) -> None:
    """Show a page without a link for others, a question to Gradio's servers, or fonts from elsewhere.

    Args:
        page: see `make_page`.
        host: address of this computer to listen on.
        port: to listen on; None is any that is free.
        **more: of `gradio.Blocks.launch`.
    """
    import gradio as gr

    page.queue(max_size=WAITING, default_concurrency_limit=1)
    page.launch(
        share=False,
        server_name=host,
        server_port=port,
        quiet=True,
        max_file_size=f"{LARGEST_UPLOAD}mb",
        ssr_mode=False,
        run_history=False,
        footer_links=[],
        enable_monitoring=False,
        theme=gr.themes.Default(font=FONTS, font_mono=["monospace"]),
        css=CSS,
        **more,
    )


def _name(classifier: Classifier) -> str:
    """Return the name of the run that a classifier belongs to."""
    directory = classifier.directory
    if directory is None:
        return "a classifier"
    run = (directory.parent if directory.name == "classifier" else directory).absolute()
    # A job of a sweep is called 0, 1, 2, ..., which says nothing without the sweep.
    return "/".join(run.parts[-2:]) if run.name.isdecimal() else run.name
