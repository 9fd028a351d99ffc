"""The mesh on Kubernetes: everything that talks to a Kubernetes API server or runs inside a pod.

- `annotations`, `pods`: what people write on pods, decoded and checked; shared by all parts;
- `injector`: the webhook that puts the sidecar into pods;
- `controllers`: pods, Services and custom resources, brought into the mesh;
- `leader_election`: one of several replicas at work;
- `webhook_server`, `webhook_trust`, `webhook_authority`: HTTPS for webhooks, which the API server trusts;
- `server_client`: the mesh server's HTTP API, as the components call it.

All of it works against the plain Kubernetes API of any cluster.
"""
