"""PhotoPrism's vision service: captions, labels and safety for a photo library."""
