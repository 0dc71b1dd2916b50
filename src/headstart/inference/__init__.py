"""Running a network that does not train, by TensorFlow or OpenVINO."""
