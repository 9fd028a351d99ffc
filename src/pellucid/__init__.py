"""pellucid: a transparent-proxy service mesh that speaks Consul 1.10."""

__version__ = "0.1.0"
