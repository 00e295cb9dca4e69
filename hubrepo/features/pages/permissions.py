"""What may be done with pages, and which role may do it. Reading what is published takes no permission."""

READ = "pages:read"
PUBLISH = "pages:publish"
ROLL_BACK = "pages:roll-back"
UNPUBLISH = "pages:unpublish"
FORGET = "pages:forget"

GRANTS = {
    "read": (READ,),
    "publish": (READ, PUBLISH, ROLL_BACK, UNPUBLISH, FORGET),
    "admin": (READ,),
}
