"""The 1000 classes of ImageNet, which pretrained networks predict."""

from __future__ import annotations

import functools
import json
from importlib import resources

FILE = "imagenet_classes.json"


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """Return a name for each of the 1000 classes in the order of a network's outputs, which is that of the WordNet ids.

    Each name is the first word of its WordNet synset; the two cranes and the two maillots have distinct names.

    Source: the synsets of ILSVRC 2012, O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV
    2015 (https://arxiv.org/abs/1409.0575).
    """
    text = resources.files("headstart.model").joinpath(FILE).read_text(encoding="utf-8")
    return tuple(json.loads(text).values())
