"""Inference with TensorFlow or OpenVINO."""
