"""`perfcrew mcp`: the instruments, the runs and the slash commands for hosts that speak the Model Context Protocol."""
