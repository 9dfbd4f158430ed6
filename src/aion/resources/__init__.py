"""The parts of the API, a module each.

A module is imported when a name of it is first asked for.
"""

from typing import TYPE_CHECKING

from aion._lazy import homes_by_name, lazy

if TYPE_CHECKING:
    from aion.resources.agent_operations import AgentOperationsResource
    from aion.resources.agent_search import AgentSearchResource
    from aion.resources.api_keys import ApiKeysResource
    from aion.resources.audit import AuditResource
    from aion.resources.batch import BatchResource
    from aion.resources.chat import ChatResource
    from aion.resources.colors import ColorsResource
    from aion.resources.describe import DescribeResource
    from aion.resources.erasures import ErasuresResource
    from aion.resources.escalation_policies import EscalationPoliciesResource
    from aion.resources.files import FilesResource
    from aion.resources.folders import FoldersResource
    from aion.resources.history import HistoryResource
    from aion.resources.reviews import ReviewsResource
    from aion.resources.sessions import SessionsResource
    from aion.resources.settings import SettingsResource
    from aion.resources.tenant import TenantResource
    from aion.resources.upload import UploadResource
    from aion.resources.usage import UsageResource
    from aion.resources.verify import VerifyResource
    from aion.resources.vocabularies import VocabulariesResource
    from aion.resources.webhooks import WebhooksResource

_HOMES = homes_by_name(
    {
        "aion.resources.audit": "AuditResource",
        "aion.resources.agent_operations": "AgentOperationsResource",
        "aion.resources.agent_search": "AgentSearchResource",
        "aion.resources.api_keys": "ApiKeysResource",
        "aion.resources.batch": "BatchResource",
        "aion.resources.chat": "ChatResource",
        "aion.resources.colors": "ColorsResource",
        "aion.resources.describe": "DescribeResource",
        "aion.resources.erasures": "ErasuresResource",
        "aion.resources.escalation_policies": "EscalationPoliciesResource",
        "aion.resources.files": "FilesResource",
        "aion.resources.folders": "FoldersResource",
        "aion.resources.history": "HistoryResource",
        "aion.resources.reviews": "ReviewsResource",
        "aion.resources.sessions": "SessionsResource",
        "aion.resources.settings": "SettingsResource",
        "aion.resources.tenant": "TenantResource",
        "aion.resources.upload": "UploadResource",
        "aion.resources.usage": "UsageResource",
        "aion.resources.verify": "VerifyResource",
        "aion.resources.vocabularies": "VocabulariesResource",
        "aion.resources.webhooks": "WebhooksResource",
    }
)
__all__ = [
    "AgentOperationsResource",
    "AgentSearchResource",
    "ApiKeysResource",
    "AuditResource",
    "BatchResource",
    "ChatResource",
    "ColorsResource",
    "DescribeResource",
    "ErasuresResource",
    "EscalationPoliciesResource",
    "FilesResource",
    "FoldersResource",
    "HistoryResource",
    "ReviewsResource",
    "SessionsResource",
    "SettingsResource",
    "TenantResource",
    "UploadResource",
    "UsageResource",
    "VerifyResource",
    "VocabulariesResource",
    "WebhooksResource",
]

__getattr__ = lazy(__name__, _HOMES)
