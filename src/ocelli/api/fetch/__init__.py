"""The dialect of ``/api/fetch``: many pictures, several backends, one request."""
