"""The mesh's controllers on Kubernetes: what the cluster says, brought about in the mesh.

`endpoints` keeps the catalog in step with pods and Services, `config_entries` the configuration entries
with custom resources. Both are pure functions from what is observed to what should be, with the same edge
around them: informers that follow the API server, a queue of keys, and events for people.
"""
