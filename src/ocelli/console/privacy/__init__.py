"""``/privacy``: how long what is kept, erasing pictures for good, and the receipts."""
