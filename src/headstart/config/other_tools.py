"""What timm, Ultralytics, fastai and PyTorch call keys and values, for tips to those who come from there."""

from __future__ import annotations

from collections.abc import Collection

# What to write here for a key there, with the given value in place of {}. Keys that `headstart.config.suggestions`
# finds by itself, such as `epoch` or `learning_rate`, are not listed.
KEYS = {
    **dict.fromkeys(("lr", "lr0", "base_lr", "max_lr"), "optimizer.learning_rate={}"),
    **dict.fromkeys(("imgsz", "img_size", "input_size", "img", "size", "resolution"), "image_size={}"),
    **dict.fromkeys(("data", "data_dir", "data_path", "folder", "path"), "dataset=folder dataset.root={}"),
    **dict.fromkeys(("model", "arch", "network", "base_model"), "backbone={}"),
    **dict.fromkeys(("batch", "bs", "b"), "batch_size={}"),
    **dict.fromkeys(("opt",), "optimizer={}"),
    **dict.fromkeys(("wd", "decay"), "optimizer.weight_decay={}"),
    **dict.fromkeys(("sched", "scheduler", "lr_scheduler"), "optimizer.schedule.name={}"),
    **dict.fromkeys(("cos_lr",), "optimizer.schedule.name=cosine"),
    **dict.fromkeys(("smoothing",), "label_smoothing={}"),
    **dict.fromkeys(("hidden", "hidden_units", "width"), "head.units={}"),
    **dict.fromkeys(("strategy",), "scenario={}"),
    **dict.fromkeys(("drop", "drop_rate"), "head.dropout={}"),
    **dict.fromkeys(("aa", "auto_augment", "autoaugment"), "augmentation=randaugment"),
    **dict.fromkeys(("pretrained", "init", "checkpoint"), "backbone.weights={}"),
    **dict.fromkeys(("amp", "half", "fp16"), "precision=mixed_float16"),
    **dict.fromkeys(("bf16",), "precision=mixed_bfloat16"),
    **dict.fromkeys(("kfold", "n_splits", "k"), "cv.folds={}"),
    **dict.fromkeys(("output", "output_dir", "project", "save_dir", "out"), "hydra.run.dir={}"),
    **dict.fromkeys(("gpu", "gpus", "cuda"), "device=gpu"),
    **dict.fromkeys(("early_stopping", "early_stop"), "patience={}"),
    **dict.fromkeys(("model_ema",), "optimizer.ema=0.999"),
}
# Keys there that need nothing here.
NEEDLESS = {
    **dict.fromkeys(("workers", "num_workers", "threads"), "leave it out: reading the images uses all processors"),
    **dict.fromkeys(("num_classes", "nc"), "leave it out: the images tell; dataset.classes=[A,B] keeps some classes"),
}
# Values there, and names of options, by what they are here; the first that a key accepts is meant.
VALUES = {
    "gpu": ("cuda", "cuda:0", "0", "mps"),
    "mixed_float16": ("fp16", "float16", "16", "16-mixed", "half", "amp", "true"),
    "mixed_bfloat16": ("bf16", "bfloat16", "bf16-mixed"),
    "float32": ("fp32", "32", "full", "false"),
    "temperature": ("true", "yes"),
    "flip": ("hflip",),
    "light": ("true", "yes", "default", "basic"),
    "balanced": ("true", "yes", "auto"),
    "cosine": ("cos", "true", "onecycle"),
    "dense512": ("mlp", "dense", "fc"),
    "include_top": ("top", "original"),
    "all": ("true", "yes", "frozen", "backbone"),
    "auto": ("true", "yes", "on"),
    "off": ("false", "no", "none"),
    "none": ("false", "no", "off", "null", "0"),
}


def value_here(value: str, valid: Collection[str]) -> str | None:
    """Return the valid value that other tools call so; None if none is known.

    Args:
        value: the wrong value.
        valid: the values that the key accepts.
    """
    return next((here for here, there in VALUES.items() if here in valid and value.lower() in there), None)
