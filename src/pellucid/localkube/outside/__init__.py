"""What a cluster sees of the outside: nothing, a stand-in for chosen names, or the host's way out."""
