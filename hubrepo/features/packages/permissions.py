"""What may be done with packages, and which role may do it."""

READ = "packages:read"
PUBLISH = "packages:publish"
ALIAS = "packages:alias"
TOMBSTONE = "packages:tombstone"
DELETE = "packages:delete"

GRANTS = {
    "read": (READ,),
    "publish": (READ, PUBLISH, ALIAS, TOMBSTONE),
    "admin": (READ, DELETE),
}
