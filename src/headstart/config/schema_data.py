"""The part of the schema about images: where they come from, how they are divided, how they are changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.config.fields import (
    REQUIRED,
    Decides,
    choice,
    count_or,
    name_or,
    names,
    number,
    path,
    plain,
    range_or,
)


@dataclass
class SplitConfig:
    """How images that come without splits are divided, stratified by class."""

    validation: float = number(0.2, "share of the images for validation", "fraction", above=0, below=1)
    test: float = number(0.2, "share of the images for the test; 0 makes no test split", "fraction", minimum=0, below=1)
    seed: int = number(0, "seed of the division; apart from the run's seed, so that runs share their test images", "")


@dataclass
class ColumnsConfig:
    """Names of a table's columns; null finds the column by a usual name, false does not read it."""

    path: Any = name_or(meaning="column with the path of the image")
    label: Any = name_or(meaning="column with the class")
    split: Any = name_or(False, meaning="column with the split")
    group: Any = name_or(False, meaning="column with what must stay in one split, such as the patient")


@dataclass
class DatasetConfig:
    """Where the images come from and how they become squares of pixels."""

    name: str = plain(
        REQUIRED, "name of the data set in reports", decides=Decides.NAME, former_values={"unlabelled": "pictures"}
    )
    source: str = choice(
        REQUIRED,
        *("digits", "folder", "csv", "flat", "keras", "tfds", "unlabelled"),
        meaning="kind of place that the images are read from",
        former_values={"unlabelled": "pictures"},
    )
    root: str | None = path("directory of the images (folder, csv, flat, unlabelled)", Decides.LOCATION)
    origin: str | None = plain(
        None,
        "where to get the images and how large they are; part of the message where they are missing",
        decides=Decides.NOTHING,
    )
    csv: str | None = path("table with a header path,label[,split][,group], or the like (csv)", Decides.LOCATION)
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    collection: str | None = plain(None, "name in keras.datasets (keras) or in TensorFlow Datasets (tfds)")
    label_names: list[Any] | None = names("classes in the order of the numbers that the files' names start with (flat)")
    splits: Any = plain(
        "auto", "which folders are splits: auto, none, or folders by split, {train: learn, test: final} (folder, flat)"
    )
    classes: list[Any] | None = names("the only classes to keep, by name; null keeps all")
    min_images: int | None = number(
        None, "classes with fewer images, a given test split aside, are left out", "images", minimum=1
    )
    exclude: str | None = path(
        "CSV file with the column path, such as an audit's: images to leave out", Decides.LOCATION
    )
    group: str | None = choice(
        None, "near_duplicates", meaning="which images stay in one split, beside the groups of the csv"
    )
    split: SplitConfig = field(default_factory=SplitConfig)
    fraction: float = number(
        1.0, "share of the training images; a smaller one lies within a larger one", "fraction", above=0, maximum=1
    )
    resize: str = choice("stretch", "crop", "pad", meaning="how an image becomes a square")
    suggested_image_size: int | None = number(
        None, "side of the images where image_size is null, in place of the backbone's own", "pixels", above=0
    )
    bad_images: str = choice("fail", "skip", meaning="what an image that cannot be read does to a run")
    max_pixels: int = number(
        89_478_485, "largest image that is read; Pillow refuses more", "pixels", minimum=1, maximum=178_956_970
    )
    max_file_mb: float = number(256.0, "largest image file that is read", "MB", above=0)
    value_range: Any = range_or(
        *("auto", "full"),
        meaning="values that become black and white in images of more than 8 bits: auto takes the bits used in the "
        "whole data set, full 0 to 65535",
        unit="values",
    )
    follow_links: bool = plain(False, "whether links may lead out of the root, to wherever files can be read")


@dataclass
class AugmentationConfig:
    """Random changes of training images; all zero is none."""

    name: str = plain(REQUIRED, "name of the augmentation in reports", decides=Decides.NAME)
    flip: bool = plain(False, "left and right exchanged in half of the images")
    rotation: float = number(0.0, "largest rotation to either side", "degrees", minimum=0, maximum=180)
    shift: float = number(0.0, "largest shift in both directions, of the side", "fraction", minimum=0, below=1)
    shear: float = number(0.0, "largest shear", "fraction", minimum=0, maximum=1)
    zoom: float = number(0.0, "largest zoom, in or out", "fraction", minimum=0, below=1)
    fill: str = choice("nearest", "reflect", "constant", meaning="what stands outside the image")
    randaugment: float = number(0.0, "magnitude of RandAugment's operations", "fraction", minimum=0, maximum=1)
    mixup: float = number(0.0, "mixup: alpha of the Beta distribution; 0 is off", "", minimum=0)
    cutmix: float = number(0.0, "CutMix: alpha of the Beta distribution; 0 is off", "", minimum=0)
    views: Any = count_or(
        "live", "live: afresh in each epoch; a number: so many fixed versions of each image, which are cached", "views"
    )


@dataclass
class CrossValidationConfig:
    """Training and testing on every part of the images in turn; each fold is a job of a sweep."""

    folds: int | None = number(
        None, "parts that the images are divided into; null is no cross-validation", "folds", minimum=2
    )
    fold: int | None = number(
        None, "which part is the test split, from 0; -m runs all of them", "", minimum=0, decides=Decides.REPLICATE
    )
