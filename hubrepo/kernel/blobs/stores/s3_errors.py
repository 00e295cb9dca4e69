"""What S3 and the way there have to say for themselves, as errors of PyFilesystem2.

Each tells in plain words what it was, and no credential.
"""

from typing import Any

from botocore import exceptions as boto

from hubrepo.kernel.blobs.stores.breaker import AtRest
from hubrepo.kernel.blobs.stores.pyfilesystem import errors

_SILENCE = (boto.ConnectTimeoutError, boto.ReadTimeoutError, TimeoutError)
_BROKEN = (boto.HTTPClientError, boto.IncompleteReadError, boto.ResponseStreamingError)
_UNKNOWN = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
_FULL = frozenset({
    "QuotaExceeded", "InsufficientCapacity", "InsufficientStorage", "StorageFull",
    "XMinioStorageFull", "EntityTooLarge", "ServiceQuotaExceeded",
})  # fmt: skip
_STRANGERS = frozenset({
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "AuthorizationHeaderMalformed", "RequestTimeTooSkewed",
})  # fmt: skip
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"})
_MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NoSuchVersion"})
_CHANGED = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})


class BehindTheEnd(errors.OperationFailed):  # type: ignore[misc]  # fs has no types
    """A range that begins where there is nothing any more."""


def is_silence(error: Exception) -> bool:
    """Whether an answer was waited for in vain, or a body could not be sent on."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, _SILENCE):
        cause = cause.__context__
    return cause is not None


def is_passing(error: Exception) -> bool:
    """Whether another try might do better."""
    if isinstance(error, boto.ClientError):
        return _status(error) in {500, 502, 503, 504} and _code(error) not in _FULL
    return isinstance(error, boto.HTTPClientError | boto.ConnectionError)


def _code(error: boto.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: boto.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def plain(sentence: str) -> str:
    """`fs` reads messages as templates."""
    return sentence.replace("{", "{{").replace("}", "}}")


def translated(key: str, error: Exception) -> errors.FSError:
    """What to raise where a request about `key` ended in `error`."""
    if isinstance(error, boto.ClientError):
        return _refusal(key, error)
    if isinstance(error, AtRest):
        return errors.RemoteConnectionError(key, exc=error, msg="S3 did not answer a moment ago")
    if is_silence(error):
        return errors.OperationTimeout(key, exc=error, msg="S3 does not answer in time")
    if isinstance(error, _UNKNOWN):
        return errors.PermissionDenied(key, exc=error, msg=(
            "there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "use another of the usual AWS sources"
        ))  # fmt: skip
    if isinstance(error, boto.EndpointConnectionError):
        return errors.RemoteConnectionError(
            key, exc=error, msg="S3 cannot be reached at its endpoint"
        )
    if isinstance(error, _BROKEN):
        return errors.RemoteConnectionError(key, exc=error, msg="the connection to S3 broke off")
    sentence = plain(f"S3 failed ({type(error).__name__})")
    return errors.OperationFailed(key, exc=error, msg=sentence)


def _refusal(key: str, error: boto.ClientError) -> errors.FSError:
    code, status = _code(error), _status(error)
    kinds: list[tuple[bool, Any, str]] = [
        (code in _MISSING, errors.ResourceNotFound, "resource '{path}' not found"),
        (code in _CHANGED, errors.FileExists, "resource '{path}' exists"),
        (code in {"InvalidRange", "416"}, BehindTheEnd, "'{path}' ends before"),
        (code == "NoSuchBucket", errors.OperationFailed, "the bucket does not exist"),
        (code in _FULL or status == 507, errors.InsufficientStorage, f"S3 is full ({code})"),
        (code in _STRANGERS, errors.PermissionDenied, f"S3 refuses the credentials ({code})"),
        (code in _DENIED, errors.PermissionDenied, f"the credentials may not do that ({code})"),
    ]  # fmt: skip
    for applies, kind, sentence in kinds:
        if applies:
            return kind(key, exc=error, msg=sentence)
    return errors.OperationFailed(key, exc=error, msg=plain(f"S3 answers {status} {code}"))
