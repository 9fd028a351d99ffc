"""How an instance says which pod it is: keys of a service's `Meta`.

Source: consul-k8s 1.x, endpoints controller (`pod-name`, `k8s-namespace`, `pod-uid`).
"""

from __future__ import annotations

POD_NAME = "pod-name"
POD_NAMESPACE = "k8s-namespace"
POD_UID = "pod-uid"
"""Tells a pod from an earlier one of the same name."""
