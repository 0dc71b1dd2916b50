"""The schema of the data: sources, splits, image reading, augmentation and cross-validation."""

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
    range_or,
    setting,
)


@dataclass
class SplitConfig:
    """How headstart splits images that come without splits; stratified by class."""

    validation: float = number(0.2, "share of the images for validation", "fraction", above=0, below=1)
    test: float = number(0.2, "share of the images for the test; 0: no test split", "fraction", minimum=0, below=1)
    seed: int = number(0, "random seed of the split; not the run's seed, so that runs share their test images", "")


@dataclass
class ColumnsConfig:
    """Column names of the CSV file; null finds the column by a usual name, false ignores it."""

    path: Any = name_or(meaning="column with the path of the image")
    label: Any = name_or(meaning="column with the class")
    split: Any = name_or(False, meaning="column with the split")
    group: Any = name_or(False, meaning="column whose equal values stay in one split, such as a patient id")


@dataclass
class DatasetConfig:
    """Where the images come from, which ones are used and how they are read."""

    name: str = setting(
        REQUIRED, "name of the data set in reports", decides=Decides.NAME, former_values={"unlabelled": "pictures"}
    )
    source: str = choice(
        REQUIRED,
        *("digits", "folder", "csv", "flat", "keras", "tfds", "unlabelled"),
        meaning="reader of the images",
        former_values={"unlabelled": "pictures"},
    )
    root: str | None = path("directory of the images (folder, csv, flat, unlabelled)", Decides.LOCATION)
    origin: str | None = setting(
        None,
        "where to download the images, and their layout; shown if they are missing",
        decides=Decides.NOTHING,
    )
    csv: str | None = path("CSV file with a header such as path,label[,split][,group] (csv)", Decides.LOCATION)
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    collection: str | None = setting(None, "name in keras.datasets (keras) or in TensorFlow Datasets (tfds)")
    label_names: list[Any] | None = names("class names in the order of the numbers in the file names (flat)")
    splits: Any = setting(
        "auto", "which folders are splits: auto, none, or folders by split {train: learn, test: final} (folder, flat)"
    )
    classes: list[Any] | None = names("classes to keep, by name; null: all")
    min_images: int | None = number(
        None, "leave out classes with fewer images, not counting a given test split", "images", minimum=1
    )
    exclude: str | None = path(
        "CSV file of images to leave out, in a column path, as `headstart audit` writes it", Decides.LOCATION
    )
    group: str | None = choice(
        None, "near_duplicates", meaning="images that stay in one split, besides the groups of the CSV file"
    )
    split: SplitConfig = field(default_factory=SplitConfig)
    fraction: float = number(
        1.0,
        "share of the training images to use; a smaller share is a subset of a larger one",
        "fraction",
        above=0,
        maximum=1,
    )
    fraction_seed: int | None = number(
        None,
        "random seed of that share; null: dataset.split.seed. Learning curves draw another share for each seed",
        "",
        minimum=0,
        decides=Decides.REPLICATE,
    )
    resize: str = choice("stretch", "crop", "pad", meaning="how to make an image square")
    suggested_image_size: int | None = number(
        None, "image size for this data set if image_size is null", "pixels", above=0
    )
    bad_images: str = choice(
        "fail", "skip", meaning="what to do with an image that cannot be read: fail the run or skip it"
    )
    max_pixels: int = number(
        89_478_485, "largest image to read; Pillow refuses more", "pixels", minimum=1, maximum=178_956_970
    )
    max_file_mb: float = number(256.0, "largest image file to read", "MB", above=0)
    value_range: Any = range_or(
        *("auto", "full"),
        meaning="values that map to black and white in images with more than 8 bits; auto: the bits that the data set "
        "uses; full: 0 to 65535",
        unit="values",
    )
    follow_links: bool = setting(False, "follow symbolic links that lead out of the root")


@dataclass
class AugmentationConfig:
    """Random changes to training images; 0 or false is off."""

    name: str = setting(REQUIRED, "name of the augmentation in reports", decides=Decides.NAME)
    flip: bool = setting(False, "random horizontal flip")
    rotation: float = number(0.0, "largest rotation, in either direction", "degrees", minimum=0, maximum=180)
    shift: float = number(
        0.0, "largest horizontal and vertical shift, as a fraction of the side", "fraction", minimum=0, below=1
    )
    shear: float = number(0.0, "largest shear", "fraction", minimum=0, maximum=1)
    zoom: float = number(0.0, "largest zoom, in or out", "fraction", minimum=0, below=1)
    fill: str = choice("nearest", "reflect", "constant", meaning="how to fill pixels from outside the image")
    randaugment: float = number(0.0, "magnitude of RandAugment's operations", "fraction", minimum=0, maximum=1)
    mixup: float = number(0.0, "mixup: alpha of the Beta distribution; 0 is off", "", minimum=0)
    cutmix: float = number(0.0, "CutMix: alpha of the Beta distribution; 0 is off", "", minimum=0)
    views: Any = count_or(
        "live",
        "live: new random changes in every epoch; a number: that many fixed versions of each image, cached",
        "views",
    )


@dataclass
class CrossValidationConfig:
    """Cross-validation: each fold is the test split of one job of a sweep."""

    folds: int | None = number(None, "number of folds; null: no cross-validation", "folds", minimum=2)
    fold: int | None = number(
        None, "fold that is the test split, from 0; -m runs all folds", "", minimum=0, decides=Decides.REPLICATE
    )
