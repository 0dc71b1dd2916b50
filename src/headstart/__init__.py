"""Configuration-driven transfer-learning experiments for image classification."""

from headstart.classifier.saved import Classifier, load_classifier
from headstart.core.errors import HeadstartError

__all__ = ["Classifier", "HeadstartError", "load_classifier"]
