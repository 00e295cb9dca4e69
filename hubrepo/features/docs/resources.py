"""The nodes of the description. Neither asks for a credential; both look the same to everybody."""

from hubrepo.kernel.web import Resource


class OpenAPIResource(Resource):
    """`/api/openapi.json`."""


class DocsResource(Resource):
    """`/docs`."""
