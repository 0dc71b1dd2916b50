"""Finds images that are blank, dark, washed out, blurred or of an odd size compared with the rest of the data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.audit.findings import Finding
from headstart.data.similarity.measurements import Measurements

MIN_IMAGES = 20  # in a data set, to know what is usual
MIN_CONTRAST = 2.0  # levels of 255; images below are blank
DIM = 0.25  # of the usual brightest level; images below are dark
PALE, BRIGHT = 0.4, 165  # of the usual range of levels, and the darkest level of a washed-out image
BLUR_DEVIATIONS, BLUR_FACTOR = 3.5, 2.0  # robust deviations, the common bound for outliers; factor in fine details
FEW_DETAILS = 4.0  # times fewer details than usual, so that sharp images of smooth objects do not count as blurred
ODD_DEVIATIONS = 6.0  # robust deviations
ODD_SIZE, ODD_ASPECT = 3.0, 2.0  # times the usual side; times the usual aspect ratio


def quality_findings(measured: Measurements) -> list[Finding]:
    """Return images with unusual brightness, sharpness or size, each once, under the first kind that applies.

    The thresholds are relative to the medians of the data set and the median absolute deviations from them.

    Args:
        measured: of every image.

    Source: outliers by the median absolute deviation, B. Iglewicz, D. Hoaglin, "How to detect and handle outliers",
    1993; sharpness by the variance of the Laplacian, J. Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", ICPR 2000, here of one size against half of it.
    """
    if len(measured.figures) < MIN_IMAGES:
        return []
    contrast, brightest = measured["contrast"], measured["brightest"]
    spread = brightest - measured["darkest"]
    blank = (contrast < MIN_CONTRAST) & (contrast < 0.2 * np.median(contrast))
    dark = ~blank & (brightest < DIM * np.median(brightest))
    pale = ~blank & ~dark & (spread < PALE * np.median(spread)) & (measured["darkest"] > BRIGHT)
    # Fine relative to coarse details: a smooth scene has few of both, a blurred one lacks only the fine ones.
    fineness = np.log(measured["sharpness"] + 0.1) - np.log(measured["coarse_sharpness"] + 0.1)
    softness = -_deviations(fineness)
    detail = np.log(measured["sharpness"] + 0.1)
    soft = (fineness < np.median(fineness) - np.log(BLUR_FACTOR)) & (detail < np.median(detail) - np.log(FEW_DETAILS))
    blurred = ~blank & ~dark & ~pale & soft & (softness > BLUR_DEVIATIONS)
    findings = [
        *(Finding("blank", i, f"contrast {contrast[i]:.1f}", -contrast[i]) for i in _where(blank)),
        *(
            Finding("dark", i, f"95 % of the pixels are below level {brightest[i]:.0f} of 255", -brightest[i])
            for i in _where(dark)
        ),
        *(
            Finding("washed_out", i, f"levels from {brightest[i] - spread[i]:.0f} to {brightest[i]:.0f}", -spread[i])
            for i in _where(pale)
        ),
        *(
            Finding("blurred", i, f"{softness[i]:.1f} robust deviations softer than usual", softness[i])
            for i in _where(blurred)
        ),
        *_odd_sizes(measured),
    ]
    return sorted((replace(one, score=round(float(one.score), 4)) for one in findings), key=lambda one: -one.score)


def _odd_sizes(measured: Measurements) -> list[Finding]:
    """Return the images with an unusual area or aspect ratio."""
    width, height = measured["width"], measured["height"]
    findings: dict[int, Finding] = {}
    aspect = np.abs(np.log(width / height))  # portrait and landscape count alike
    for values, factor in ((np.log(width * height) / 2, ODD_SIZE), (aspect, ODD_ASPECT)):
        centre = np.median(values)
        bound = max(np.log(factor), ODD_DEVIATIONS * 1.4826 * np.median(np.abs(values - centre)))
        for i in _where(np.abs(values - centre) > bound):
            score = float(np.exp(np.abs(values[i] - centre)))
            if i not in findings or score > findings[i].score:
                usual = f"usual is {np.median(width):.0f} x {np.median(height):.0f}"
                findings[i] = Finding("odd_size", i, f"{width[i]:.0f} x {height[i]:.0f} pixels, {usual}", score)
    return list(findings.values())


def _deviations(values: np.ndarray) -> np.ndarray:
    """Return how many robust deviations each value is above the median."""
    centre = np.median(values)
    return (values - centre) / max(1.4826 * np.median(np.abs(values - centre)), 1e-3)


def _where(chosen: np.ndarray) -> list[int]:
    return np.flatnonzero(chosen).tolist()
