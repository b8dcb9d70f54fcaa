"""The base of every settings model: strict, frozen, and closed.

A table of the configuration file is one `Settings` subclass, declared in the module that uses it. `migrate.config` puts the
tables together and turns a validation failure into a sentence that names the key.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, field_validator

from migrate import outside


def _one_line(value: str) -> str:
    if not value.strip():
        raise ValueError("has nothing in it")
    if not outside.is_one_line(value):
        raise ValueError("has a line break or a control character in it; write it on one line")
    return value


OneLine = Annotated[str, AfterValidator(_one_line)]
"""Words that people read on one line, perhaps in a header."""


class Settings(BaseModel):
    """One table of the configuration: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

    @field_validator("*")
    @classmethod
    def _no_empty_secret(cls, value: Any) -> Any:
        if isinstance(value, SecretStr) and not value.get_secret_value().strip():
            raise ValueError('is empty; write the value, or { env = "NAME" } or { file = "path" } where it stands')
        return value
