"""Which bots there are: those served from folders, those stored, those in a request.

Spec: csml-engine-runtime §2.1, §15, §16; product.md §3 (`serve`).
"""

from __future__ import annotations

import base64
import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from palaver import __version__
from palaver.config import BotSettings
from palaver.csml.diagnostics import Diagnostic
from palaver.csml.source import NOWHERE
from palaver.effects import CallFailed, HttpRequest
from palaver.engine.bots import BotInvalid, RunnableBot, Scenarios
from palaver.engine.outbound import Outbound
from palaver.engine.refusing import Refusing
from palaver.engine.scenario import Scenario
from palaver.errors import BotNotFound, KeyMissing, VersionNotFound
from palaver.folder import BotFolder
from palaver.logs import keep_secret
from palaver.model import Bot, BotVersion, Flow, Module, OtherBot
from palaver.services.loaded import LoadedBot
from palaver.storage.protocol import Storage
from palaver.types import Clock

__all__ = ["Bots", "LoadedBot"]

logger = logging.getLogger(__name__)

KEPT_VERSIONS = 1024
"""Stored builds whose scenario is found without looking at their texts."""


class Bots:
    """Finds bots and makes them runnable.

    Args:
        modules_url, modules_auth: where modules without an address come from (MODULES_URL).
        lost_keys: ids of encryption keys that are lost for good.

    Attributes:
        on_serve: told whenever a build comes into force.
    """

    def __init__(
        self,
        storage: Storage,
        scenarios: Scenarios,
        outbound: Outbound,
        clock: Clock,
        *,
        modules_url: str | None = None,
        modules_auth: str | None = None,
        lost_keys: Collection[str] = (),
    ) -> None:
        self._storage = storage
        self._scenarios = scenarios
        self._outbound = outbound
        self._clock = clock
        self._modules_url = modules_url
        self._modules_auth = modules_auth
        self._lost_keys = lost_keys
        self._loaded: dict[str, LoadedBot] = {}
        self._by_reference: dict[str, LoadedBot] = {}
        self._latest: dict[str, BotVersion] = {}
        self.on_serve: Callable[[LoadedBot], None] = lambda bot: None
        self._by_version: OrderedDict[str, Scenario] = OrderedDict()

    # --- served bots -----------------------------------------------------------------------

    def find(self, reference: str) -> LoadedBot | None:
        """A served bot by its id, UUID or 24-digit id."""
        return self._by_reference.get(reference)

    def loaded(self) -> tuple[LoadedBot, ...]:
        """All served bots, in the order they were loaded."""
        return tuple(self._loaded.values())

    async def load_folder(self, folder: BotFolder) -> LoadedBot:
        """Serves a folder's bot; one that changed since it was last loaded is a new build."""
        bot = await self._with_modules(folder.bot)
        latest = await self._latest_that_opens(bot.id)
        known = await self._storage.folder_digest(bot.id)
        if latest is None or known != folder.digest:
            latest = await self.create_version(bot)
            await self._storage.save_folder_digest(bot.id, folder.digest)
        return await self._serve(latest, folder.settings)

    async def _latest_that_opens(self, bot_id: str) -> BotVersion | None:
        """None also where nobody will ever open it."""
        try:
            return await self._storage.latest_version(bot_id)
        except KeyMissing as error:
            if not set(error.key_ids) <= set(self._lost_keys):
                raise
            logger.warning("the folder of bot %s becomes a new build, for %s", bot_id, error)
            return None

    async def load_stored(self, bot_id: str) -> LoadedBot:
        """Serves the latest build of a stored bot, with default settings."""
        version = await self._latest_version(bot_id)
        settings = BotSettings(id=bot_id, name=version.bot.name)
        return await self._serve(version, settings)

    async def _serve(self, version: BotVersion, settings: BotSettings) -> LoadedBot:
        bot = version.bot
        scenario = await self._scenarios.get(bot)
        if not _has_default(bot):  # it may be stored so (engine §15), but not run
            scenario = Refusing(_without_default, scenario.flow_steps())
        runnable = RunnableBot(
            bot,
            scenario,
            settings.apps_endpoint,
            tuple(OtherBot(other) for other in settings.multibot),
            version.version_id,
            settings.on_new_build,
            settings.restart_text,
            settings.step_limit,
        )
        return self._put(runnable, settings)

    def _put(self, runnable: RunnableBot, settings: BotSettings) -> LoadedBot:
        bot = runnable.bot
        version_id = runnable.version_id or ""
        loaded = LoadedBot(bot.id, bot.name, settings.description, settings, runnable, version_id)
        self._loaded[bot.id] = loaded
        for reference in (loaded.hex_id, loaded.uuid, loaded.id):
            self._by_reference[reference] = loaded
        keep_secret(bot.env)
        self.on_serve(loaded)
        return loaded

    # --- builds ----------------------------------------------------------------------------

    async def validate(self, bot: Bot) -> tuple[Diagnostic, ...]:
        """What is wrong with a bot; empty when it can run. Spec: engine §16."""
        try:
            await self._scenarios.get(await self._with_modules(bot))
        except BotInvalid as error:
            return error.diagnostics
        return ()

    async def create_version(self, bot: Bot) -> BotVersion:
        """Stores a new build and makes it the one in force. Raises: BotInvalid."""
        bot = await self._with_modules(bot)
        await self._scenarios.get(bot)
        stored = replace(bot, apps_endpoint=None, multibot=())
        version = BotVersion(str(uuid.uuid4()), stored, __version__, self._clock.now())
        await self._storage.save_version(version)
        self._latest[bot.id] = version
        served = self._loaded.get(bot.id)
        if served is not None:
            await self._serve(version, served.settings)
        return version

    async def renew(self, bot_id: str) -> None:
        """Builds were deleted, or stored by another process: the newest comes into force.

        A served bot without any build keeps its ids and keys, but takes no event.
        """
        self._latest.pop(bot_id, None)
        served = self._loaded.get(bot_id)
        if served is None:
            return
        latest = await self._storage.latest_version(bot_id)
        if latest is None:
            gone = Refusing(partial(_not_found, bot_id))
            runnable = replace(served.runnable, scenario=gone, version_id=None)
            self._put(runnable, served.settings)
        elif latest.version_id != served.version_id:
            self._latest[bot_id] = latest
            await self._serve(latest, served.settings)

    async def _latest_version(self, bot_id: str) -> BotVersion:
        version = self._latest.get(bot_id)
        if version is None:
            version = await self._storage.latest_version(bot_id)
            if version is None:
                raise _not_found(bot_id)
            self._latest[bot_id] = version
        return version

    # --- runs ------------------------------------------------------------------------------

    async def runnable_from_request(
        self,
        *,
        bot: Bot | None,
        bot_id: str | None,
        version_id: str | None,
        apps_endpoint: str | None,
        multibot: tuple[OtherBot, ...],
    ) -> RunnableBot:
        """The bot of a run request: in the request, a stored version, or the latest (§2.1).

        Raises:
            BotNotFound, VersionNotFound, BotInvalid.
        """
        if bot is not None:
            bot = await self._with_modules(bot)
            return RunnableBot(bot, await self._checked(bot), bot.apps_endpoint, multibot)
        if bot_id is None:
            raise BotNotFound("Invalid bot_opt format")
        return await self._stored(bot_id, version_id, apps_endpoint, multibot)

    async def _stored(
        self,
        bot_id: str,
        version_id: str | None,
        apps_endpoint: str | None,
        multibot: tuple[OtherBot, ...],
    ) -> RunnableBot:
        served = self._loaded.get(bot_id)
        if served is None:
            version = await self._version(bot_id, version_id)
            scenario = await self._scenario_of(version)
            return RunnableBot(version.bot, scenario, apps_endpoint, multibot, version.version_id)
        own = served.runnable
        if version_id is not None and version_id != own.version_id:
            version = await self._version(bot_id, version_id)
            scenario = await self._scenario_of(version)
            own = replace(
                own,
                bot=version.bot,
                scenario=scenario,
                version_id=version_id,
                on_new_build="reference",  # the caller says which build is meant
            )
        return replace(
            own,
            apps_endpoint=own.apps_endpoint if apps_endpoint is None else apps_endpoint,
            multibot=multibot or own.multibot,
        )

    async def _scenario_of(self, version: BotVersion) -> Scenario:
        """Found by the version's id, so that a turn does not look at the bot's texts."""
        scenario = self._by_version.get(version.version_id)
        if scenario is None:
            scenario = await self._checked(version.bot)
            self._by_version[version.version_id] = scenario
            if len(self._by_version) > KEPT_VERSIONS:
                self._by_version.popitem(last=False)
        return scenario

    async def _checked(self, bot: Bot) -> Scenario:
        scenario = await self._scenarios.get(bot)
        if not _has_default(bot):
            raise _without_default()
        return scenario

    async def _version(self, bot_id: str, version_id: str | None) -> BotVersion:
        if version_id is None:
            return await self._latest_version(bot_id)
        version = await self._storage.find_version(bot_id, version_id)
        if version is None:
            raise VersionNotFound(f"bot version ({version_id}) not found in db")
        return version

    async def build(self, bot_id: str, version_id: str) -> RunnableBot | None:
        """A stored build that a conversation holds on; None when it is gone."""
        version = await self._storage.find_version(bot_id, version_id)
        if version is None:
            return None
        scenario = await self._scenario_of(version)
        return RunnableBot(version.bot, scenario, version_id=version_id)

    async def other(self, bot_id: str, version_id: str | None, left: Bot) -> RunnableBot:
        """A bot to switch to, which inherits the components of the one that is left (§8.4)."""
        served = self.find(bot_id)
        own_id = bot_id if served is None else served.id
        found = await self._stored(own_id, version_id, None, ())
        if not left.custom_components and not left.native_components:
            return found
        bot = replace(
            found.bot,
            custom_components={**found.bot.custom_components, **left.custom_components},
            native_components={**found.bot.native_components, **left.native_components},
        )
        return replace(found, bot=bot, scenario=await self._checked(bot))

    # --- modules ---------------------------------------------------------------------------

    async def _with_modules(self, bot: Bot) -> Bot:
        """The bot with the text of every module. Raises: BotInvalid. Spec: engine §14.1."""
        if all(module.flow is not None for module in bot.modules):
            return bot
        modules = tuple([await self._fetched(module) for module in bot.modules])
        return replace(bot, modules=modules)

    async def _fetched(self, module: Module) -> Module:
        if module.flow is not None:
            return module
        url, auth = module.url, module.auth
        if url is None:
            url, auth = self._modules_url, self._modules_auth
            url = url.replace("{name}", module.name) if url else None
        if url is None:
            raise _module_failure(f"missing url in order to get module [{module.name}]")
        headers: tuple[tuple[str, str], ...] = ()
        if auth:
            token = base64.b64encode(auth.encode()).decode()
            headers = (("Authorization", f"Basic {token}"),)
        answer = await self._outbound.send(HttpRequest("get", url, headers, None))
        if answer is None or isinstance(answer, CallFailed) or answer.status >= 400:
            reason = answer.text if isinstance(answer, CallFailed) else "an error status"
            raise _module_failure(f"module [{module.name}] could not be loaded: {reason}")
        return replace(module, flow=Flow(module.name, module.name, answer.body))


def _has_default(bot: Bot) -> bool:
    return any(bot.default_flow in (flow.id, flow.name) for flow in bot.flows)


def _without_default() -> BotInvalid:
    return BotInvalid("The bot's default_flow does not exist")


def _not_found(bot_id: str) -> BotNotFound:
    return BotNotFound(f"bot ({bot_id}) not found in db")


def _module_failure(text: str) -> BotInvalid:
    found = Diagnostic("module", "error", "", NOWHERE, None, text, text)
    return BotInvalid(f"invalid bot: {text}", (found,))
