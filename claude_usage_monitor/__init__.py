"""Claude Code's usage limits, as a live terminal dashboard and as a typed library.

The public names are resolved on first use (PEP 562), so that ``import claude_usage_monitor``
costs nothing: the network library alone takes longer to load than the rest together.
"""

from __future__ import annotations

TYPE_CHECKING: bool = False

if TYPE_CHECKING:
    from claude_usage_monitor.errors import AccountsUnavailable as AccountsUnavailable
    from claude_usage_monitor.errors import CredentialError as CredentialError
    from claude_usage_monitor.errors import CredentialsExpired as CredentialsExpired
    from claude_usage_monitor.errors import CredentialsNotFound as CredentialsNotFound
    from claude_usage_monitor.errors import Forbidden as Forbidden
    from claude_usage_monitor.errors import InvalidName as InvalidName
    from claude_usage_monitor.errors import InvalidSetting as InvalidSetting
    from claude_usage_monitor.errors import LoggedOut as LoggedOut
    from claude_usage_monitor.errors import LoginErased as LoginErased
    from claude_usage_monitor.errors import LoginFailed as LoginFailed
    from claude_usage_monitor.errors import MissingScope as MissingScope
    from claude_usage_monitor.errors import NoCredentials as NoCredentials
    from claude_usage_monitor.errors import NoHomeDirectory as NoHomeDirectory
    from claude_usage_monitor.errors import PartialCredentials as PartialCredentials
    from claude_usage_monitor.errors import PermissionDenied as PermissionDenied
    from claude_usage_monitor.errors import RateLimited as RateLimited
    from claude_usage_monitor.errors import RefreshTokenRevoked as RefreshTokenRevoked
    from claude_usage_monitor.errors import SecretStoreUnavailable as SecretStoreUnavailable
    from claude_usage_monitor.errors import ServerError as ServerError
    from claude_usage_monitor.errors import ServiceError as ServiceError
    from claude_usage_monitor.errors import Unauthorized as Unauthorized
    from claude_usage_monitor.errors import UnexpectedResponse as UnexpectedResponse
    from claude_usage_monitor.errors import UnknownAccount as UnknownAccount
    from claude_usage_monitor.errors import Unreachable as Unreachable
    from claude_usage_monitor.errors import UsageMonitorError as UsageMonitorError
    from claude_usage_monitor.monitor.client import UsageClient as UsageClient
    from claude_usage_monitor.monitor.client import authorize as authorize
    from claude_usage_monitor.monitor.client import get_usage as get_usage
    from claude_usage_monitor.usage.attribution.report import UseReport as UseReport
    from claude_usage_monitor.usage.limits.history import History as History
    from claude_usage_monitor.usage.limits.history import LimitHits as LimitHits
    from claude_usage_monitor.usage.limits.history import PastWindow as PastWindow
    from claude_usage_monitor.usage.limits.history import SessionsLeft as SessionsLeft
    from claude_usage_monitor.usage.limits.pace import Forecast as Forecast
    from claude_usage_monitor.usage.limits.windows import CreditPool as CreditPool
    from claude_usage_monitor.usage.limits.windows import ExtraUsage as ExtraUsage
    from claude_usage_monitor.usage.limits.windows import Usage as Usage
    from claude_usage_monitor.usage.limits.windows import UsageWindow as UsageWindow
    from claude_usage_monitor.usage.money.spend import Spend as Spend
    from claude_usage_monitor.usage.status import Account as Account
    from claude_usage_monitor.usage.status import AccountStatus as AccountStatus
    from claude_usage_monitor.usage.status import Problem as Problem
    from claude_usage_monitor.usage.status import Profile as Profile
    from claude_usage_monitor.usage.throttling import Throttling as Throttling

__version__ = "0.1.0"

_HOMES = {
    "Account": "usage.status",
    "AccountStatus": "usage.status",
    "AccountsUnavailable": "errors",
    "CredentialError": "errors",
    "CredentialsExpired": "errors",
    "CredentialsNotFound": "errors",
    "CreditPool": "usage.limits.windows",
    "ExtraUsage": "usage.limits.windows",
    "Forbidden": "errors",
    "Forecast": "usage.limits.pace",
    "History": "usage.limits.history",
    "InvalidName": "errors",
    "InvalidSetting": "errors",
    "LimitHits": "usage.limits.history",
    "LoggedOut": "errors",
    "LoginErased": "errors",
    "LoginFailed": "errors",
    "MissingScope": "errors",
    "NoCredentials": "errors",
    "NoHomeDirectory": "errors",
    "PartialCredentials": "errors",
    "PastWindow": "usage.limits.history",
    "PermissionDenied": "errors",
    "Problem": "usage.status",
    "Profile": "usage.status",
    "RateLimited": "errors",
    "RefreshTokenRevoked": "errors",
    "SecretStoreUnavailable": "errors",
    "ServerError": "errors",
    "ServiceError": "errors",
    "SessionsLeft": "usage.limits.history",
    "Spend": "usage.money.spend",
    "Throttling": "usage.throttling",
    "Unauthorized": "errors",
    "UnexpectedResponse": "errors",
    "UnknownAccount": "errors",
    "Unreachable": "errors",
    "Usage": "usage.limits.windows",
    "UsageClient": "monitor.client",
    "UsageMonitorError": "errors",
    "UsageWindow": "usage.limits.windows",
    "UseReport": "usage.attribution.report",
    "authorize": "monitor.client",
    "get_usage": "monitor.client",
}

__all__ = [  # noqa: PLE0604 - every name is a literal; the two lists are compared by a test
    "__version__",
    *_HOMES,
]


def __getattr__(name: str) -> object:
    """Import the module of a public name on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    import_module("typing")  # `light_typing` then offers it, for programs that read our types
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
