"""Beside the application: the sidecar process that proves whose pod it is and looks after Envoy."""
