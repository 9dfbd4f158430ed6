"""The servers that the clients of others talk to."""

from __future__ import annotations

from tests.chat.conftest import chat as chat
from tests.chat.conftest import upstream as upstream
from tests.foreign.browser import browser as browser
from tests.foreign.browser import site_url as site_url
from tests.foreign.browser import visit as visit
