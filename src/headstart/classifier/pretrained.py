"""A published network with its original ImageNet classes, without a run."""

from __future__ import annotations

from headstart.classifier.saved import Classifier
from headstart.config import BackboneConfig, HeadConfig
from headstart.core.tensorflow_import import import_tensorflow
from headstart.inference.backend import check_inference_backend
from headstart.model.backbones.registry import get_entry
from headstart.model.backbones.weights import check_weights
from headstart.model.imagenet import imagenet_classes
from headstart.model.include_top import check_top_layers

RESIZE = "crop"  # the centre, as in the evaluation on ImageNet


def pretrained_classifier(name: str, weights: str | None = None, inference_backend: str = "tensorflow") -> Classifier:
    """Return a pretrained network with its original 1000 classes.

    Args:
        name: of a backbone.
        weights: `imagenet`, `packaged`, `none` or the path of a file that includes the top; None is the default.
        inference_backend: `auto`, `tensorflow` or `openvino`.

    Raises:
        HeadstartError: when the backbone or the inference backend does not exist, or the weights are missing or do not
            match.
    """
    check_inference_backend(inference_backend)
    entry = get_entry(name)
    weights = weights or (entry.weights[0] if entry.weights else "none")
    check_weights(entry, weights)  # before importing TensorFlow, to fail fast
    check_top_layers(entry, weights, entry.image_size)
    import_tensorflow()
    import keras

    from headstart.model.network import build_network

    keras.utils.set_random_seed(0)  # for weights=none
    head = HeadConfig("imagenet", pooling="include_top", output="imagenet")
    classes = imagenet_classes()
    network = build_network(BackboneConfig(name, weights), head, len(classes), entry.image_size, seed=0)
    return Classifier(network.classifier, classes, entry.image_size, RESIZE, inference_backend=inference_backend)
