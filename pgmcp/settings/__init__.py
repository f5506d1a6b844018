"""All settings, read once at the start; nothing else reads settings from the environment.

process environment ─┐ highest
.env ────────────────┤
PG_MCP_CONFIG_FILE ──┤ sources ──▶ load ──▶ models (frozen)
defaults ────────────┘ lowest

load            reads all sources, and reports all problems at once
sources         variables, `.env`, the YAML file, libpq's environment
models          the settings by groups, and rules between them
database        the settings of one database
http            the settings of serving over HTTP
section         the base of the models of all groups
field_types     types of values
specs           name, allowed values and meaning of each setting
origins         where each setting comes from
conninfo        parses connection strings as libpq does
libpq_keywords  keywords and values of connection strings
server_options  checks the server's settings in the parameter `options` of connection strings
"""

from pgmcp.settings.database import DatabaseSettings
from pgmcp.settings.field_types import split_networks
from pgmcp.settings.http import HttpSettings
from pgmcp.settings.load import load_settings
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
    "load_settings",
    "setting_specs",
    "split_networks",
]
