"""What `/_ah` tells of itself. Its views lie too low to do so."""

from hubrepo.kernel.openapi.descriptions import Answer, Description, Operation
from hubrepo.kernel.openapi.words import record, ref, refused, text
from hubrepo.kernel.security import admit
from hubrepo.kernel.web import health, metrics

_STATE = text("ok", enum=["ok", "failing"])

OPERATIONS = Description(
    "operations",
    "For those who run the hub, and their probes. No key is asked for.",
    (
        Operation(
            health,
            "/_ah/health",
            "Whether the hub is well",
            {
                200: Answer("Every part works.", ref("Health")),
                503: Answer("A part does not: the hub's log says why.", ref("Health")),
            },
        ),
        Operation(
            admit,
            "/_ah/admission",
            "Whether an upload is worth reading",
            {
                200: Answer("The credential is good.", ref("Admission")),
                401: Answer("It is not, or there is none.", ref("Error"), headers=("WWW-Authenticate",)),
                403: refused("Too many attempts have failed: send nothing for a minute."),
            },
            "For a proxy, which asks with the headers of an upload before it reads the rest. Which credential "
            "is asked for depends on where the upload goes, which `X-Original-URI` tells.",
        ),
        Operation(
            metrics,
            "/_ah/metrics",
            "Figures for Prometheus",
            {
                200: Answer("How long requests took.", {"type": "string"}, "text/plain"),
                404: refused("`hubrepo.metrics` is off, as it is unless the operator says otherwise."),
            },
        ),
    ),
    schemas={
        "Admission": record({"admission": text("granted")}, "The hub will read what follows."),
        "Health": record({"status": _STATE}, "How the parts of the hub are.", additionalProperties=_STATE)
    },
)  # fmt: skip
