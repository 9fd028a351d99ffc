"""The commands, one module per family. Nothing here is imported before the command is asked for."""
