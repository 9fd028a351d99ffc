"""What the model means. Each module is one table that a person could check by hand.

Pure functions from `model` values to values: which intention decides, what a proxy's settings come
to, how a request is routed. Imports only `model`; `derive`, `xds`, `api` and `explain` all ask here,
so no two of them can give different answers.
"""
