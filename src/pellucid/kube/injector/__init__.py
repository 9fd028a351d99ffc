"""The injector: a mutating webhook that gives pods their sidecar.

- `decision` says whether a pod gets one, `wishes` what it asks for, `mutation` what it becomes; all pure;
- `redirection`, `probes`, `metrics`, `lifecycle` and others each know one part of that;
- `review` speaks the API server's language, `web_server` answers it;
- `overlooked` finds pods that asked while nobody answered.
"""
