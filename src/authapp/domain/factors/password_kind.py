"""The password as a kind of factor: a way in, which no second step proves and no reset removes."""

from authapp.domain.factors.kinds import FactorKind, factor_kinds
from authapp.models import User

PASSWORD = factor_kinds.register(
    "password",
    FactorKind(
        state=User.password_hash.is_not(None),
        position=10,
        ways_in=lambda has_password, _settings: int(has_password),
    ),
)
