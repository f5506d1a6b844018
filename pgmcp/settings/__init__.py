"""All settings, read once at the start; nothing else reads settings from the environment.

process environment ─┐ highest
.env ────────────────┤
PG_MCP_CONFIG_FILE ──┤ sources ──▶ load ──▶ models (frozen dataclasses)
defaults ────────────┘ lowest

load            reads all sources, and reports all problems at once
sources         variables, `.env`, the YAML file, libpq's environment
models          the settings by groups, and rules between them
database        the settings of one database
http            the settings of serving over HTTP
section         the parts from which the groups are declared
field_types     types of values
specs           name, allowed values and meaning of each setting
origins         where each setting comes from
address         where a database is
conninfo        parses connection strings as libpq does
libpq_keywords  keywords and values of connection strings
server_options  checks the server's settings in the parameter `options` of connection strings

Only `load`, `sources` and `origins` import pydantic, which is slow to import and takes 10 MB.
"""

from pgmcp.settings.database import DatabaseSettings
from pgmcp.settings.field_types import split_networks
from pgmcp.settings.http import HttpSettings
from pgmcp.settings.models import (
    OpenAISettings,
    RateLimitSettings,
    ServerSettings,
    Settings,
)
from pgmcp.settings.specs import SettingSpec, setting_specs

__all__ = [
    "DatabaseSettings",
    "HttpSettings",
    "OpenAISettings",
    "RateLimitSettings",
    "ServerSettings",
    "SettingSpec",
    "Settings",
    "setting_specs",
    "split_networks",
]
