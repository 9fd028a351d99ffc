"""The Kubernetes API over HTTP: connections, routes, discovery, streams."""
