"""A soup: the average of the weights of several runs of one architecture."""
