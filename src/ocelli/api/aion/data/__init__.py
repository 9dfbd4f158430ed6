"""The history of descriptions, exports of it, and addresses of pictures."""
