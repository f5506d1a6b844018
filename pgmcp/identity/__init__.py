"""Who calls, and which rights a database gives that person.

principal   an authenticated caller, with the claims of the token
mapping     which database role and which settings a principal gets in one database
"""

from pgmcp.identity.mapping import RoleEntry, RoleMapping
from pgmcp.identity.principal import Principal

__all__ = ["Principal", "RoleEntry", "RoleMapping"]
