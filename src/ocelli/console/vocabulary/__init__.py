"""The tags of the tenant: vocabularies, their terms, and a trial."""
