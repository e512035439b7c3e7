"""A platform that is not the default reference: what all such have in common, as far as their adapter offers it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString, cast

import httpx
import psycopg

from pytest_smartattend.errors import ContractBroken, NotOffered, TargetFailed
from pytest_smartattend.target.adapter import Adapter, fill
from pytest_smartattend.target.client import TIMEOUT, Client, Operation
from pytest_smartattend.target.gateway import Gateway
from pytest_smartattend.target.observer import Observer
from pytest_smartattend.target.operations import TABLES, operation_of
from pytest_smartattend.target.people import Account, Person, Signer, Tenant
from pytest_smartattend.target.seed import Seeder
from pytest_smartattend.target.seeding import FileSeeder, Seeding, StepSeeder
from pytest_smartattend.target.sql import RoleSession
from pytest_smartattend.target.tokens import GivenTokens, SecretSigner
from pytest_smartattend.target.translator import Translator

if TYPE_CHECKING:
    from pytest_smartattend.target.paths import Path as FaultPath


class AdaptedObserver(Observer):
    """Reads records where the adapter says that they live, by the names that checks use.

    Raises:
        TargetFailed: the database cannot be reached, or the adapter's SQL does not hold there.
    """

    def __init__(self, dsn: str, records: Mapping[str, str]) -> None:
        try:
            super().__init__(dsn)
        except psycopg.Error as why:
            raise TargetFailed(
                f"The database in which the adapter's records live cannot be reached: {why}. Is it up, and may we read it?"
            ) from None
        self._shown = sorted(records)
        self._connection.execute("set default_transaction_read_only = off")
        for table, query in records.items():
            try:
                # of this session alone; found before a table of the same name
                self._connection.execute(f'create temporary view "{table}" as {query}')
            except psycopg.Error as why:
                self.close()
                raise TargetFailed(f"[records] {table}: {why}. Correct its SQL.") from None
        self._connection.execute("set default_transaction_read_only = on")

    def rows(self, query: LiteralString, *parameters: object) -> list[dict[str, Any]]:
        """All rows of `query`.

        Raises:
            NotOffered: the adapter does not say where some of it lives.
            TargetFailed: it does, and not all that is asked for is there.
        """
        try:
            with _offered():
                return super().rows(query, *parameters)
        except psycopg.errors.UndefinedColumn as why:
            raise TargetFailed(
                f"[records]: {str(why).splitlines()[0]}, which a check asks for: {query[:200]}. Let the table's SQL show it."
            ) from None

    def value(self, query: LiteralString, *parameters: object) -> Any:  # noqa: ANN401
        """The first column of the first row; None where there is no row.

        Raises:
            NotOffered, TargetFailed: as `rows`.
        """
        rows = self.rows(query, *parameters)
        return next(iter(rows[0].values())) if rows else None

    def _stamped(self) -> list[dict[str, Any]]:
        """As `Observer`, of the contract's tables alone: what a migration tool keeps is stamped by the real clock."""
        found = self.rows(
            "select table_name as t, column_name as c from information_schema.columns"
            " where table_schema = case when %s then pg_my_temp_schema()::regnamespace::text else 'public' end"
            " and table_name = any(%s) and data_type = 'timestamp with time zone' order by 1, 2",
            bool(self._shown),
            self._shown or sorted(TABLES),
        )
        if not found:
            raise NotOffered("records: a column of type timestamp with time zone")
        return found

    def _lock(self, table: str) -> None:
        with _offered():
            super()._lock(table)


@contextmanager
def _offered() -> Iterator[None]:
    """A table that is not there is one that the adapter does not show."""
    try:
        yield
    except psycopg.errors.UndefinedTable as why:
        raise NotOffered(f"records: {str(why).splitlines()[0]}") from None


class _Offered(httpx.BaseTransport):
    """Lets through what the adapter offers, and says of the rest by name that it does not."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._inner = httpx.HTTPTransport(retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        operation = operation_of(request.method, request.url.path.removeprefix("/api"))
        if operation is not None and not self._adapter.offers(operation):
            raise NotOffered(operation)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


class _Lacking(NotOffered, AttributeError):
    """A part that checks ask the reference platform for, and that no adapter can offer."""


#: what only a platform in our own process can have
_IN_PROCESS = {
    **dict.fromkeys(("run", "async_client"), "clients on its clock, whose waiting takes no time"),
    "add_worker": "one worker more in the middle of a check",
    "set_window": "another length of its SLA windows",
}


class AdaptedPlatform:
    """Speaks with a running platform by its adapter.

    Args:
        adapter: what it offers, and how it says it.
        translator: between the contract and its API; None for what the adapter's ``[api]`` says.

    Attributes:
        name: how the report calls it.
        base_url: where it speaks the contract, without ``/api``.
        paths: where faults can be laid; none where it runs elsewhere.
        connections_at_rest: None: nobody has said how many connections it may keep.
    """

    def __init__(self, adapter: Adapter, translator: Translator | None = None) -> None:
        self.adapter = adapter
        self.name = adapter.name
        self.base_url = ""
        self.connections_at_rest: int | None = None
        self.paths: dict[str, FaultPath] = {}
        self._translator = translator
        self._secret = secrets.token_hex(32)
        self._dsn: str | None = None
        self._dsn_as: Callable[[str], str] | None = None
        self._observer: Observer | None = None
        self._known = False
        self._closing = ExitStack()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("_"):
            raise AttributeError(name)
        raise _Lacking(_IN_PROCESS.get(name, f"{name!r}, which the reference platform has"))

    def now(self) -> datetime:
        """What the clock of tokens says."""
        return datetime.now(UTC)  # noqa: TID251 - it is served: its clock is the wall's

    def _speak(self, base_url: str) -> None:
        """Put what is needed between the contract and `base_url`, and hold what seeding and tokens need."""
        self.base_url = base_url
        if self._translator is not None or not self.adapter.api.is_contract:
            gateway = Gateway(base_url, self._translator or Translator(self.adapter))
            gateway.start()
            self._closing.callback(gateway.stop)
            self.base_url = gateway.base_url
        self._http = self._closing.enter_context(
            httpx.Client(transport=_Offered(self.adapter), base_url=self.base_url, timeout=TIMEOUT)
        )
        self._seeder = self._seeding(base_url)
        self._closing.callback(self._seeder.close)
        self._signer = self._signing()
        with contextlib.suppress(NotOffered):
            self.observer  # noqa: B018 - what is wrong with it is told before the first check

    def _seeding(self, base_url: str) -> Seeding:
        seed = self.adapter.seed
        if seed.kind == "file":
            return FileSeeder(self.adapter.folder / seed.tenants)
        if seed.kind == "steps":
            return StepSeeder(self.adapter, self._dsn, base_url, self._secret)
        if self._dsn is None:
            raise TargetFailed('[seed] kind = "reference" needs the database. Use kind = "steps" or kind = "file".')
        return Seeder(self._dsn)

    def _signing(self) -> Signer:
        tokens = self.adapter.tokens
        if tokens.kind == "jwt":
            return SecretSigner(fill(tokens.secret, {"secret": self._secret}), self.now, tokens.claims)
        return GivenTokens(self._logged_in if tokens.kind == "login" else self._given)

    def _logged_in(self, account: Account) -> str:
        client = self.seed_free_client()
        answer = client.call("POST", "/auth/login", {"email": account.email, "password": account.password})
        if not answer.ok:
            raise TargetFailed(
                f"Seeding: logging the {account.role} in, {account.email}, POST /auth/login was answered with {answer.summary}: "
                f"{str(answer.body)[:300]}. Correct the person or the password of [seed], or the login in [api]."
            )
        token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
        if not isinstance(token, str):
            raise ContractBroken(
                f"POST /auth/login told no access_token: {str(answer.body)[:300]}. Name it in [api.names]."
            )
        return token

    def _given(self, account: Account) -> str:
        known = self._seeder.tokens if isinstance(self._seeder, FileSeeder) else {}
        if account.user_id not in known:
            raise NotOffered(f"a token of a {account.role} (no token of {account.user_id} is listed)")
        return known[account.user_id]

    @property
    def observer(self) -> Observer:
        """Reads its database past it.

        Raises:
            NotOffered: the adapter does not say where records live, or the database cannot be had.
        """
        if self._observer is None:
            records = self.adapter.records
            if not records or self._dsn is None:
                raise NotOffered("a look at its records (the adapter has no [records], or there is no database)")
            self._observer = AdaptedObserver(self._dsn, {} if records == "reference" else records)
            self._closing.callback(self._observer.close)
        return self._observer

    def describe(self) -> Mapping[str, object]:
        """What stands in the report about it."""
        return {"name": self.name, "not_offered": list(self.adapter.api.not_offered)}

    def seed(self, kind: str, record: Callable[[Operation], None]) -> Tenant:
        """A new tenant of `kind` with one person of each role, whose operations are told to `record`."""
        tenant_id, accounts, roster = self._seeder.tenant(kind)
        if not self._known and self.adapter.offers("GET /auth/me"):
            # of a tenant that no check gets, whose requests would be counted there; a list has none to spare
            spare = accounts if isinstance(self._seeder, FileSeeder) else self._seeder.tenant(kind)[1]
            self._look_at_tokens(spare)
        return Tenant(tenant_id, kind, accounts, roster, self._signer, self._http, record)

    def cast(self, tenant_id: str, roles: Mapping[str, str], record: Callable[[Operation], None]) -> dict[str, Person]:
        """A person of the tenant's for each name in `roles`, in that role; superadmins are of no tenant.

        Raises:
            NotOffered: nobody can be added to a tenant.
        """
        accounts = {name: self._seeder.person(role, tenant_id) for name, role in roles.items()}
        return {name: Person(self._http, one, self._signer.token(one), record) for name, one in accounts.items()}

    def drift_limits(self, tenant_id: str, limits: Mapping[str, timedelta]) -> None:
        """Hold the clocks of a tenant's clients to limits of its own.

        Raises:
            NotOffered: they cannot be set.
        """
        self._seeder.drift_limits(tenant_id, limits)

    def _look_at_tokens(self, accounts: Mapping[str, Account]) -> None:
        for role, account in accounts.items():
            answer = Client(self._http, self._signer.token(account), lambda _operation: None).call("GET", "/auth/me")
            if answer.status in {401, 403}:
                raise TargetFailed(
                    f"Seeding: the platform refuses the token of the {role} that was made, {account.email or account.user_id}: "
                    f"GET /auth/me was answered with {answer.summary}: {str(answer.body)[:300]}. Correct [tokens] or [seed]."
                )
        self._known = True

    @contextmanager
    def sql_as(self, role: str, tenant_id: str | None) -> Iterator[RoleSession]:
        """A connection as ``app`` or ``owner``, past platform and proxies.

        Raises:
            NotOffered: its tables are not those that the checks attack, or the adapter names no such role.
        """
        if self.adapter.records != "reference" or role not in self.adapter.roles or self._dsn_as is None:
            raise NotOffered(f"SQL as {role} on tables of the contract's names")
        session = RoleSession(self._dsn_as(self.adapter.roles[cast("Any", role)]), tenant_id)
        try:
            yield session
        finally:
            session.close()

    def path_to(self, store: str) -> str:
        """The name of the proxy between the platform and `store`."""
        if store not in self.paths:
            raise NotOffered(f"a path {store!r} on which a fault could be laid")
        return store

    def log_tail(self, lines: int = 60) -> str:
        """The end of what it printed; nothing is known of one that runs elsewhere."""
        return f"(it runs elsewhere; its last {lines} lines are where it keeps them)"

    def values(self) -> dict[str, str]:
        """What templates of the adapter may say of this run."""
        return {"secret": self._secret, "adapter_folder": str(self.adapter.folder)}

    def seed_free_client(self) -> Client:
        """Nobody, who asks what anybody may; nothing of it is recorded."""
        return Client(self._http, None, lambda _operation: None)

    def stop(self) -> None:
        """End what we hold of it."""
        self.close()

    def close(self) -> None:
        """End what we hold of it."""
        self._closing.close()
