"""From an image reference to the directories a container's root is laid over and the command it runs."""
