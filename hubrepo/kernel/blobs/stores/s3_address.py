"""The URL of a store on S3: `s3://bucket/prefix?endpoint=…&region=…&addressing=…&timeout=…`.

It names no credential. Whatever looks like one is refused by a sentence that does not repeat it, and
what a message shows of a URL is made anew from parts that were checked.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_PARAMETERS = ("endpoint", "region", "addressing", "timeout")

# Answers come, or callers are told, within five seconds: a quick second try has its share too.
LONGEST_TIMEOUT = 4.0


class WrongAddress(ValueError):
    """The URL is none of a place on S3. The message is the end of a sentence, and safe to show."""


@dataclass(frozen=True)
class S3Address:
    """A place in a bucket. `timeout`: seconds in which S3 must answer, connecting included."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    addressing: str | None = None
    timeout: float = LONGEST_TIMEOUT

    def __str__(self) -> str:
        return "/".join(filter(None, (f"s3://{self.bucket}", self.prefix)))

    @classmethod
    def parse(cls, url: str) -> "S3Address":
        """The address that `url` names. Raises WrongAddress."""
        try:
            parts = urlsplit(url)
            parameters = dict(_query(parts.query))
        except ValueError:
            raise WrongAddress("it is not a URL") from None
        _refuse_credentials(parts)
        if set(parameters) - set(_PARAMETERS) or parts.fragment:
            raise WrongAddress(f"behind its ? may be {', '.join(_PARAMETERS)}, and nothing else")
        prefix, region = unquote(parts.path).strip("/"), parameters.get("region")
        if not _matches(_BUCKET, parts.netloc):
            raise WrongAddress("the name of a bucket comes behind s3://")
        if prefix and not _matches(_PREFIX, prefix):
            raise WrongAddress("its prefix is not a plain path")
        if region is not None and not _matches(_REGION, region):
            raise WrongAddress("its region has not the form of one")
        return cls(
            parts.netloc,
            prefix,
            _endpoint(parameters.get("endpoint")),
            region,
            _addressing(parameters.get("addressing")),
            _timeout(parameters.get("timeout")),
        )


def _query(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None and ".." not in text


def _refuse_credentials(parts: SplitResult) -> None:
    if "@" in parts.netloc or ":" in parts.netloc:
        raise WrongAddress(
            "credentials do not belong there: they come from AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment, or from another of the usual AWS sources"
        )


def _endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.query or parts.fragment or parts.path.strip("/"):
        raise WrongAddress("its endpoint must be http://host:port or https://host:port")
    if "@" in parts.netloc:
        raise WrongAddress("credentials do not belong into its endpoint")
    return f"{parts.scheme}://{parts.netloc}"


def _addressing(text: str | None) -> str | None:
    if text not in {None, "path", "virtual"}:
        raise WrongAddress("its addressing is path or virtual")
    return text


def _timeout(text: str | None) -> float:
    try:
        seconds = LONGEST_TIMEOUT if text is None else float(text)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= LONGEST_TIMEOUT:
        raise WrongAddress(f"its timeout is from 0.1 to {LONGEST_TIMEOUT:g} seconds")
    return seconds
