"""Results of ``client.agent_operations``."""

from dataclasses import field

from aion.types._model import Model, record


@record
class FolderActionDetail(Model):
    """What became of a folder: ``create_and_move_files`` or ``move_files``."""

    action: str
    folder_id: str | None = None
    folder_name: str | None = None
    file_count: int | None = None


@record
class OrganizeResult(Model):
    """What was sorted. ``undo_organize(plan_id)`` takes it back."""

    success: bool = True
    summary: str = ""
    actions: list[FolderActionDetail] = field(default_factory=list)
    folders_created: int = 0
    files_moved: int = 0
    execution_time_ms: int = 0
    iterations: int = 0
    token_usage: dict[str, int | None] | None = None
    plan_id: str = ""


@record
class UndoOrganizeResult(Model):
    """What was taken back; what was changed since is kept."""

    plan_id: str
    files_moved: int = 0
    folders_deleted: int = 0
    files_kept: int = 0
    folders_kept: int = 0


@record
class SynthesizeResult(Model):
    """A report over pictures, in Markdown."""

    success: bool = True
    report: str = ""
    summary: str = ""
    image_count: int = 0
    document_count: int = 0
    saved_document_id: str | None = None
    execution_time_ms: int = 0
    iterations: int = 0
    token_usage: dict[str, int | None] | None = None
