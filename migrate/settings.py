"""The base of every settings model: strict, frozen, and closed.

A table of the configuration file is one `Settings` subclass, declared in the module that uses it. `migrate.config` puts the
tables together and turns a validation failure into a sentence that names the key.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """One table of the configuration: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)
