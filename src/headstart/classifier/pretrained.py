"""A pretrained network as it is, without a run: ImageNet's labels for pictures."""

from __future__ import annotations

from headstart.classifier.saved import Classifier
from headstart.config import BackboneConfig, HeadConfig
from headstart.core.tensorflow_import import import_tensorflow
from headstart.inference.backend import check_inference_backend
from headstart.model.backbones.registry import get_entry
from headstart.model.backbones.weights import check_weights
from headstart.model.imagenet import imagenet_classes
from headstart.model.include_top import check_top_layers

RESIZE = "crop"  # the centre, as networks are evaluated on ImageNet


def pretrained_classifier(name: str, weights: str | None = None, engine: str = "tensorflow") -> Classifier:
    """Return a pretrained network with its own 1000 classes, without a run.

    Args:
        name: of a backbone.
        weights: `imagenet`, `packaged`, `none` or the path of a file with the classifier; None is the backbone's own.
        engine: `auto`, `tensorflow` or `openvino`.

    Raises:
        HeadstartError: when there is no such backbone or engine, or its weights are missing or do not fit.
    """
    check_inference_backend(engine)
    entry = get_entry(name)
    weights = weights or (entry.weights[0] if entry.weights else "none")
    check_weights(entry, weights)  # before TensorFlow is imported, so that what is wrong is said at once
    check_top_layers(entry, weights, entry.image_size)
    import_tensorflow()
    import keras

    from headstart.model.network import build_network

    keras.utils.set_random_seed(0)  # of weights that are none
    head = HeadConfig("imagenet", pooling="include_top", output="imagenet")
    classes = imagenet_classes()
    network = build_network(BackboneConfig(name, weights), head, len(classes), entry.image_size, seed=0)
    return Classifier(network.classifier, classes, entry.image_size, RESIZE, engine=engine)
