"""Helm's command line over Helm's own engine.

`program` turns a command line into an exit code, `command_table` names helm's commands and their flags,
`commands/` holds what they do, and `engine` is the one place that calls the engine. Knows nothing of the mesh
and nothing of the rest of this program.
"""
