"""Every error this package raises on purpose.

::

    UsageMonitorError
    ├── CredentialError              the user must log in or unlock a login
    │   ├── NoCredentials            no credential found, or an unusable one
    │   │   ├── CredentialsNotFound  none found at all
    │   │   ├── NoHomeDirectory      the folder of Claude Code's login is unknown
    │   │   ├── PartialCredentials   its file is incomplete: it may be being rewritten
    │   │   └── LoggedOut            its store exists and contains no login
    │   │       └── LoginErased      because Claude Code could not refresh it
    │   ├── PermissionDenied         this user may not read the file with the login
    │   ├── CredentialsExpired       the access token has expired
    │   │   └── RefreshTokenRevoked  and the server no longer accepts the refresh token
    │   ├── LoginFailed              a login was started and failed
    │   ├── Unauthorized             the API refuses the token (401)
    │   ├── MissingScope             the token may not read usage (403)
    │   ├── Forbidden                the organization does not allow this login (403)
    │   └── SecretStoreUnavailable   the keyring is locked, denies access or does not respond
    ├── ServiceError                 the service returned no figures
    │   ├── RateLimited              too many requests (429)
    │   ├── Unreachable              no response: network, DNS, TLS, proxy, timeout
    │   ├── ServerError              the service failed (5xx)
    │   └── UnexpectedResponse       a response without usage figures
    ├── UnknownAccount               no account has that name
    ├── InvalidSetting               an option or environment variable has an invalid value
    │   └── InvalidName              an account name is invalid or already used
    └── AccountsUnavailable          the list of accounts cannot be read or written

Each class has a stable ``code``. Each error has a message (what happened, one sentence) and a
``hint`` (what to do). Neither ever contains a token.
"""

from __future__ import annotations

from claude_usage_monitor.light_typing import TYPE_CHECKING

if TYPE_CHECKING:  # `--help` imports this module without it, which saves 1 ms
    from datetime import datetime, timedelta
    from typing import ClassVar


class UsageMonitorError(Exception):
    """Base of all errors that this package raises on purpose; any other exception is a bug."""

    code: ClassVar[str] = "error"
    default_message: ClassVar[str] = "Something failed."
    default_hint: ClassVar[str] = ""
    retry_at: datetime | None = None
    """When to try again, if that is known."""

    def __init__(self, message: str | None = None, hint: str | None = None) -> None:
        self.message = self.default_message if message is None else message
        self.hint = self.default_hint if hint is None else hint
        super().__init__(self.message)


class CredentialError(UsageMonitorError):
    """The user must log in, or unlock a login, before figures can be read."""


class NoCredentials(CredentialError):
    """Raised when no credential was found, or the one found cannot be used."""

    code = "no_credentials"
    default_message = "Not logged in to Claude Code."
    default_hint = (
        "Run `claude` and log in, or add an account: "
        "`claude-usage-monitor accounts add NAME --login`. "
        "`--demo` shows the dashboard without one."
    )


class CredentialsNotFound(NoCredentials):
    """Raised when the location for a login does not exist."""


class NoHomeDirectory(NoCredentials):
    """Raised when there is no home directory, so that the location of a login is unknown."""

    default_message = "No home directory was found, so no login can be read."
    default_hint = "Set HOME to your own."


class PartialCredentials(NoCredentials):
    """Raised when a stored login is empty or truncated: another program may be writing it."""


class LoggedOut(NoCredentials):
    """Raised when the store exists and contains no login: Claude Code is logged out."""


class LoginErased(LoggedOut):
    """Raised when Claude Code has erased its login after it could not refresh it."""


class PermissionDenied(CredentialError):
    """Raised when this user may not read the file with the login, or its folder."""

    code = "permission_denied"
    default_message = "The file with the login cannot be read: permission denied."
    default_hint = "Give yourself read access to it."


class CredentialsExpired(CredentialError):
    """Raised instead of sending an expired token."""

    code = "credentials_expired"
    default_message = "The login has expired."
    default_hint = "Open Claude Code once (`claude`): it renews its login, and this screen updates."

    def __init__(
        self,
        message: str | None = None,
        hint: str | None = None,
        *,
        expired_at: datetime | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.expired_at = expired_at


class RefreshTokenRevoked(CredentialsExpired):
    """Raised when the server no longer accepts the refresh token (``invalid_grant``)."""

    default_message = "This login is no longer valid."
    default_hint = "Log in again."


class LoginFailed(CredentialError):
    """Raised when a login was denied, canceled or timed out. Nothing was stored."""

    code = "login_failed"
    default_message = "The login failed."
    default_hint = "Log in again."


class Unauthorized(CredentialError):
    """Raised when the API refuses the token (401)."""

    code = "unauthorized"
    default_message = "The API refuses this login."
    default_hint = "Run `claude`, then `/login`."


class MissingScope(CredentialError):
    """Raised when the token lacks the scope for usage (403)."""

    code = "missing_scope"
    default_message = "This token may not read usage (it lacks `user:profile`)."
    default_hint = (
        "Tokens from `claude setup-token` cannot; log in with `claude`, "
        "or unset CLAUDE_CODE_OAUTH_TOKEN."
    )


class Forbidden(CredentialError):
    """Raised when the organization does not allow this login (403)."""

    code = "forbidden"
    default_message = "The organization does not allow this login here."
    default_hint = "Ask its admin; nothing to retry."


class SecretStoreUnavailable(CredentialError):
    """Raised when the store of a login does not respond or denies access."""

    code = "secret_store_unavailable"
    default_message = "The keychain cannot be read."
    default_hint = "Unlock it and allow `security` to read `Claude Code-credentials`."


class ServiceError(UsageMonitorError):
    """The service returned no figures; it may later."""


class RateLimited(ServiceError):
    """Raised on 429, and while an earlier 429 or the request budget forbids the next request.

    ``retry_at`` is when the next request may be sent. ``retry_after`` is how long the API asked to
    wait, ``None`` if it did not say; ``retry_at`` is never earlier, unless that is over 24 hours.
    """

    code = "rate_limited"
    default_message = "The API refused and did not say how long."
    default_hint = "Claude Code and other monitors share this limit."

    def __init__(
        self,
        message: str | None = None,
        hint: str | None = None,
        *,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class Unreachable(ServiceError):
    """Raised without a complete response: network, DNS, TLS, proxy or timeout.

    ``sent`` says whether the server may have received the request.
    """

    sent = False

    code = "unreachable"
    default_message = "The API cannot be reached."
    default_hint = "Check the network or proxy."


class ServerError(ServiceError):
    """Raised when the API fails (5xx, 408)."""

    code = "server_error"
    default_message = "The API has a problem."
    default_hint = "Try again in a moment."


class UnexpectedResponse(ServiceError):
    """Raised when the response does not contain what was requested.

    ``sent`` says whether the server may have used up a single-use token for it.
    """

    sent = False

    code = "unexpected_response"
    default_message = "The reply was not usage figures."
    default_hint = "A network login page or proxy may be answering; `doctor --online` shows more."


class UnknownAccount(UsageMonitorError):
    """Raised when no account has the given name."""

    code = "unknown_account"
    default_message = "No account has that name."


class InvalidSetting(UsageMonitorError):
    """Raised when an option or an environment variable has an invalid value."""

    code = "invalid_setting"
    default_message = "A setting has an invalid value."


class InvalidName(InvalidSetting):
    """Raised when an account name is empty, unprintable, too long or already used."""


class AccountsUnavailable(UsageMonitorError):
    """Raised when the list of accounts (accounts.db) cannot be read or written."""

    code = "accounts_unavailable"
    default_message = "The list of accounts cannot be read or written."


def class_of(code: str) -> type[UsageMonitorError]:
    """Return the class with this ``code``, for an unknown code `UsageMonitorError`."""
    kinds: list[type[UsageMonitorError]] = [UsageMonitorError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next((kind for kind in kinds if kind.code == code), UsageMonitorError)


def error_of(
    code: str, message: str, hint: str, error_class: type[UsageMonitorError] | None = None
) -> UsageMonitorError:
    """Return an error with this message and hint, by default of the class with this ``code``."""
    error = (error_class or class_of(code))()
    error.message, error.hint, error.args = message, hint, (message,)
    return error
