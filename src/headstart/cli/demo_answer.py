"""What the page of `headstart demo` says of the classifier and of each image; needs no Gradio."""

from __future__ import annotations

import html

import numpy as np
from PIL import Image

from headstart.classifier.saved import Classifier, Prediction
from headstart.cli.model_lines import model_lines, unfamiliar_reason
from headstart.core.console import format_percent
from headstart.evaluation.gradcam import GradCam
from headstart.evaluation.plots import overlay

SIDE = 480  # pixels of the images on the page
LARGEST_UPLOAD = 20  # MB


def card_html(classifier: Classifier) -> str:
    """Return what names the classifier, its data and its accuracy, for the page.

    Args:
        classifier: a saved classifier.
    """
    name, *lines = [*model_lines(classifier, classifier.directory), unfamiliar_reason(classifier)]
    lines.append(f"Images (up to {LARGEST_UPLOAD} MB) are sent only to the computer that serves this page.")
    text = "".join(f"<p>{html.escape(line.strip())}</p>" for line in lines if line)
    return f"<p><b>{html.escape(name)}</b></p>{text}"


def classify_and_explain(
    classifier: Classifier, grad_cam: GradCam, content: bytes
) -> tuple[dict[str, float], str, np.ndarray, np.ndarray]:
    """Return what the page shows of an image.

    Args:
        classifier: a saved classifier.
        grad_cam: Grad-CAM of the same classifier.
        content: bytes of an image file.

    Returns:
        The confidence of every class; HTML on whether the image looks like the training images; the image in the pixels
        that the classifier sees; and the image overlaid with the heat map of the likeliest class.

    Raises:
        UnreadableImageError: when they are not an image.
    """
    pixels = classifier.load(content)
    [found] = classifier.examine(pixels[None])
    [heat] = grad_cam.heat_maps(pixels[None], np.array([found.probabilities.argmax()]))
    confidences = dict(zip(classifier.class_names, found.probabilities.tolist(), strict=True))
    # Each pixel as a square, because a browser would blur what the classifier does not see blurred.
    seen = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST))
    return confidences, familiar_html(found), seen, overlay(classifier.load(content, SIDE), heat)


def familiar_html(prediction: Prediction) -> str:
    """Return whether an image looks like the training images, for the page; nothing if that is not known.

    Args:
        prediction: of the image.
    """
    if prediction.distance is None:
        return ""
    if prediction.unfamiliar:
        return (
            f'<div class="unfamiliar"><b>Unfamiliar image.</b> It looks unlike the training images: '
            f"{prediction.distance:.2g} times as far from them as the limit. Do not rely on its label.</div>"
        )
    near = f"Looks like the training images: its distance is {format_percent(prediction.distance, 0)} of the limit."
    return f'<div class="familiar">{near}</div>'
