"""Upload sessions: ``client.sessions``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion._retry import backoff
from aion.exceptions import AionvisionTimeoutError
from aion.resources._base import Resource, flag, given, pages, require
from aion.types.sessions import UploadSession, UploadSessionList, UploadSessionResults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aion.types.sessions import UploadSessionResult


class SessionsResource(Resource):
    """Files that were uploaded together: how far they are, and what came of them.

    ``upload`` makes sessions by itself; ``partial_results`` of its errors and ``session_id`` lead
    here.
    """

    async def list(
        self,
        *,
        status: str | None = None,
        upload_method: str | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> UploadSessionList:
        """One page of sessions, newest first.

        Args:
            status: ``pending``, ``uploading``, ``processing``, ``completed``, ``failed``,
                ``expired`` or ``cancelled``.
            upload_method: ``streaming`` or ``presigned``.
            limit: 1 to 100.
            offset: how many to pass over.

        Raises:
            ValidationError: a value outside these.
        """
        return await self._page(status, upload_method, limit, offset=offset)

    async def _page(
        self, status: str | None, upload_method: str | None, limit: int, **where: Any
    ) -> UploadSessionList:
        require(1 <= limit <= 100, "limit must be from 1 to 100", "limit")
        params = given(status=status, upload_method=upload_method, limit=limit, **where)
        answer = await self._http.json("GET", "/uploads/sessions", params=params)
        return UploadSessionList.from_api_response(answer)

    async def list_all(
        self,
        *,
        status: str | None = None,
        upload_method: str | None = None,
        page_size: int = 50,
    ) -> AsyncIterator[UploadSession]:
        """All sessions, newest first: ``async for session in …``.

        Args:
            status: as :meth:`list`.
            upload_method: as :meth:`list`.
            page_size: how many to ask for at a time, 1 to 100.
        """

        async def fetch(where: dict[str, Any]) -> tuple[Sequence[UploadSession], bool, str | None]:
            page = await self._page(status, upload_method, page_size, **where)
            return page.sessions, page.has_more, page.next_cursor

        async for session in pages(fetch):
            yield session

    async def get(self, session_id: str) -> UploadSession:
        """How far a session has come, exactly.

        Raises:
            ResourceNotFoundError: no such session.
        """
        path = f"/uploads/sessions/{segment(session_id)}/status"
        return UploadSession.from_api_response(await self._http.json("GET", path))

    async def get_results(
        self, session_id: str, *, include_failed: bool = True, offset: int = 0, limit: int = 100
    ) -> UploadSessionResults:
        """One page of the files that have ended, in the order of the request; 1 to 500.

        Raises:
            ResourceNotFoundError: no such session.
            ValidationError: ``limit`` outside 1 to 500.
        """
        return await self._results(session_id, include_failed, limit, offset=offset)

    async def _results(
        self, session_id: str, include_failed: bool, limit: int, **where: Any
    ) -> UploadSessionResults:
        require(1 <= limit <= 500, "limit must be from 1 to 500", "limit")
        params = {"include_failed": flag(include_failed), "limit": limit, **where}
        path = f"/uploads/sessions/{segment(session_id)}/results"
        answer = await self._http.json("GET", path, params=params)
        return UploadSessionResults.from_api_response(answer)

    async def get_all_results(
        self, session_id: str, *, include_failed: bool = True, page_size: int = 100
    ) -> AsyncIterator[UploadSessionResult]:
        """All files that have ended, page by page: ``async for file in …``.

        Raises:
            ResourceNotFoundError: no such session.
        """

        async def fetch(
            where: dict[str, Any],
        ) -> tuple[Sequence[UploadSessionResult], bool, str | None]:
            page = await self._results(session_id, include_failed, page_size, **where)
            return page.results, page.has_more, page.next_cursor

        async for result in pages(fetch):
            yield result

    async def cancel(self, session_id: str) -> UploadSession:
        """End what has not begun, and get its credits back; results stay.

        Raises:
            ResourceNotFoundError: no such session.
            ValidationError: it has ended.
        """
        path = f"/uploads/sessions/{segment(session_id)}/cancel"
        return UploadSession.from_api_response(await self._http.json("POST", path))

    async def wait_for_completion(
        self,
        session_id: str,
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
    ) -> UploadSession:
        """Wait until a session has ended, well or badly.

        Args:
            session_id: the session.
            timeout: seconds; by default ``polling_timeout``.
            poll_interval: seconds between two questions; by default ``polling_interval``.

        Raises:
            AionvisionTimeoutError: it has not in time; ``last_result`` is how far it came.
        """
        import asyncio

        seconds = self._config.polling_timeout if timeout is None else timeout
        interval = poll_interval or self._config.polling_interval
        deadline, delay = time.monotonic() + seconds, min(0.05, interval)
        while not (session := await self.get(session_id)).is_terminal:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AionvisionTimeoutError(
                    f"session {session_id} has not ended within {seconds:g} s", last_result=session
                )
            await asyncio.sleep(min(delay, left))
            delay = backoff(delay, interval)
        return session
