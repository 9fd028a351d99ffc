"""What each endpoint decides, a module per family.

A handler takes the context and a request and returns an `Outcome`; it neither waits nor writes.
"""
