"""What may be done with an organisation itself, and which role may do it."""

READ = "organisation:read"
KEYS = "organisation:keys"
MEMBERS = "organisation:members"
LOG = "organisation:log"

GRANTS = {
    "read": (READ,),
    "publish": (READ,),
    "admin": (READ, KEYS, MEMBERS, LOG),
}
