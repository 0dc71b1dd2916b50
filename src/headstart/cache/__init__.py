"""What can be computed again, kept on disk by content: decoded images and the activations of frozen layers."""
