"""What a hub is made of may be taken out: then its tests are gone, and what others say of it is skipped."""

import pytest

import hubrepo

HAS_ARTIFACTS = "hubrepo.features.artifacts" in hubrepo.FEATURES
needs_artifacts = pytest.mark.skipif(not HAS_ARTIFACTS, reason="this hub keeps no artifacts")
