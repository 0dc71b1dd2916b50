"""A map of images by their features, on one HTML page: images that look alike to the network lie close together."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.console import format_percent
from headstart.core.html_page import render_page
from headstart.data.index import ImageIndex
from headstart.evaluation.features import NOT_PREDICTED
from headstart.evaluation.plots.style import PALETTE

TEMPLATE = Path(__file__).with_name("feature_map.html.j2")
SIZE = 1000  # units of the map's side
EDGE = 25  # units around the points
SHAPES = ("circle", "square", "diamond")  # beside colours, so that 21 classes differ for colour-blind people
COMPONENTS_BEFORE_TSNE = 50  # as its authors recommend
PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class Projection:
    """The positions of images on a map."""

    positions: np.ndarray  # float (n, 2)
    axes: str  # what the axes mean


def choose_points(index: ImageIndex, most: int, seed: int = 0) -> np.ndarray:
    """Return the positions of the images that a map shows, ascending: the evaluated ones first, then training images.

    Args:
        index: the images.
        most: number of images at most.
        seed: of the choice among the images that are too many.
    """
    shuffled = np.random.default_rng(seed).permutation(len(index))
    order = np.argsort(index.splits[shuffled] == "train", kind="stable")
    return np.sort(shuffled[order][:most])


def project(features: np.ndarray, method: str) -> Projection:
    """Return a map of features in two dimensions; the same features give the same map.

    Args:
        features: float (n, width), n at least 3.
        method: `pca`, whose distances mean something everywhere, or `tsne`, whose groups do.
    """
    from sklearn.decomposition import PCA

    if method == "pca":
        model = PCA(2, svd_solver="covariance_eigh" if features.shape[1] <= 2000 else "auto", random_state=0)
        positions = model.fit_transform(features.astype(np.float64))
        across, up = model.explained_variance_ratio_
        return Projection(
            positions,
            f"the two principal components: {format_percent(across, 0)} and {format_percent(up, 0)} of the variance",
        )
    from sklearn.manifold import TSNE

    components = min(COMPONENTS_BEFORE_TSNE, *features.shape)
    reduced = PCA(components, random_state=0).fit_transform(features.astype(np.float64))
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    positions = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
    return Projection(
        positions, f"t-SNE (perplexity {perplexity:.0f}): near images are alike, far distances say little"
    )


def map_page(index: ImageIndex, predicted: np.ndarray, projection: Projection, title: str, subtitle: str) -> str:
    """Return the page: a point for each image, coloured by class, mistakes marked, with details on hover.

    Args:
        index: the images on the map.
        predicted: int (n,), the predicted classes, NOT_PREDICTED for those that the run did not predict.
        projection: the positions of the images.
        title: of the page.
        subtitle: the run and its data.
    """
    wrong = (predicted != NOT_PREDICTED) & (predicted != index.labels)
    order = np.argsort(wrong, kind="stable")  # mistakes are drawn last, on top
    places = _scaled(projection.positions)
    present = np.unique(index.labels)
    points = [
        {
            "x": round(float(places[i, 0]), 1),
            "y": round(float(places[i, 1]), 1),
            "label": int(index.labels[i]),
            "wrong": bool(wrong[i]),
            "train": index.splits[i] == "train",
            "shape": SHAPES[int(index.labels[i]) // len(PALETTE) % len(SHAPES)],
        }
        for i in order
    ]
    names = index.class_names
    details = [[index.paths[i], int(index.labels[i]), str(index.splits[i]), int(predicted[i])] for i in order]
    return render_page(
        TEMPLATE,
        title=title,
        subtitle=subtitle,
        axes=projection.axes,
        size=SIZE,
        points=points,
        details=details,
        names=list(names),
        classes=[_class(int(label), names[label], index, wrong) for label in present],
        mistakes=int(wrong.sum()),
        training=int((index.splits == "train").sum()),
        images=len(index),
    )


def _class(label: int, name: str, index: ImageIndex, wrong: np.ndarray) -> dict[str, Any]:
    """Return an entry of the legend."""
    of_class = index.labels == label
    return {
        "label": label,
        "name": name,
        "color": _color(label, len(index.class_names)),
        "shape": SHAPES[label // len(PALETTE) % len(SHAPES)],
        "images": int(of_class.sum()),
        "mistakes": int((wrong & of_class).sum()),
    }


def _color(label: int, classes: int) -> str:
    """Return the colour of a class: of the palette with a few classes, otherwise spread over all hues."""
    if classes <= len(PALETTE) * len(SHAPES):
        color = PALETTE[label % len(PALETTE)]
        return "var(--text)" if color == "#000000" else color
    hue = label * 0.61803398875 % 1  # the golden ratio: neighbours in the list differ most
    red, green, blue = colorsys.hls_to_rgb(hue, (0.4, 0.55, 0.7)[label % 3], 0.65)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def _scaled(positions: np.ndarray) -> np.ndarray:
    """Return the positions on the map, with the same scale in both directions and y downwards."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    scale = (SIZE - 2 * EDGE) / max(float((high - low).max()), 1e-12)
    centred = (positions - (low + high) / 2) * scale * np.array([1, -1])
    return centred + SIZE / 2
