"""The web page of `headstart demo`; import it after `configure_gradio`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from headstart.classifier.saved import Classifier
from headstart.cli.demo_answer import LARGEST_UPLOAD, card_html, classify_and_explain
from headstart.cli.demo_examples import write_examples
from headstart.data.files.images import UnreadableImageError
from headstart.evaluation.gradcam import GradCam

NARROWEST = 300  # pixels; columns that do not fit side by side wrap
TOP = 5  # classes shown with their confidence
KEPT = 600  # seconds that an uploaded image stays in the temporary directory
WAITING = 32  # longest queue of images; the page classifies one at a time
FONTS = ["system-ui", "sans-serif"]  # local fonts: the page loads nothing from the internet
# Gradio's own colours, which follow the theme; the warning has a border and a word, not its colour alone.
CSS = """
footer {display: none !important}
#card {overflow-wrap: anywhere}
#card p, #familiar p {margin: 0}
#familiar .unfamiliar {border: 2px solid #d97706; border-radius: 6px; padding: 8px 12px}
#familiar .familiar {padding: 8px 12px}
#examples, #examples .grid-wrap, #examples .preview-container {min-height: 0 !important; height: auto !important}
#examples .grid-container {grid-template: none / repeat(4, minmax(0, 1fr)) !important; grid-auto-rows: auto !important}
#examples .thumbnail-item {height: auto !important; aspect-ratio: 1 !important}
"""


def make_page(classifier: Classifier, directory: Path) -> gr.Blocks:
    """Return the page of a classifier.

    Args:
        classifier: a saved classifier.
        directory: for example images; the caller removes it.
    """
    grad_cam = GradCam(classifier.model, compiled=True)
    shown = min(TOP, len(classifier.class_names))
    size = classifier.image_size
    examples = write_examples(classifier, directory)

    def classify(uploaded: str | None) -> tuple[Any, ...]:
        if uploaded is None:
            return gr.update(visible=False), None, "", None, None
        try:
            found = classify_and_explain(classifier, grad_cam, Path(uploaded).read_bytes())
        except UnreadableImageError as error:
            message = f"Cannot read {Path(uploaded).name}: {error.reason}"
            return gr.update(value=message, visible=True), None, "", None, None
        return gr.update(visible=False), *found

    def choose(event: gr.SelectData) -> str:
        return str(examples[event.index])

    with gr.Blocks(title="headstart", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.Markdown("# Classify an image")
        gr.HTML(card_html(classifier), elem_id="card")
        with gr.Row():
            with gr.Column(min_width=NARROWEST):
                # gr.File, because gr.Image would decode and resize the image differently from training.
                file = gr.File(label="Image: JPEG, PNG, BMP, GIF, WebP or TIFF", type="filepath", height=180)
                gr.Markdown("Or choose one of the validation images:", visible=bool(examples))
                gallery = gr.Gallery(
                    [str(example) for example in examples],
                    show_label=False,
                    height="auto",
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    elem_id="examples",
                    visible=bool(examples),
                )
            with gr.Column(min_width=NARROWEST):
                problem = gr.Textbox(label="Error", visible=False, interactive=False, lines=2, elem_id="problem")
                label = gr.Label(label="Label and confidence", num_top_classes=shown)
                familiar = gr.HTML("", elem_id="familiar")
        with gr.Row():
            with gr.Column(min_width=NARROWEST):
                title = f"As the classifier sees it: {size} x {size} pixels"
                picture = gr.Image(label=title, interactive=False, buttons=[])
            with gr.Column(min_width=NARROWEST):
                heat = gr.Image(label="Yellow: regions that support the prediction", interactive=False, buttons=[])
        outputs = [problem, label, familiar, picture, heat]
        file.change(classify, file, outputs, api_name="classify")
        gallery.select(choose, None, file, api_visibility="private")
    return page


def launch(page: gr.Blocks, host: str, port: int | None, **more: Any) -> None:
    """Serve a page without a public link, analytics or remote fonts.

    Args:
        page: see `make_page`.
        host: address to listen on.
        port: port to listen on; None: any free one.
        **more: further arguments of `gradio.Blocks.launch`.
    """
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
