"""The splits of a run as data sets of MLflow: which images, of which classes, from where."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIGEST = 8  # characters of a fingerprint; MLflow shows it beside the name and advises this length


@dataclass(frozen=True)
class LoggedDataset:
    """One split of a data set.

    Args:
        name: of the data set, the same for all its splits.
        context: the split: `train`, `validation` or `test`.
        fingerprint: SHA-256 over path, class and content of the split's images.
        source: directory of the images.
        images_per_class: number of images by class.
    """

    name: str
    context: str
    fingerprint: str
    source: str
    images_per_class: Mapping[str, int]

    @property
    def digest(self) -> str:
        """What MLflow shows of the fingerprint."""
        return self.fingerprint[:DIGEST]

    def values(self) -> dict[str, Any]:
        """Return the data set as the content of a journal entry."""
        return dataclasses.asdict(self)


def dataset_input(dataset: LoggedDataset) -> Any:
    """Return a split as `mlflow.entities.DatasetInput`.

    Args:
        dataset: the split.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    schema = Schema([ColSpec(DataType.binary, "image"), ColSpec(DataType.string, "label")])
    profile = {
        "num_rows": sum(dataset.images_per_class.values()),  # MLflow shows this one
        "num_classes": len(dataset.images_per_class),
        "images_per_class": dataset.images_per_class,
        "fingerprint": dataset.fingerprint,
    }
    entity = Dataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type="local",
        source=json.dumps({"uri": dataset.source}),
        schema=json.dumps({"mlflow_colspec": schema.to_dict()}),
        profile=json.dumps(profile, ensure_ascii=False),
    )
    return DatasetInput(entity, [InputTag(MLFLOW_DATASET_CONTEXT, dataset.context)])


def validation_fingerprint(run: Any) -> str | None:
    """Return the fingerprint of the images that a run was validated on; None for a run of an earlier version.

    Args:
        run: `mlflow.entities.Run` from the store.
    """
    for logged in run.inputs.dataset_inputs if run.inputs else []:
        if any(tag.value == "validation" for tag in logged.tags) and logged.dataset.profile:
            return json.loads(logged.dataset.profile).get("fingerprint")
    return None
