"""What may be done with tokens and products, and who may do it.

Roles are of tokens, and hold for the whole organisation. Rights are what a grant gives a token at one
product.
"""

USE = "artifacts:use"
TOKENS = "artifacts:tokens"
SEE = "artifacts:see"
DOWNLOAD = "artifacts:download"
UPLOAD = "artifacts:upload"
DELETE = "artifacts:delete"
WITHDRAW = "artifacts:withdraw"
MAINTAIN = "artifacts:maintain"

ADMIN = "artifact-admin"

GRANTS = {
    "artifact-token": (USE,),
    ADMIN: (USE, TOKENS, SEE, DOWNLOAD, UPLOAD, DELETE, WITHDRAW, MAINTAIN),
}

# The flags of a grant. One that has none of them still lets its token see the product.
RIGHTS = {
    "maintainer": (MAINTAIN, WITHDRAW),
    "download": (DOWNLOAD,),
    "upload": (UPLOAD,),
    "delete": (DELETE, WITHDRAW),
}
FLAGS = tuple(RIGHTS)
