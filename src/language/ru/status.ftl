# The command status.
