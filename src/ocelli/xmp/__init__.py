"""What is said of a picture, written beside it: XMP sidecars, and XMP in the picture itself."""
