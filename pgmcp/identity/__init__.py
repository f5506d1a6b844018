"""The authenticated caller, and the caller's role in each database.

principal   an authenticated caller, with the claims of the token
mapping     which database role and which settings a principal gets in one database
"""

from pgmcp.identity.mapping import RoleEntry, RoleMapping
from pgmcp.identity.principal import Principal

__all__ = ["Principal", "RoleEntry", "RoleMapping"]
