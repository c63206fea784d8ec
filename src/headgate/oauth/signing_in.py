"""What a sign-in needs, in one object for the owner's side."""

import asyncio
from dataclasses import dataclass, field

from headgate.oauth.attempts import Attempts
from headgate.oauth.refresh import Refresher
from headgate.oauth.registration import Registrations
from headgate.oauth.token_endpoint import TokenEndpoint
from headgate.tasks import TaskGroup


@dataclass(slots=True)
class SigningIn:
    attempts: Attempts
    endpoint: TokenEndpoint
    refresher: Refresher
    tasks: TaskGroup = field(default_factory=TaskGroup)
    """Sign-ins by device code: they ask the provider until somebody has agreed."""

    @property
    def registrations(self) -> Registrations:
        """Those in force: a reload replaces them."""
        return self.refresher.registrations

    async def close(self, hurry: asyncio.Event | None = None) -> None:
        """See `Refresher.close`."""
        await self.tasks.cancel()
        await self.refresher.close(hurry)
