"""`head=imagenet`: labels unlabelled images with the saved classifier; no training, no accuracy."""

from __future__ import annotations

from headstart.classifier.saved import Classifier
from headstart.results.figures import PictureLabels
from headstart.run.setup import RunSetup
from headstart.tracking import Tracker


def label_pictures(setup: RunSetup, classifier: Classifier, tracker: Tracker) -> PictureLabels:
    """Label all images; write and track the labels.

    Args:
        setup: the run's setup.
        classifier: the saved classifier.
        tracker: the run's tracker.

    Raises:
        HeadstartError: when an image cannot be read.
    """
    from headstart.evaluation.labels import report_labels

    config, output = setup.config, setup.output
    title = f"{config.dataset.name}: labels by pretrained {config.backbone.name}"
    labels = report_labels(classifier, setup.index, config.batch_size, title, setup.source, output)
    tracker.log_metrics({"images": labels.images, "mean_confidence": labels.mean_confidence})
    tracker.log_files([output / "predictions.csv"])
    return labels
