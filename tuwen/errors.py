"""Every error a user can cause, in one tree, each with a stable code.

::

    TuwenError
    ├── InvalidRequestError      invalid_request      400  exit 2
    │   ├── ConfigurationError   invalid_request      400  exit 2
    │   └── NotFoundError        not_found            404  exit 1
    ├── ForbiddenError           forbidden            403  exit 1
    ├── DocumentError            (one document failed)
    │   ├── UnsupportedTypeError unsupported_type     415  exit 1
    │   ├── ConverterMissingError converter_missing   422  exit 1
    │   ├── PasswordRequiredError password_required   422  exit 1
    │   ├── WrongPasswordError   wrong_password       422  exit 1
    │   ├── CorruptFileError     corrupt_file         422  exit 1
    │   ├── LimitExceededError   limit_exceeded       413  exit 1
    │   ├── ParserCrashedError   parser_crashed       422  exit 1
    │   ├── ParserTimeoutError   parser_timeout       422  exit 1
    │   └── PageFailedError      page_failed          422  exit 1
    └── UnavailableError         (something needed is not there now)
        ├── IndexLockedError     index_locked         503  exit 3
        ├── IndexStaleError      index_stale          503  exit 3
        ├── ModelUnavailableError model_unavailable   503  exit 3
        ├── StorageUnavailableError storage_unavailable 503 exit 3
        └── LeaseLostError       lease_lost           503  exit 3

Errors cross process borders by pickle, so each is rebuilt from its message alone.
"""

from __future__ import annotations

from typing import ClassVar

from tuwen.types import Problem


class TuwenError(Exception):
    """Root of all expected errors: a sentence that says what to do, and how it leaves the program."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def problem(self) -> Problem:
        """The code and the sentence, as they are stored and sent."""
        return Problem(code=self.code, message=self.message)


class InvalidRequestError(TuwenError):
    """The caller asked for something that makes no sense."""

    code = "invalid_request"
    http_status = 400
    exit_code = 2


class ConfigurationError(InvalidRequestError):
    """A settings file or variable is wrong; the message names the key and where it stands."""


class NotFoundError(InvalidRequestError):
    """No such document, page or collection."""

    code = "not_found"
    http_status = 404
    exit_code = 1


class ForbiddenError(TuwenError):
    """The caller may not do this."""

    code = "forbidden"
    http_status = 403


class DocumentError(TuwenError):
    """One document cannot be taken in; others are not touched."""

    code = "corrupt_file"
    http_status = 422


class UnsupportedTypeError(DocumentError):
    """The content is of no type that tuwen reads."""

    code = "unsupported_type"
    http_status = 415


class ConverterMissingError(DocumentError):
    """The type needs a converter that is not installed."""

    code = "converter_missing"


class PasswordRequiredError(DocumentError):
    """The file is encrypted."""

    code = "password_required"


class WrongPasswordError(DocumentError):
    """The password given does not open the file."""

    code = "wrong_password"


class CorruptFileError(DocumentError):
    """The file cannot be parsed."""

    code = "corrupt_file"


class LimitExceededError(DocumentError):
    """Larger than a configured limit (bytes, pages, pixels)."""

    code = "limit_exceeded"
    http_status = 413


class ParserCrashedError(DocumentError):
    """The parser's process died."""

    code = "parser_crashed"


class ParserTimeoutError(DocumentError):
    """The parser did not finish in its time."""

    code = "parser_timeout"


class PageFailedError(DocumentError):
    """One page could not be read; the document goes on without it."""

    code = "page_failed"


class UnavailableError(TuwenError):
    """Something that is needed is not there now; the same call may work later."""

    code = "model_unavailable"
    http_status = 503
    exit_code = 3


class IndexLockedError(UnavailableError):
    """Another process holds the embedded index."""

    code = "index_locked"


class IndexStaleError(UnavailableError):
    """Settings or models changed, and nothing has been indexed under the new ones."""

    code = "index_stale"


class ModelUnavailableError(UnavailableError):
    """A model cannot be loaded or reached."""

    code = "model_unavailable"


class StorageUnavailableError(UnavailableError):
    """The catalog or the blobs cannot be read or written now: locked, full, read-only, damaged or too new."""

    code = "storage_unavailable"


class LeaseLostError(UnavailableError):
    """The document now belongs to another worker, or is gone; what this worker still holds of it is stale."""

    code = "lease_lost"


def _walk(cls: type[TuwenError]) -> list[type[TuwenError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in _walk(sub))]


def all_errors() -> list[type[TuwenError]]:
    """Every class of the tree, root first (for documentation and tests)."""
    return _walk(TuwenError)


def error_of(code: str, message: str) -> TuwenError:
    """A stored problem as an error again: of the class that has its code."""
    return next((cls for cls in all_errors() if cls.code == code), TuwenError)(message)
