"""A Kubernetes cluster on this machine, without a container engine. Knows of no software that runs on it."""
