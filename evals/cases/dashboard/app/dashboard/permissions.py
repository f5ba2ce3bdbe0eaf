"""What a role may do with a resource.

Rules are written with wildcards and inherit from the role below; `permission_table` spells them out.
"""

from fnmatch import fnmatchcase

ROLES = ("guest", "member", "lead", "admin")

RESOURCES = (
    "activity.time", "activity.meeting", "activity.review", "activity.comment", "activity.deploy", "activity.upload",
    "project.details", "project.budget", "project.members", "project.comments",
    "report.summary", "report.export",
    "team.settings", "team.leaderboard", "team.billing",
    "widget.heatmap", "widget.billing", "widget.pulse", "widget.rank", "widget.inbox", "widget.goal",
    "widget.streak", "widget.focus", "widget.note",
)  # fmt: skip

ACTIONS = ("view", "create", "edit", "delete", "share")

RULES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "guest": (
        ("activity.*", ("view",)),
        ("project.details", ("view",)),
        ("project.comments", ("view",)),
        ("widget.note", ("view",)),
        ("widget.pulse", ("view",)),
    ),
    "member": (
        ("activity.*", ("create",)),
        ("activity.time", ("edit", "delete")),
        ("activity.comment", ("edit", "delete")),
        ("project.members", ("view",)),
        ("project.comments", ("create",)),
        ("team.leaderboard", ("view",)),
        ("widget.*", ("view", "edit")),
    ),
    "lead": (
        ("activity.*", ("edit",)),
        ("project.*", ("view", "edit")),
        ("report.*", ("view",)),
        ("report.summary", ("share",)),
        ("team.settings", ("view",)),
        ("widget.*", ("share",)),
    ),
    "admin": (
        ("*", ACTIONS),
    ),
}


def inherited_roles(role: str) -> tuple[str, ...]:
    """The role itself and every role below it."""
    return ROLES[: ROLES.index(role) + 1]


def permission_table(role: str) -> dict[str, list[str]]:
    """Allowed actions by resource, in the order of ACTIONS."""
    table: dict[str, list[str]] = {}
    for resource in RESOURCES:
        allowed = []
        for action in ACTIONS:
            granted = False
            for inherited in inherited_roles(role):
                for pattern, actions in RULES[inherited]:
                    if fnmatchcase(resource, pattern) and action in actions:
                        granted = True
            if granted:
                allowed.append(action)
        table[resource] = allowed
    return table


def is_allowed(role: str, resource: str, action: str) -> bool:
    """Whether a role may do one thing."""
    return action in permission_table(role).get(resource, [])
