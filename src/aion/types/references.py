"""What texts of the server refer to."""

from dataclasses import field

from aion.types._model import Model, record


@record
class ResultRefData(Model):
    """What a ``[[ref:KEY]]`` stands for: how many of what, and which."""

    count: int
    ids: list[str] = field(default_factory=list)
    image_ids: list[str] = field(default_factory=list)
    id_type: str = "image"
    label: str = ""
