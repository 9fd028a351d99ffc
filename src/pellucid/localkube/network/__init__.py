"""Pods' addresses and links, services, cluster DNS; all in the cluster's own network namespace."""
