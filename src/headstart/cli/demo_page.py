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

SIDE = 480  # pixels of the images on the page
NARROWEST = 300  # pixels; columns that do not fit side by side wrap
TOP = 5  # classes shown with their confidence
LARGEST_UPLOAD = 20  # MB
KEPT = 600  # seconds that an uploaded image stays in the temporary directory
WAITING = 32  # longest queue of images; the page classifies one at a time
FONTS = ["system-ui", "sans-serif"]  # local fonts: the page loads nothing from the internet
CSS = "footer {display: none !important}"


def configure_gradio(directory: Path) -> None:
    """Keep Gradio offline and make it write into one directory only; call this before Gradio is imported.

    Args:
        directory: for uploaded files; the caller removes it.
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
        classifier: a saved classifier.
    """
    import gradio as gr

    grad_cam = GradCam(classifier.model, compiled=True)
    shown = min(TOP, len(classifier.class_names))

    def classify(uploaded: str | None) -> tuple[Any, ...]:
        if uploaded is None:
            return gr.update(visible=False), None, None, None
        try:
            found = classify_and_explain(classifier, grad_cam, Path(uploaded).read_bytes())
        except UnreadableImageError as error:
            message = f"Cannot read {Path(uploaded).name}: {error.reason}"
            return gr.update(value=message, visible=True), None, None, None
        return gr.update(visible=False), *found

    with gr.Blocks(title="headstart", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.Markdown(
            f"# Classify an image\n{_name(classifier)} knows {len(classifier.class_names)} classes. "
            f"Images (up to {LARGEST_UPLOAD} MB) are sent only to the computer that serves this page."
        )
        with gr.Row():
            with gr.Column(min_width=NARROWEST):
                # gr.File, because gr.Image would decode and resize the image differently from training.
                file = gr.File(label="Image: JPEG, PNG, BMP, GIF, WebP or TIFF", type="filepath", height=180)
                problem = gr.Textbox(label="Error", visible=False, interactive=False, lines=2, elem_id="problem")
                label = gr.Label(label="Label and confidence", num_top_classes=shown)
            with gr.Column(min_width=NARROWEST):
                picture = gr.Image(label="The classifier's input", interactive=False, buttons=[])
            with gr.Column(min_width=NARROWEST):
                heat = gr.Image(label="Yellow: regions that support the prediction", interactive=False, buttons=[])
        file.change(classify, file, [problem, label, picture, heat], api_name="classify")
    return page


def classify_and_explain(
    classifier: Classifier, grad_cam: GradCam, content: bytes
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Return the confidence of every class, the image, and the image overlaid with the heat map of the top class.

    Args:
        classifier: a saved classifier.
        grad_cam: Grad-CAM of the same classifier.
        content: bytes of an image file.

    Raises:
        UnreadableImageError: when they are not an image.
    """
    pixels = classifier.load(content)[None]
    [row] = classifier.probabilities(pixels)
    [heat] = grad_cam.heat_maps(pixels, row.argmax(keepdims=True))
    picture = classifier.load(content, SIDE)
    confidences = dict(zip(classifier.class_names, row.tolist(), strict=True))
    return confidences, picture, overlay(picture, heat)


def launch(page: gradio.Blocks, host: str, port: int | None, **more: Any) -> None:
    """Serve a page without a public link, analytics or remote fonts.

    Args:
        page: see `make_page`.
        host: address to listen on.
        port: port to listen on; None: any free one.
        **more: further arguments of `gradio.Blocks.launch`.
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
    """Return the name of a classifier's run."""
    directory = classifier.directory
    if directory is None:
        return "a classifier"
    run = (directory.parent if directory.name == "classifier" else directory).absolute()
    # The jobs of a sweep are called 0, 1, 2, ...: add the sweep's name.
    return "/".join(run.parts[-2:]) if run.name.isdecimal() else run.name
