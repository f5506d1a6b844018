"""All settings, read once at the start; nothing else reads the environment.

process environment ─┐ highest
.env ────────────────┤
PG_MCP_CONFIG_FILE ──┤ sources ──▶ load ──▶ models (frozen)
defaults ────────────┘ lowest
"""

from pgmcp.settings.database import DatabaseSettings
from pgmcp.settings.field_types import split_networks
from pgmcp.settings.load import load_settings
from pgmcp.settings.models import (
    HttpSettings,
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
