"""The base of every settings model: strict, frozen, and closed.

A table of the configuration file is one `Settings` subclass, declared in the module that uses it. `migrate.config` puts the
tables together and turns a validation failure into a sentence that names the key.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, field_validator

from migrate import outside


def _one_line(value: str) -> str:
    if not value.strip():
        raise ValueError("has nothing in it")
    if not outside.is_one_line(value):
        raise ValueError("has a line break or a control character in it; write it on one line")
    return value


_OPTIONS: Final = re.compile(r"\?[\w.-]+=.*", re.DOTALL)

OneLine = Annotated[str, AfterValidator(_one_line)]
"""Text of one line that is not blank, so that it can stand in a header."""


DRIVERS: Final = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
"""The driver to use if a database URL names none."""
DRIVER_EXTRAS: Final = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
"""The extra of our package that installs the driver of a database."""


def unambiguous(url: str) -> str:
    """The database URL. Raises ValueError if its user or password contains an @: other programs take it for the end of the password, and
    would print the rest as the name of the host."""
    if not url.startswith("sqlite") and _OPTIONS.sub("", url).count("@") > 1:
        raise ValueError("has more than one @: write the one in the user or the password as %40")
    return url


class Settings(BaseModel):
    """One table of the configuration: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

    @field_validator("*")
    @classmethod
    def _no_empty_secret(cls, value: Any) -> Any:
        if isinstance(value, SecretStr) and not value.get_secret_value().strip():
            raise ValueError('is empty; write the value, or { env = "NAME" } or { file = "path" } where it stands')
        return value
