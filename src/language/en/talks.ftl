# The pages of talks, the queue, closings and feeders.
