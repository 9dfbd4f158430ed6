"""All of ``/api/v2``."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter

from ocelli.api import errors
from ocelli.api.aion.agents import routes as agents
from ocelli.api.aion.audit import routes as audit
from ocelli.api.aion.chat_sessions import routes as chat_sessions
from ocelli.api.aion.chats import routes as chats
from ocelli.api.aion.colors import routes as colors
from ocelli.api.aion.common import PREFIX
from ocelli.api.aion.data import routes as data
from ocelli.api.aion.describe import routes as describe
from ocelli.api.aion.erasures import routes as erasures
from ocelli.api.aion.files import routes as files
from ocelli.api.aion.folders import routes as folders
from ocelli.api.aion.keys import routes as keys
from ocelli.api.aion.members import routes as members
from ocelli.api.aion.policies import routes as policies
from ocelli.api.aion.presigned import routes as presigned
from ocelli.api.aion.reviews import routes as reviews
from ocelli.api.aion.sessions import routes as sessions
from ocelli.api.aion.tenant import routes as tenant
from ocelli.api.aion.uploads import routes as uploads
from ocelli.api.aion.usage import routes as usage
from ocelli.api.aion.vocabularies import routes as vocabularies
from ocelli.api.aion.webhooks import routes as webhooks
from ocelli.api.dialects import Dialect
from ocelli.api.documented import add_components

router = APIRouter()
for resource in (
    uploads,
    presigned,
    sessions,
    usage,
    files,
    folders,
    reviews,
    vocabularies,
    policies,
    webhooks,
    agents,
    chat_sessions,
    chats,
    colors,
    data,
    describe,
    tenant,
    members,
    audit,
    erasures,
    keys,
):
    router.routes += resource.router.routes

DIALECT = Dialect(
    prefixes=(PREFIX,),
    router=router,
    errors=errors,
    document=partial(add_components, [errors.ErrorEnvelope]),
)
