"""A workload's own kernel namespaces, the fabric that joins them, and the ways out of them.

Pure: `fabric_addresses`, `name_resolution`, `protocol`. In a process of its own, inside: `init`.
"""
