"""What MLflow shows of an experiment: its view for model training, and the columns of the list of runs.

MLflow keeps both in tags of the experiment. Without the columns the list has neither metrics nor parameters.
"""

from __future__ import annotations

import json
import logging
from typing import Any

LOG = logging.getLogger(__name__)
VIEW = "headstart"  # name of the columns in links
# Columns with their widths in pixels, at which neither their titles nor what is in them is cut.
ATTRIBUTES = {"Run Name": 330}
METRICS = {
    "test_accuracy": 118,
    "test_accuracy_low": 142,
    "test_accuracy_high": 146,
    "val_accuracy": 112,
    "seconds": 84,
}
PARAMETERS = {"dataset": 100, "backbone": 150, "freeze": 130, "head": 100, "seed": 60}


def experiment_tags() -> dict[str, str]:
    """Return the tags of an experiment that headstart logs to."""
    widths = {f"metrics.`{name}`": width for name, width in METRICS.items()}
    widths |= {f"params.`{name}`": width for name, width in PARAMETERS.items()}
    first = {f"attributes.`{name}`": width for name, width in ATTRIBUTES.items()}
    view = {
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": list(widths),
        "columnOrder": [*first, *widths],
        "columnWidths": {**first, **widths},
    }
    return {
        "mlflow.experimentKind": "custom_model_development",  # for an MLflow whose links do not choose the view
        "mlflow.experiment.primaryMetric.name": "test_accuracy",
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view, separators=(",", ":")),
    }


def tag_experiment(client: Any, experiment: Any) -> bool:
    """Set the tags that an experiment lacks, and return whether links may name its columns.

    What somebody has chosen stays. A store that accepts no tags is no reason to stop a run.

    Args:
        client: `mlflow.MlflowClient` of the store.
        experiment: `mlflow.entities.Experiment` from the store.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        for key, value in experiment_tags().items():
            if key not in experiment.tags or (key.endswith(f".{VIEW}") and experiment.tags[key] != value):
                client.set_experiment_tag(experiment.experiment_id, key, value)
    except (MlflowException, SQLAlchemyError) as error:
        LOG.warning("the experiment cannot be tagged: %s", error)
        return False
    return True
