"""The worker process, which runs the jobs of the queue."""
