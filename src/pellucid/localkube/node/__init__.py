"""The kubelet: pods as containers of an OCI runtime, and what the API is told about them.

Pure: `decisions`, `environment`, `oci_config`, `pod_status`. At the edge: `container_runtime`, `sandbox`,
`probes`, `volumes`. `pod_worker` joins them for one pod, `kubelet` for a node.
"""
