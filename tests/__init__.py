"""The tests, and what they share: what is asserted in there shows its values, too."""

import pytest

pytest.register_assert_rewrite("tests.support")
