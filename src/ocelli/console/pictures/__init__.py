"""One picture: what was seen, why it is believed, and correcting it."""
