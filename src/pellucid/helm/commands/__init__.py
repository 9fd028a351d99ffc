"""What helm's commands do, by family; each function takes a Call and returns the exit code."""
