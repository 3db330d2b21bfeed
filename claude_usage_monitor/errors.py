"""Every error this package raises on purpose.

::

    UsageMonitorError
    ├── CredentialError              a login is needed
    │   ├── NoCredentials            none found, or the one found is unusable
    │   │   ├── CredentialsNotFound  none found at all
    │   │   ├── PartialCredentials   its file is incomplete: it may be being rewritten
    │   │   └── LoggedOut            its store is there and holds no login
    │   ├── CredentialsExpired       its time is up; it is never sent
    │   │   └── RefreshTokenRevoked  nor can it be renewed any more
    │   ├── LoginFailed              a login was begun and came to nothing
    │   ├── Unauthorized             the API refuses it (401)
    │   ├── MissingScope             it may not read usage (403)
    │   ├── Forbidden                the organisation does not allow it (403)
    │   └── SecretStoreUnavailable   the keychain is locked, denied or mute
    ├── ServiceError                 the service could not give figures
    │   ├── RateLimited              it asks to wait (429)
    │   ├── Unreachable              no answer: network, DNS, TLS, proxy, time-out
    │   ├── ServerError              it has a problem of its own (5xx)
    │   └── UnexpectedResponse       an answer, but not usage figures
    ├── UnknownAccount               no account of that name
    ├── InvalidSetting               an option or a variable has an impossible value
    │   └── InvalidName              no account can be called that, or one is
    └── AccountsUnavailable          the list of accounts cannot be read or written

Each class has a stable ``code``; each error a message (what happened, one sentence) and a ``hint``
(what to do). Neither ever holds a token.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar


class UsageMonitorError(Exception):
    """Base of all errors raised on purpose; anything else that escapes is a bug."""

    code: ClassVar[str] = "error"
    default_message: ClassVar[str] = "Something failed."
    default_hint: ClassVar[str] = ""
    retry_at: datetime | None = None
    """When it is worth trying again, where that is known."""

    def __init__(self, message: str | None = None, hint: str | None = None) -> None:
        self.message = self.default_message if message is None else message
        self.hint = self.default_hint if hint is None else hint
        super().__init__(self.message)


class CredentialError(UsageMonitorError):
    """A login is needed before figures can be had."""


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
    """Raised when the place where a login would be stored does not exist."""


class PartialCredentials(NoCredentials):
    """Raised when a stored login is empty or cut off; a moment later it may be whole."""


class LoggedOut(NoCredentials):
    """Raised when a login's store is whole and holds no login: Claude Code was logged out."""


class CredentialsExpired(CredentialError):
    """Raised when the credential's time is up, instead of sending it."""

    code = "credentials_expired"
    default_message = "The login has expired."
    default_hint = "Open Claude Code once (`claude`): it renews its login, and this screen follows."

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
    """Raised when the refresh token is not accepted any more (``invalid_grant``): for good."""

    default_message = "This login has ended."
    default_hint = "Log in again."


class LoginFailed(CredentialError):
    """Raised when logging in was denied, given up or took too long; nothing was stored."""

    code = "login_failed"
    default_message = "The login failed."
    default_hint = "Log in again when you are ready."


class Unauthorized(CredentialError):
    """Raised when the API refuses the token (401)."""

    code = "unauthorized"
    default_message = "The API refuses this login."
    default_hint = "Run `claude`, then `/login`."


class MissingScope(CredentialError):
    """Raised when the token lacks the scope that usage figures need (403)."""

    code = "missing_scope"
    default_message = "This token may not read usage (it lacks `user:profile`)."
    default_hint = (
        "Tokens from `claude setup-token` cannot; log in with `claude`, "
        "or unset CLAUDE_CODE_OAUTH_TOKEN."
    )


class Forbidden(CredentialError):
    """Raised when the organisation does not allow this login (403)."""

    code = "forbidden"
    default_message = "The organisation does not allow this login here."
    default_hint = "Ask its admin; nothing to retry."


class SecretStoreUnavailable(CredentialError):
    """Raised when the place where the login is kept does not answer or denies access."""

    code = "secret_store_unavailable"
    default_message = "The keychain cannot be read."
    default_hint = "Unlock it and allow `security` to read `Claude Code-credentials`."


class ServiceError(UsageMonitorError):
    """The service could not give figures; waiting may help."""


class RateLimited(ServiceError):
    """Raised on 429. ``retry_after`` is what the reply asked for, ``None`` when it did not say."""

    code = "rate_limited"
    default_message = "The usage API asks to wait."
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
    """Raised when no complete answer came: network, DNS, TLS, proxy or time-out.

    ``sent`` is whether the request may have arrived all the same.
    """

    sent = False

    code = "unreachable"
    default_message = "The API cannot be reached."
    default_hint = "Check the network or proxy."


class ServerError(ServiceError):
    """Raised when the API reports a problem of its own (5xx, 408)."""

    code = "server_error"
    default_message = "The API has a problem."
    default_hint = "Try again in a moment."


class UnexpectedResponse(ServiceError):
    """Raised when an answer came that is not usage figures.

    ``sent`` is whether what can be used only once may have been used for it all the same.
    """

    sent = False

    code = "unexpected_response"
    default_message = "The reply was not usage figures."
    default_hint = "A network login page or proxy may be answering; `doctor --online` shows more."


class UnknownAccount(UsageMonitorError):
    """Raised when no account has the name that was asked for."""

    code = "unknown_account"
    default_message = "There is no such account."


class InvalidSetting(UsageMonitorError):
    """Raised when an option or an environment variable has a value that cannot be used."""

    code = "invalid_setting"
    default_message = "A setting has a value that cannot be used."


class InvalidName(InvalidSetting):
    """Raised when an account cannot have a name: empty, unprintable, too long, or taken."""


class AccountsUnavailable(UsageMonitorError):
    """Raised when the list of accounts (accounts.db) cannot be read, or a change not be kept."""

    code = "accounts_unavailable"
    default_message = "The list of accounts cannot be used."


def error_of(code: str, message: str, hint: str) -> UsageMonitorError:
    """Return the error that a problem's code stands for, with its words."""
    kinds: list[type[UsageMonitorError]] = [UsageMonitorError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    found = next((kind for kind in kinds if kind.code == code), UsageMonitorError)
    error = found()
    error.message, error.hint, error.args = message, hint, (message,)
    return error
