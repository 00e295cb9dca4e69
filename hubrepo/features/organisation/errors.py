"""What can be wrong with a wish about keys."""

from hubrepo.kernel.base import Forbidden


class MoreThanItself(Forbidden):
    """A key asked for one that may do more than it may itself."""

    code = "more-than-itself"
    message = "a key cannot issue one that may do more than itself"
