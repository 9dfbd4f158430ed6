"""The database and the object stores."""
