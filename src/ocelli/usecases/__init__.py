"""The use cases: each class is a group of operations of the API, or a job of a worker."""
