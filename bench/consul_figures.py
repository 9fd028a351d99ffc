"""What a Consul 1.10 server needed on a machine like the one these figures are aimed at (two cores).

Not measured in a run of this bench: to measure another implementation here, use `--peer-binary`.
"""

ENDPOINT_MS = {"p50": 960.0, "p99": 1_200.0}
"""An endpoint change, from the write's answer to the last of 100 proxies."""
ENDPOINT_CPU_MS = 1_600.0
"""Server CPU for it."""
INTENTION_MS = {"p50": 954.0, "p99": 1_600.0}
INTENTION_CPU_MS = 2_200.0
FIRST_CONFIGURATION_MS = 1_900.0
"""100 proxies that connect at once."""
PROXY_KB = 63.0
"""Resident memory for each connected proxy."""
RESIDENT_MB = 283.0
"""Resident memory with 100 proxies."""
HEALTH_READS = 3_300.0
"""`/v1/health/service/<name>` of 20 instances, a second."""
CATALOG_READS = 27_000.0
"""`/v1/catalog/services`, a second."""
