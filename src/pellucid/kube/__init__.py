"""The mesh on Kubernetes: everything that talks to a Kubernetes API server or runs inside a pod.

- `annotations`, `pods`: what people write on pods, decoded and checked; shared by all parts;
- `sidecar_ports`, `probe_targets`: what the injector and the sidecars agree on;
- `injector`: the webhook that puts the sidecar into pods;
- `controllers`: pods, Services and custom resources, brought into the mesh;
- `inject_connect`, `control_config_entries`: the two components that run in the cluster, as processes;
- `replica`, `leader_election`: a webhook on each of several replicas, a controller on one of them;
- `delete_custom_resources`: what is done before these are uninstalled;
- `webhook`: what admission webhooks share, HTTPS that the API server trusts above all;
- `server_client`: the mesh server's HTTP API, as the components call it.

All of it works against the plain Kubernetes API of any cluster.
"""
