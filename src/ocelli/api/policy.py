"""What each route asks of a key: the one table. A route that is not in it asks for everything."""

from __future__ import annotations

from dataclasses import dataclass

from ocelli.domain.errors import NotAllowed
from ocelli.domain.scopes import KeyRole, allows


@dataclass(frozen=True, slots=True)
class Policy:
    """The role that opens a route, or the one scope that opens it besides.

    ``per_minute`` is a limit of the route's own, per key, beside the key's limit on all of them.
    One that is not ``counted`` has none: clients are told to poll it, and stop for good at a 429.
    """

    role: KeyRole
    scope: str | None = None
    per_minute: int | None = None
    counted: bool = True

    def enforce(self, scopes: tuple[str, ...]) -> None:
        """Raise NotAllowed if the scopes do not open the route."""
        if not allows(scopes, self.role, self.scope):
            wanted = f"`{self.role}`" + (f" or `{self.scope}`" if self.scope else "")
            held = ", ".join(scopes) or "none"
            raise NotAllowed(f"This needs a key with the scope {wanted}; this one has: {held}.")


_READ = Policy(KeyRole.READ)
_WRITE = Policy(KeyRole.WRITE)
_EVERYTHING = Policy(KeyRole.ADMIN)

# By the name of the function behind the route; /docs shows them all with their addresses.
POLICIES: dict[str, Policy] = {
    # uploads
    "upload_stream": _WRITE,
    "upload_stream_batch": _WRITE,
    "upload_status": _READ,
    "check_duplicates": _READ,
    "quota_check": _READ,
    "stuck_uploads": _READ,
    "request_presigned_url": _WRITE,
    "confirm_upload": _WRITE,
    "initiate_upload": _WRITE,
    "confirm_file": _WRITE,
    # batches and sessions
    "batch_prepare": _WRITE,
    "batch_confirm": _WRITE,
    "batch_status": _READ,
    "cancel_batch": _WRITE,
    "list_sessions": _READ,
    "session_status": _READ,
    "session_results": _READ,
    "session_events": _READ,
    "cancel_session": _WRITE,
    # files
    "list_files": _READ,
    "get_file": _READ,
    "get_variant": _READ,
    "download": _READ,
    "delete_file": _WRITE,
    "update_file": _WRITE,
    "delete_files": _WRITE,
    "trigger_variants": _WRITE,
    # colours
    "get_colors": _READ,
    "extract_colors": _WRITE,
    "extract_colors_of_many": _WRITE,
    "search_colors": _READ,
    "list_color_families": _READ,
    # history and exports
    "list_descriptions": _READ,
    "create_export": _READ,
    "get_export": _READ,
    "get_image": _READ,
    "get_thumbnail": _READ,
    "get_image_variant": _READ,
    "list_variants": _READ,
    # describe, verify, batch jobs
    "describe": _WRITE,
    "verify": _WRITE,
    "verify_providers": _READ,
    "verify_health": _READ,
    "batch_describe": _WRITE,
    "batch_verify": _WRITE,
    "batch_job": _READ,
    "batch_results": _READ,
    # usage and tenant
    "usage_check": Policy(KeyRole.READ, "usage:read", per_minute=60),
    "usage_summary": Policy(KeyRole.READ, "usage:read", per_minute=30),
    "usage_breakdown": Policy(KeyRole.READ, "usage:read", per_minute=30),
    "tenant_limits": Policy(KeyRole.READ, "tenants:read"),
    "get_s3_config": Policy(KeyRole.READ, "cloud_storage:read"),
    "configure_s3": Policy(KeyRole.ADMIN, "cloud_storage:write", per_minute=5),
    "validate_s3": Policy(KeyRole.ADMIN, "cloud_storage:write", per_minute=10),
    "remove_s3": Policy(KeyRole.ADMIN, "cloud_storage:delete", per_minute=5),
    # conversations
    "chat_completions": _WRITE,
    "moderate": _WRITE,
    "list_models": _READ,
    "get_model": _READ,
    # requests in credits
    "fetch": _WRITE,
    "fetch_by_query": _WRITE,
    "fetch_response": Policy(KeyRole.READ, counted=False),
    "fetch_credits": _READ,
    # keys
    "create_key": Policy(KeyRole.ADMIN, "api_keys:write"),
    "list_keys": Policy(KeyRole.READ, "api_keys:read"),
    "get_key": Policy(KeyRole.READ, "api_keys:read"),
    "update_key": Policy(KeyRole.ADMIN, "api_keys:write"),
    "delete_key": Policy(KeyRole.ADMIN, "api_keys:delete"),
}

# Routes without a key: signed addresses, and what operators and their tools ask.
OPEN = frozenset({"get_object", "put_object", "home", "live", "ready", "metrics"})


def policy_of(route: str) -> Policy:
    """The policy of the route whose function has this name."""
    return POLICIES.get(route, _EVERYTHING)
